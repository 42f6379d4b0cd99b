"""A circuit breaker per store: while Shopify is in trouble, leave it alone and probe with a read.

Its state is in the store's connection row, so that all workers share it. Five requests without
an outcome within 30 seconds open it; one successful read closes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import F

from core.database.leases import LONGEST_LEASE
from shopify_sync.models import ShopConnection

OPENS_AT: Final = 5
WITHIN: Final = timedelta(seconds=30)
REST: Final = timedelta(seconds=20)
# How long one caller has the probe to itself; longer than its read may take.
PROBE: Final = timedelta(seconds=15)


def wait_s(store_id: int, *, now: datetime) -> float:
    """Return how many seconds to leave the store alone; 0 means go ahead.

    After the rest, exactly one caller gets 0: it is the probe.
    """
    connection = ShopConnection.objects.filter(store_id=store_id).first()
    until = connection.breaker_open_until if connection else None
    if until is None:
        return 0.0
    # A time further away than any lease was written by a wrong clock: treat it as over.
    if now < until <= now + LONGEST_LEASE:
        return (until - now).total_seconds()
    probes = ShopConnection.objects.filter(store_id=store_id, breaker_open_until=until).update(
        breaker_open_until=now + PROBE
    )
    return 0.0 if probes else PROBE.total_seconds()


def note_trouble(store_id: int, *, now: datetime) -> None:
    """Count a request without an outcome: a timeout, a dropped connection or a 5xx."""
    rows = ShopConnection.objects.filter(store_id=store_id)
    recent = rows.filter(breaker_since__gt=now - WITHIN, breaker_since__lte=now + WITHIN)
    if not recent.update(breaker_count=F("breaker_count") + 1):
        rows.update(breaker_since=now, breaker_count=1)
    rows.filter(breaker_count__gte=OPENS_AT).update(breaker_open_until=now + REST)


def note_success(store_id: int) -> None:
    """Close the breaker: the shop answered a read."""
    troubled = ShopConnection.objects.filter(store_id=store_id, breaker_count__gt=0)
    troubled.update(breaker_count=0, breaker_since=None, breaker_open_until=None)


def resting(*, now: datetime) -> set[int]:
    """Return the IDs of the stores whose breaker is open now."""
    open_now = ShopConnection.objects.filter(
        breaker_open_until__gt=now, breaker_open_until__lte=now + LONGEST_LEASE
    )
    return set(open_now.values_list("store_id", flat=True))
