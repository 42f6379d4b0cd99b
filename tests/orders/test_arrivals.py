"""A parcel's arrival date is the local date at its destination."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from orders.snapshot import Address
from orders.statuses.arrival_days import (
    Arrival,
    arrival,
    zones_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
EVENING_IN_LOS_ANGELES = datetime(2026, 11, 29, 4, tzinfo=UTC)
BEFORE = datetime(2026, 11, 24, 12, tzinfo=UTC)


def coming(to: Address | None, at: datetime = EVENING_IN_LOS_ANGELES) -> Arrival:
    return arrival(at, now=BEFORE, to=to, shop=BERLIN)


@pytest.mark.parametrize(
    "to",
    [
        Address(country_code="US", province_code="CA"),
        Address(country_code="US", province_code="US-CA"),
        Address(country_code="US", time_zone="America/Los_Angeles"),
        # Anywhere in the country, it is the 28th.
        Address(country_code="US"),
        Address(country_code="US", province_code="??"),
        Address(country_code="US", time_zone="Mars/Olympus"),
    ],
)
def test_the_day_is_the_addresses_not_the_shops(to: Address) -> None:
    """It's already the 29th in Berlin."""
    assert coming(to) == Arrival(date(2026, 11, 28), is_past=False)


def test_a_day_that_depends_on_the_state_is_the_shops_and_says_so() -> None:
    at = datetime(2026, 11, 29, 6, tzinfo=UTC)  # 1 o'clock in New York, 22 o'clock in California
    assert coming(Address(country_code="US"), at) == Arrival(date(2026, 11, 29), False, "Berlin")
    assert coming(Address(country_code="US", province_code="NY"), at).day == date(2026, 11, 29)
    assert coming(Address(country_code="US", province_code="CA"), at).day == date(2026, 11, 28)
    # A state with two zones that agree, and one whose zones do not.
    assert coming(Address(country_code="US", province_code="TX"), at).zone == "Berlin"
    assert coming(Address(country_code="US", province_code="OR"), at).zone == ""


@pytest.mark.parametrize("to", [None, Address(), Address(country_code="ZZ")])
def test_a_place_that_is_not_known_has_the_shops_day(to: Address | None) -> None:
    assert coming(to) == Arrival(date(2026, 11, 29), is_past=False)


def test_a_day_is_past_when_it_is_over_where_the_parcel_goes() -> None:
    late = datetime(2026, 11, 29, 7, tzinfo=UTC)  # the 29th in Berlin, the 28th in Los Angeles
    to = Address(country_code="US", province_code="CA")
    due = arrival(EVENING_IN_LOS_ANGELES, now=late, to=to, shop=BERLIN)
    assert (due.day, due.is_past) == (date(2026, 11, 28), False)
    due = arrival(EVENING_IN_LOS_ANGELES, now=late.replace(hour=9), to=to, shop=BERLIN)
    assert due.is_past


def test_every_zone_of_the_table_is_known_here() -> None:
    from orders.statuses import arrival_days

    for country, states in arrival_days._STATES.items():
        for name, codes in states.items():
            for code in codes.split():
                zones = zones_of(Address(country_code=country, province_code=code))
                assert ZoneInfo(name) in zones
