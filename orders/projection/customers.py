"""The only code that writes Customer: reads of the customer, and mentions on orders.

What an order mentions counts until the customer has been read once; after that, news on an order
only means the customer has to be read again. The read that began later wins, no matter which ends
first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from core.database.sql import select
from orders.models import Customer, Order, Store
from orders.privacy import ledger
from orders.projection import columns
from orders.signals import customer_changed
from orders.snapshot import CustomerDetails, CustomerSnapshot

# A change within this time of a read waits for it, so that bursts cause one read.
_DEBOUNCE: Final = timedelta(seconds=1)
_MENTIONED: Final = ("name", "email", "phone", "order_count", "locale")


def mark_customer_dirty(*, store: Store, gid: str, now: datetime) -> int:
    """Note that a customer may have changed; return our ID.

    Creates the row if the customer is new. Safe to repeat; may run inside a transaction.
    """
    row, _created = Customer.objects.get_or_create(store=store, gid=gid)
    calm = row.read_started_at is None or row.read_started_at + _DEBOUNCE <= now
    Customer.objects.filter(pk=row.pk).update(
        dirty_seq=F("dirty_seq") + 1, fetch_after=now if calm else now + _DEBOUNCE
    )
    return row.pk


def mark_unread_customers(ids: Iterable[int]) -> int:
    """Have customers read that are known only from orders; return how many.

    A page that shows them asks for it; the sweep reads them within Shopify's rate limit.
    """
    unread = Customer.objects.filter(
        pk__in=list(ids), read_started_at=None, deleted_at=None, dirty_seq=F("clean_seq")
    )
    with transaction.atomic():
        by = unread.order_by("store_id", "pk")
        locked = list(by.select_for_update().values_list("pk", flat=True))
        return unread.filter(pk__in=locked).update(dirty_seq=F("dirty_seq") + 1, fetch_after=None)


def mention(
    store: Store, customer: CustomerSnapshot, *, read_started_at: datetime, spent: bool
) -> None:
    """Store what an order's read says about its customer. Expects the caller's transaction.

    A customer who is new, or whose details differ, is marked to be read. `spent` means the order's
    money moved, which changes a total that the order doesn't contain.
    """
    row = columns.customer(store.pk, customer)
    mentioned = {name: row[name] for name in _MENTIONED}
    known = select(
        Customer, "id", "read_started_at", *_MENTIONED, store_id=store.pk, gid=customer.gid
    )
    if not known:
        # On a conflict, the row someone else just inserted is just as current.
        Customer.objects.bulk_create([Customer(**row, dirty_seq=1)], ignore_conflicts=True)
        return
    pk, read_at, *held = known[0]
    is_news = held != list(mentioned.values())
    if read_at is None:
        if is_news:
            Customer.objects.filter(pk=pk, read_started_at=None).update(**mentioned)
    elif _is_before(read_at, read_started_at) and (spent or is_news):
        # An order read that began before the stored customer read has nothing new to say.
        Customer.objects.filter(pk=pk, read_started_at=read_at, dirty_seq=F("clean_seq")).update(
            dirty_seq=F("dirty_seq") + 1, fetch_after=None
        )


def record_customer(
    *,
    customer_id: int,
    details: CustomerDetails | None,
    seq: int,
    read_started_at: datetime,
) -> bool:
    """Project a read; `details` None means Shopify has no such customer (any more).

    False if a read that began later was already stored. `seq` is the row's dirty_seq when the read
    began, so marks made since then stay dirty.
    """
    with transaction.atomic(durable=True):
        row = Customer.objects.select_for_update(of=("self",)).get(pk=customer_id)
        if row.read_started_at and not _is_before(row.read_started_at, read_started_at):
            Customer.objects.filter(pk=row.pk).update(fetch_lease_until=None)
            return False
        values = _columns(row, details, read_started_at)
        if seq < row.dirty_seq:
            # A merge may have been reported since this read began, so it must not undo that.
            values.pop("merged_into", None)
        is_news = any(getattr(row, name) != value for name, value in values.items())
        Customer.objects.filter(pk=row.pk).update(
            **values,
            clean_seq=Greatest(F("clean_seq"), Value(seq)),
            read_started_at=read_started_at,
            fetch_lease_until=None,
            fetch_failures=0,
        )
        if is_news:
            _announce(row.pk)
    return True


def note_merge(*, store: Store, kept_gid: str, gone_gid: str, now: datetime) -> list[int]:
    """Record that Shopify merged one customer into another; return our IDs of both.

    Both are read again, and so are the orders, which move. The link takes effect once a read no
    longer finds the merged customer.
    """
    gids = (kept_gid, gone_gid)
    # Sorted, so that two reports of the same merge insert in the same order.
    for gid in sorted(gids):
        Customer.objects.get_or_create(store=store, gid=gid)
    with transaction.atomic():
        # Lock orders before customers, each by ID, as projecting an order does.
        moving = Order.objects.filter(store=store, customer_gid=gone_gid)
        orders = list(moving.select_for_update().order_by("pk").values_list("pk", flat=True))
        both = Customer.objects.filter(store=store, gid__in=gids)
        list(both.select_for_update().order_by("pk").values_list("pk", flat=True))
        ids = [mark_customer_dirty(store=store, gid=gid, now=now) for gid in gids]
        Customer.objects.filter(store=store, gid=gone_gid).update(merged_into=kept_gid)
        Order.objects.filter(pk__in=orders).update(dirty_seq=F("dirty_seq") + 1, fetch_after=now)
    return ids


def _is_before(stored: datetime, began: datetime) -> bool:
    """Whether the stored read began no later than one that just ended.

    A stored time in the future came from a clock that ran ahead, so it counts as earlier.
    """
    return stored <= began or stored > timezone.now()


def _columns(
    row: Customer, details: CustomerDetails | None, read_started_at: datetime
) -> dict[str, object]:
    if details is None:
        return {"deleted_at": row.deleted_at or read_started_at}
    if ledger.covers_customer(row.store_id, details):
        # Shopify may still know a person who was redacted here.
        details = CustomerDetails(
            gid=details.gid, order_count=details.order_count, updated_at=details.updated_at
        )
    return columns.customer_columns(details) | {"deleted_at": None, "merged_into": ""}


def _announce(customer_id: int) -> None:
    """Send customer_changed. Expects the transaction that changed the customer."""
    customer_changed.send_robust(Customer, customer_id=customer_id)
