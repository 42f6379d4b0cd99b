"""Working off the orders of a store that wait for a read. One worker a store, so that none
fills the queue or eats another's turn; a click's own read does not wait for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from orders.models import Order, Store
from orders.services import mark_partial_dirty
from shopify_sync import ingest
from shopify_sync.models import SyncCursor

_TURN_S: Final = 15.0
_LEASE: Final = timedelta(seconds=60)
_CHUNK: Final = 50
_TRICKLE: Final = 50


def read_waiting(store_id: int) -> int:
    """Read the store's due orders for at most a quarter of a minute; returns how many were."""
    now = timezone.now()
    cursor, _created = SyncCursor.objects.get_or_create(store_id=store_id)
    free = Q(reader_lease_until=None) | Q(reader_lease_until__lt=now)
    mine = SyncCursor.objects.filter(free, pk=cursor.pk)
    if not mine.update(reader_lease_until=now + _LEASE):
        return 0
    try:
        return _read(store_id, until=time.monotonic() + _TURN_S)
    finally:
        SyncCursor.objects.filter(pk=cursor.pk).update(reader_lease_until=None)


def complete_some(store: Store) -> int:
    """Mark a few open orders of the back-fill for a complete read, newest first, as long as
    nothing else of the store waits; returns how many."""
    if Order.objects.dirty().filter(store=store).exists():
        return 0
    newest = Order.objects.open_and_partial().filter(store=store).order_by("-placed_at")
    ids = list(newest.values_list("pk", flat=True)[:_TRICKLE])
    return len(mark_partial_dirty(Order.objects.filter(pk__in=ids)))


def _read(store_id: int, *, until: float) -> int:
    read = 0
    while time.monotonic() < until:
        due = Order.objects.due_for_reading(now=timezone.now()).filter(store_id=store_id)
        ids = list(due.order_by("fetch_after", "pk").values_list("pk", flat=True)[:_CHUNK])
        before = read
        for order_id in ids:
            read += ingest.fetch_order(order_id, is_background=True)
            if time.monotonic() > until:
                return read
        if read == before:
            break  # nothing is due, or the shop cannot be read just now
    return read
