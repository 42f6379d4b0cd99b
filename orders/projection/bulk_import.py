"""import_snapshots: write many orders at once, as a back-fill delivers them.

The fast counterpart of record_snapshot, for orders that no one has acted on yet. Both write the
same rows, built by orders.projection.columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F
from django.utils import timezone

from core.database.sql import (
    insert,
    upsert,
)
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
from orders.privacy import ledger
from orders.privacy.masking import masked
from orders.projection import columns
from orders.projection.events import (
    announce,
    first_events,
)
from orders.signals import orders_imported
from orders.snapshot import OrderSnapshot, encode


@dataclass(frozen=True, slots=True)
class Imported:
    """How many orders were written, and how many were marked dirty instead.

    The latter have a complete but older read stored, and need another complete one.
    """

    written: int
    left_dirty: int


def import_snapshots(
    store: Store, snapshots: Sequence[OrderSnapshot], *, read_started_at: datetime
) -> Imported:
    """Write snapshots of distinct orders, as a back-fill reads them: without items per parcel.

    Expects the caller's transaction, so that the caller's position in the file commits with them.
    An order that was ever read completely is not overwritten; if the file is newer, it is marked
    dirty instead. Idempotent. Raises IntegrityError if a webhook created one of the orders in the
    meantime: run it again.
    """
    redacted = ledger.covered(store.pk, snapshots)
    latest = {s.gid: masked(s) if s.gid in redacted else s for s in snapshots}
    # Insert new rows first, ordered by gid, then lock ordered by ID, like mark_many_dirty: a
    # transaction that is still inserting then holds no lock that another may wait for.
    new = set(latest) - set(_ids(store, list(latest)))
    insert(
        Order,
        [
            _order_row(store, _UNKNOWN, latest[gid], read_started_at, gid in redacted)
            for gid in sorted(new)
        ],
    )
    held = _lock(store, [gid for gid in latest if gid not in new])
    fresh: list[tuple[_Held, OrderSnapshot]] = []
    dirty: list[int] = []
    for gid, snapshot in latest.items():
        row = held.get(gid, _UNKNOWN)
        if row.version and not row.is_partial:
            if row.shop_updated_at is None or snapshot.updated_at > row.shop_updated_at:
                dirty.append(row.pk)
        elif row.may_be_written(snapshot):
            fresh.append((row, snapshot))
    Order.objects.filter(pk__in=dirty).update(dirty_seq=F("dirty_seq") + 1, fetch_after=None)
    if fresh:
        _write(store, fresh, read_started_at, redacted)
        ids = list(_ids(store, [snapshot.gid for _row, snapshot in fresh]).values())
        orders_imported.send_robust(Order, order_ids=ids)
    return Imported(written=len(fresh), left_dirty=len(dirty))


@dataclass(frozen=True, slots=True)
class _Held:
    """The columns of a stored order that decide what happens to it.

    `version` 0 means it was never read, `pk` 0 that there is no row.
    """

    pk: int
    is_partial: bool
    shop_updated_at: datetime | None
    version: int
    is_masked: bool = False

    def may_be_written(self, snapshot: OrderSnapshot) -> bool:
        if self.shop_updated_at is None or snapshot.updated_at > self.shop_updated_at:
            return True
        # Data masked because of its age comes back only when something happens to the order.
        return snapshot.updated_at == self.shop_updated_at and not self.is_masked


_UNKNOWN: Final = _Held(0, is_partial=False, shop_updated_at=None, version=0)


def _lock(store: Store, gids: Collection[str]) -> dict[str, _Held]:
    """Lock these orders' rows, in the order in which all writers lock orders."""
    found = Order.objects.filter(store=store, gid__in=list(gids)).order_by("pk")
    locked = found.select_for_update()
    return {
        gid: _Held(pk, is_partial, updated, version, is_masked=masked_at is not None)
        for gid, pk, is_partial, updated, version, masked_at in locked.values_list(
            "gid", "pk", "is_partial", "shop_updated_at", "version", "masked_at"
        )
    }


def _write(
    store: Store,
    fresh: list[tuple[_Held, OrderSnapshot]],
    read_started_at: datetime,
    redacted: set[str],
) -> None:
    again = [row.pk for row, _snapshot in fresh if row.version]
    known = [
        _order_row(store, row, snapshot, read_started_at, snapshot.gid in redacted)
        for row, snapshot in fresh
        if row.pk
    ]
    upsert(Order, known, unique=("store_id", "gid"))
    for model in (OrderLine, OrderFulfillment, OrderTracking, OrderTransaction, OrderRefund):
        model._default_manager.filter(order__in=again).delete()
    ids = _ids(store, [snapshot.gid for _row, snapshot in fresh])
    pairs = [(ids[snapshot.gid], snapshot) for _row, snapshot in fresh]
    insert(OrderLine, [row for pair in pairs for row in columns.lines(*pair)])
    insert(OrderFulfillment, [row for pair in pairs for row in columns.fulfillments(*pair)])
    insert(OrderTracking, [row for pair in pairs for row in columns.trackings(*pair)])
    insert(OrderTransaction, [row for pair in pairs for row in columns.transactions(*pair)])
    insert(OrderRefund, [row for pair in pairs for row in columns.refunds(*pair)])
    customers = {
        s.customer.gid: s.customer for _row, s in fresh if s.customer and s.gid not in redacted
    }
    # Not marked to be read: a back-fill names thousands, so they are read once someone looks.
    Customer.objects.bulk_create(
        [
            Customer(**columns.customer(store.pk, customer))
            for _gid, customer in sorted(customers.items())
        ],
        ignore_conflicts=True,
    )
    _write_events(store, pairs)


def _order_row(
    store: Store,
    row: _Held,
    snapshot: OrderSnapshot,
    read_started_at: datetime,
    is_redacted: bool,
) -> columns.Row:
    return {
        "store_id": store.pk,
        "gid": snapshot.gid,
        "version": row.version + 1,
        "read_started_at": read_started_at,
        # No version of the previous state is kept: no one has acted on a partial order, and its
        # next visible change keeps this state (orders.versions.keep).
        "state_since": read_started_at,
        "is_partial": True,
        "masked_at": read_started_at if is_redacted else None,
        "missing_since": None,
        "deleted_at": None,
    } | columns.order_columns(snapshot, encode(snapshot))


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
            announce(event_id)
