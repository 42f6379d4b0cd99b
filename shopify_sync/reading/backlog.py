"""Read a store's dirty orders, one worker per store.

That way no store fills the queue or uses up another's turn. A read that an agent's click needs
doesn't go through here and doesn't wait.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from core import queue
from core.database.leases import (
    first_due,
    is_free,
    stores_with,
)
from orders.models import Order, Store
from orders.services import mark_partial_dirty
from shopify_sync.models import SyncCursor
from shopify_sync.reading import orders

_TURN_S: Final = 15.0
# Renewed after each order, whose read takes a few API calls.
_LEASE: Final = timedelta(seconds=90)
_CHUNK: Final = 50
_TRICKLE: Final = 50


def wake_readers() -> None:
    """Enqueue a turn for each store with dirty orders."""
    due = Order.objects.due_for_reading(now=timezone.now())
    queue.enqueue_each("shopify_sync.tasks.read_store", stores_with(Store.objects.active(), due))


def read_waiting(store_id: int) -> int:
    """Read the store's due orders for at most _TURN_S seconds; return how many were read.

    Returns 0 if another worker has the store's lease.
    """
    now = timezone.now()
    cursor, _created = SyncCursor.objects.get_or_create(store_id=store_id)
    lease = Lease(cursor.pk, now + _LEASE)
    free = SyncCursor.objects.filter(is_free("reader_lease_until", now=now), pk=cursor.pk)
    if not free.update(reader_lease_until=lease.until):
        return 0
    try:
        return _read(store_id, lease, until=time.monotonic() + _TURN_S)
    finally:
        lease.give_back()


@dataclass(slots=True)
class Lease:
    """The right to read a store's orders; ours while the row holds the time we wrote."""

    cursor_id: int
    until: datetime

    def renew(self) -> bool:
        """Extend the lease; False if it ran out and another worker has taken it."""
        until = timezone.now() + _LEASE
        if not self._mine().update(reader_lease_until=until):
            return False
        self.until = until
        return True

    def give_back(self) -> None:
        """Release the lease; no effect if another worker has taken it."""
        self._mine().update(reader_lease_until=None)

    def _mine(self) -> QuerySet[SyncCursor]:
        return SyncCursor.objects.filter(pk=self.cursor_id, reader_lease_until=self.until)


def complete_some(store: Store) -> int:
    """Mark a few open orders that a back-fill left incomplete for a full read, newest first.

    Does nothing while the store has dirty orders. Returns how many were marked.
    """
    if Order.objects.has_dirty(store):
        return 0
    newest = Order.objects.open_and_partial().filter(store=store).order_by("-placed_at")
    ids = list(newest.values_list("pk", flat=True)[:_TRICKLE])
    return len(mark_partial_dirty(Order.objects.filter(pk__in=ids)))


def _read(store_id: int, lease: Lease, *, until: float) -> int:
    read = 0
    while time.monotonic() < until:
        ids = first_due(Order.objects.due_for_reading(now=timezone.now()), store_id, _CHUNK)
        before = read
        for order_id in ids:
            read += orders.fetch_order(order_id, is_background=True)
            if time.monotonic() > until or not lease.renew():
                return read
        if read == before:
            break  # nothing is due, or the shop cannot be read just now
    return read
