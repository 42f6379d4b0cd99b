"""On which day a parcel arrives: the day where it is going, not where the shop is (row F24). Pure.

The zone is what Shopify says of the address, else its country's, or its state's where a country
has several. Where the day depends on a zone nobody knows, it is the shop's, and is said to be.
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
    """`is_past`: the day is over, wherever the parcel may be going. `zone`: the name of the shop's
    zone where the day holds there and may be another at the door; else ""."""

    day: date
    is_past: bool
    zone: str = ""


# States whose clocks differ within their country; where one has two zones, both. A state that is
# not here has its country's.
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
    """The day of an expected arrival at an address (None: not known, then at the shop's)."""
    zones = zones_of(to) if to else ()
    days = {moment.astimezone(zone).date() for zone in zones}
    if len(days) == 1:
        day = days.pop()
        return Arrival(day, all(day < now.astimezone(zone).date() for zone in zones))
    day = moment.astimezone(shop).date()
    return Arrival(day, day < now.astimezone(shop).date(), _city(shop) if zones else "")


def zones_of(address: Address) -> tuple[tzinfo, ...]:
    """The zones an address may be in; empty where nothing is known."""
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
    """Zone names and their countries, as far as this machine knows the zones."""
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
    """Berlin, for Europe/Berlin, in the reader's language."""
    reader = (translation.get_language() or "en").replace("-", "_")
    return str(get_timezone_location(zone, locale=reader, return_city=True))
