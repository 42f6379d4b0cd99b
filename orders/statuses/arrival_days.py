"""On which day a parcel arrives: the local day at its destination, not at the shop. Pure.

The time zone is Shopify's for the address; else the country's, or the state's for countries with
several. If the day depends on a zone that's unknown, the shop's zone is used and named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel.core import get_global
from babel.dates import get_timezone_location
from django.utils import translation

from orders.snapshot import Address


@dataclass(frozen=True, slots=True)
class Arrival:
    """The day of an arrival.

    `is_past` means the day is over in every zone the parcel may be going to. `zone` names the
    shop's zone if the day is the shop's and may differ at the destination; else "".
    """

    day: date
    is_past: bool
    zone: str = ""


# Time zones by state, for countries with several. A state that spans two zones is listed under
# both; one that isn't listed has its country's zones.
_STATES: Final[dict[str, dict[str, str]]] = {
    "US": {
        "America/New_York": "CT DE DC GA ME MD MA NH NJ NY NC OH PA RI SC VT VA WV MI FL KY IN TN",
        "America/Chicago": "AL AR IL IA LA MN MS MO OK WI TX KS NE ND SD FL KY IN TN MI",
        "America/Denver": "CO MT NM UT WY AZ ID TX KS NE ND SD OR NV",
        "America/Phoenix": "AZ",
        "America/Los_Angeles": "CA WA NV OR ID",
        "America/Anchorage": "AK",
        "America/Adak": "AK",
        "Pacific/Honolulu": "HI",
    },
    "CA": {
        "America/Vancouver": "BC",
        "America/Edmonton": "AB BC NT NU SK",
        "America/Regina": "SK",
        "America/Winnipeg": "MB ON NU",
        "America/Toronto": "ON QC NU",
        "America/Halifax": "NB NS PE QC NL",
        "America/St_Johns": "NL",
        "America/Whitehorse": "YT",
    },
    "AU": {
        "Australia/Sydney": "NSW ACT",
        "Australia/Adelaide": "SA NSW",
        "Australia/Melbourne": "VIC",
        "Australia/Brisbane": "QLD",
        "Australia/Perth": "WA",
        "Australia/Hobart": "TAS",
        "Australia/Darwin": "NT",
    },
    "BR": {
        "America/Rio_Branco": "AC AM",
        "America/Manaus": "AM",
        "America/Porto_Velho": "RO",
        "America/Boa_Vista": "RR",
        "America/Cuiaba": "MT",
        "America/Campo_Grande": "MS",
    },
}


def arrival(moment: datetime, *, now: datetime, to: Address | None, shop: tzinfo) -> Arrival:
    """Return the day of an expected arrival. With `to` None, it is the day at the shop."""
    zones = zones_of(to) if to else ()
    days = {moment.astimezone(zone).date() for zone in zones}
    if len(days) == 1:
        day = days.pop()
        return Arrival(day, all(day < now.astimezone(zone).date() for zone in zones))
    day = moment.astimezone(shop).date()
    return Arrival(day, day < now.astimezone(shop).date(), _city(shop) if zones else "")


def zones_of(address: Address) -> tuple[tzinfo, ...]:
    """Return the time zones an address may be in; empty if nothing is known."""
    known = _zones([address.time_zone]) if address.time_zone else ()
    return known or _zones_of_place(address.country_code, address.province_code)


@cache
def _zones_of_place(country: str, province: str) -> tuple[tzinfo, ...]:
    states = _STATES.get(country, {})
    code = province.removeprefix(f"{country}-")
    if code and (named := [zone for zone, codes in states.items() if code in codes.split()]):
        return _zones(named)
    return _zones(zone for zone, of in _territories().items() if of == country and country)


@cache
def _territories() -> dict[str, str]:
    """Map the time zones this machine knows to their countries."""
    here = available_timezones()
    found = get_global("zone_territories").items()
    return {str(z): str(c) for z, c in found if z in here and c not in {"ZZ", "001"}}


def _zones(names: Iterable[str]) -> tuple[tzinfo, ...]:
    found = []
    for name in names:
        try:
            found.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return tuple(found)


def _city(zone: tzinfo) -> str:
    """Return a zone's city, Berlin for Europe/Berlin, in the reader's language."""
    reader = (translation.get_language() or "en").replace("-", "_")
    return str(get_timezone_location(zone, locale=reader, return_city=True))
