"""import_snapshots: many orders at once, as a back-fill brings them.

One order at a time is record_snapshot's business; this is its fast sister for orders that
nobody has acted on yet. Both write the same rows (services.rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders import redactions
from orders.inserting import insert
from orders.masking import masked
from orders.models import (
    Customer,
    Order,
    OrderEvent,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
    Store,
)
from orders.services import rows
from orders.services.history import first_events, tell
from orders.signals import orders_imported
from orders.snapshot import OrderSnapshot, encode


@dataclass(frozen=True, slots=True)
class Imported:
    """How many orders were written, and how many were left to a read of their own because a
    complete, older read of them is stored."""

    written: int
    left_dirty: int


def import_snapshots(
    store: Store, snapshots: Sequence[OrderSnapshot], *, read_started_at: datetime
) -> Imported:
    """Write snapshots of different orders that lack the links between items and parcels.

    Expects the caller's transaction, so that the caller's place in the file is saved with them.
    An order that was ever read completely is not written: where the file is newer, it is marked
    dirty instead. Running it twice changes nothing. Raises IntegrityError when a webhook made
    one of the orders meanwhile: run it again.
    """
    redacted = redactions.covered(store.pk, snapshots)
    latest = {s.gid: masked(s) if s.gid in redacted else s for s in snapshots}
    held = _lock(store, latest)
    fresh, dirty = [], []
    for gid, snapshot in latest.items():
        order = held.get(gid) or Order(store=store, gid=gid)
        if order.document and not order.is_partial:
            if order.shop_updated_at is None or snapshot.updated_at > order.shop_updated_at:
                dirty.append(order.pk)
        elif order.shop_updated_at is None or snapshot.updated_at >= order.shop_updated_at:
            fresh.append((order, snapshot))
    Order.objects.filter(pk__in=dirty).update(dirty_seq=F("dirty_seq") + 1, fetch_after=None)
    if fresh:
        _write(store, fresh, read_started_at, redacted)
        ids = list(_ids(store, [snapshot.gid for _order, snapshot in fresh]).values())
        transaction.on_commit(lambda: orders_imported.send(Order, order_ids=ids), robust=True)
    return Imported(written=len(fresh), left_dirty=len(dirty))


def _lock(store: Store, latest: dict[str, OrderSnapshot]) -> dict[str, Order]:
    """The rows there are, locked in one order so that no two writers wait for each other."""
    found = Order.objects.filter(store=store, gid__in=list(latest)).order_by("gid")
    locked = found.select_for_update()
    # Whole rows of our own: an upsert would load every deferred column one by one.
    held = {
        gid: Order(pk=pk, store=store, gid=gid, is_partial=is_partial, shop_updated_at=updated,
                   version=version, document="" if version == 0 else "read")
        for pk, gid, is_partial, updated, version in locked.values_list(
            "pk", "gid", "is_partial", "shop_updated_at", "version"
        )
    }  # fmt: skip
    for order in held.values():
        order._state.adding = False
    return held


def _write(
    store: Store,
    fresh: list[tuple[Order, OrderSnapshot]],
    read_started_at: datetime,
    redacted: set[str],
) -> None:
    again = [order.pk for order, _snapshot in fresh if order.document]
    known: list[Order] = []
    new: list[rows.Row] = []
    columns: list[str] = []
    for order, snapshot in fresh:
        values = rows.order_columns(snapshot, encode(snapshot)) | {
            "version": order.version + 1,
            "read_started_at": read_started_at,
            "is_partial": True,
            "masked_at": read_started_at if snapshot.gid in redacted else None,
            "missing_since": None,
            "deleted_at": None,
        }
        if order._state.adding:
            new.append(values | {"store_id": store.pk, "gid": snapshot.gid})
        else:
            for name, value in values.items():
                setattr(order, name, value)
            columns = list(values)
            known.append(order)
    insert(Order, new)
    Order.objects.bulk_create(
        known, update_conflicts=True, unique_fields=["store", "gid"], update_fields=columns
    )
    for model in (OrderLine, OrderFulfillment, OrderTracking, OrderTransaction, OrderRefund):
        model._default_manager.filter(order__in=again).delete()
    ids = _ids(store, [snapshot.gid for _order, snapshot in fresh])
    pairs = [(ids[snapshot.gid], snapshot) for _order, snapshot in fresh]
    insert(OrderLine, [row for pair in pairs for row in rows.lines(*pair)])
    insert(OrderFulfillment, [row for pair in pairs for row in rows.fulfillments(*pair)])
    insert(OrderTracking, [row for pair in pairs for row in rows.trackings(*pair)])
    insert(OrderTransaction, [row for pair in pairs for row in rows.transactions(*pair)])
    insert(OrderRefund, [row for pair in pairs for row in rows.refunds(*pair)])
    customers = {
        s.customer.gid: s.customer for _order, s in fresh if s.customer and s.gid not in redacted
    }
    Customer.objects.bulk_create(
        [rows.customer(store, customer) for _gid, customer in sorted(customers.items())],
        **rows.CUSTOMER_UPSERT,
    )
    _write_events(store, pairs)


def _ids(store: Store, gids: list[str]) -> dict[str, int]:
    return dict(Order.objects.filter(store=store, gid__in=gids).values_list("gid", "pk"))


def _write_events(store: Store, pairs: list[tuple[int, OrderSnapshot]]) -> None:
    ids = [order_id for order_id, _snapshot in pairs]
    known = set(OrderEvent.objects.filter(order__in=ids).values_list("order_id", "key"))
    now = timezone.now()
    new = [
        row | {"recorded_at": now}
        for order_id, snapshot in pairs
        for row in first_events(order_id, snapshot, connected_at=store.connected_at)
        if (order_id, row["key"]) not in known
    ]
    insert(OrderEvent, new)
    if any(row["announced_at"] is None for row in new):
        waiting = OrderEvent.objects.unannounced().filter(order__in=ids)
        for event_id in waiting.values_list("pk", flat=True):
            tell(event_id)
