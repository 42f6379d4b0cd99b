"""The only writers of Customer: a read of its own, and what orders mention of it meanwhile.

An order's mention counts until the customer was read once; after that it only says that the
customer has to be read again. A read that began later wins, whichever ends first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from core.sql import select
from orders.models import Customer, Order, Store
from orders.privacy import ledger
from orders.projection import columns
from orders.signals import customer_changed
from orders.snapshot import CustomerDetails, CustomerSnapshot

# A change within this time of a read waits for it, so that bursts cause one read.
_DEBOUNCE: Final = timedelta(seconds=1)
_MENTIONED: Final = ("name", "email", "phone", "order_count", "locale")


def mark_customer_dirty(*, store: Store, gid: str, now: datetime) -> int:
    """Note that a customer may have changed; returns our id. Creates the row of one not seen
    before. Idempotent; may run inside a transaction."""
    row, _created = Customer.objects.get_or_create(store=store, gid=gid)
    calm = row.read_started_at is None or row.read_started_at + _DEBOUNCE <= now
    Customer.objects.filter(pk=row.pk).update(
        dirty_seq=F("dirty_seq") + 1, fetch_after=now if calm else now + _DEBOUNCE
    )
    return row.pk


def mark_unread_customers(ids: Iterable[int]) -> int:
    """Have customers read that only orders have told of so far; how many. A page that shows
    them asks for it; the sweep reads them within the budget."""
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
    """What an order's read says of its customer. Expects the caller's transaction.

    A customer not seen before is to be read, and one of whom something is new; `spent`: the
    order's money moved, which changes a sum that the order does not tell.
    """
    row = columns.customer(store.pk, customer)
    told = {name: row[name] for name in _MENTIONED}
    known = select(
        Customer, "id", "read_started_at", *_MENTIONED, store_id=store.pk, gid=customer.gid
    )
    if not known:
        # Somebody else's row, where there is one by now, is as new.
        Customer.objects.bulk_create([Customer(**row, dirty_seq=1)], ignore_conflicts=True)
        return
    pk, read_at, *held = known[0]
    is_news = held != list(told.values())
    if read_at is None:
        if is_news:
            Customer.objects.filter(pk=pk, read_started_at=None).update(**told)
    elif _is_before(read_at, read_started_at) and (spent or is_news):
        # Reads of orders race with reads of customers: the earlier one has nothing to say.
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
    """Project a read; None: Shopify has no such customer (any more). False: a read that began
    later was already stored.

    `seq` is the row's dirty_seq when the read began: marks made meanwhile stay dirty.
    """
    with transaction.atomic(durable=True):
        row = Customer.objects.select_for_update(of=("self",)).get(pk=customer_id)
        if row.read_started_at and not _is_before(row.read_started_at, read_started_at):
            Customer.objects.filter(pk=row.pk).update(fetch_lease_until=None)
            return False
        told = _columns(row, details, read_started_at)
        if seq < row.dirty_seq:
            # A merge was told of meanwhile: this read began too early to have an opinion.
            told.pop("merged_into", None)
        is_news = any(getattr(row, name) != value for name, value in told.items())
        Customer.objects.filter(pk=row.pk).update(
            **told,
            clean_seq=Greatest(F("clean_seq"), Value(seq)),
            read_started_at=read_started_at,
            fetch_lease_until=None,
            fetch_failures=0,
        )
        if is_news:
            _announce(row.pk)
    return True


def note_merge(*, store: Store, kept_gid: str, gone_gid: str, now: datetime) -> list[int]:
    """Shopify says that a customer became part of another. Both are read again, and so are the
    orders, which move; the link counts once a read does not find the one that went."""
    gids = (kept_gid, gone_gid)
    for gid in sorted(gids):
        Customer.objects.get_or_create(store=store, gid=gid)
    with transaction.atomic():
        # Orders before customers, each by id: as whoever projects an order locks them.
        moving = Order.objects.filter(store=store, customer_gid=gone_gid)
        orders = list(moving.select_for_update().order_by("pk").values_list("pk", flat=True))
        both = Customer.objects.filter(store=store, gid__in=gids)
        list(both.select_for_update().order_by("pk").values_list("pk", flat=True))
        ids = [mark_customer_dirty(store=store, gid=gid, now=now) for gid in gids]
        Customer.objects.filter(store=store, gid=gone_gid).update(merged_into=kept_gid)
        Order.objects.filter(pk__in=orders).update(dirty_seq=F("dirty_seq") + 1, fetch_after=now)
    return ids


def _is_before(stored: datetime, began: datetime) -> bool:
    """Whether the read that is stored began no later than another that just ended. One that
    begins in the future was written by a clock that ran ahead, and is believed by nobody."""
    return stored <= began or stored > timezone.now()


def _columns(
    row: Customer, details: CustomerDetails | None, read_started_at: datetime
) -> dict[str, Any]:
    if details is None:
        return {"deleted_at": row.deleted_at or read_started_at}
    if ledger.covers_customer(row.store_id, details):
        # Shopify may still know a person who was redacted here.
        details = CustomerDetails(
            gid=details.gid, order_count=details.order_count, updated_at=details.updated_at
        )
    return columns.customer_columns(details) | {"deleted_at": None, "merged_into": ""}


def _announce(customer_id: int) -> None:
    """Expects the transaction that changed it."""
    customer_changed.send_robust(Customer, customer_id=customer_id)
