"""Back-fill: a store's past orders by a bulk operation, in small steps that survive a crash.

ASKING -> PREPARING -> IMPORTING -> DONE, or at once DONE where Shopify refuses: its orders are
then read in pages. Each step is claimed by time and fence; the orders of
a batch and the place in the file are one transaction. While it runs, reconciliation and
webhooks already work: what they read completely is not overwritten.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from orders import services
from orders.models import Order, Store
from orders.snapshot import OrderSnapshot
from shopify_sync import mapping
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    ShopifyError,
    Throttled,
)
from shopify_sync.models import Backfill, BackfillState, ShopConnection, SyncCursor
from shopify_sync.stores import read_window
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)
from shopify_sync.sync import bulk_file

logger = logging.getLogger(__name__)

_STEP_S: Final = 15.0
_LEASE: Final = timedelta(seconds=60)
_BATCH: Final = 250
_POLL_S: Final = 1.0
_TRIES: Final = 5
_LONGEST_WAIT_S: Final = 300.0


class Overtaken(Exception):
    """Another worker has the back-fill now."""


def begin(store: Store) -> Backfill:
    """The open back-fill of a store, begun if there is none. Sends nothing."""
    now = timezone.now()
    try:
        with transaction.atomic():
            made = Backfill.objects.create(
                store=store, since=read_since(store, now), next_step_at=now
            )
    except IntegrityError:
        return Backfill.objects.open().get(store=store)
    return made


def wants_more(store: Store) -> bool:
    """Whether read_all_orders was granted after the last back-fill read 60 days only."""
    last = Backfill.objects.filter(store=store, state=BackfillState.DONE).first()
    if last is None or Backfill.objects.open().filter(store=store).exists():
        return False
    return last.since - read_since(store, last.started_at) > timedelta(days=1)


def read_since(store: Store, now: datetime) -> datetime:
    """How far back this store is read."""
    connection = ShopConnection.objects.filter(store=store).first()
    if connection is not None and "read_all_orders" in connection.scopes:
        return now - timedelta(days=settings.BACKFILL_DAYS)
    return now - read_window.RECENT


def advance(backfill_id: int) -> float | None:
    """One step. How many seconds until the next one is due; None: nothing is to be done, or
    another worker does it."""
    now = timezone.now()
    claimed = (
        Backfill.objects.due(now=now)
        .filter(pk=backfill_id)
        .update(next_step_at=now + _LEASE, fence=F("fence") + 1)
    )
    if not claimed:
        return None
    row = Backfill.objects.select_related("store").get(pk=backfill_id)
    try:
        wait_s = _step(row)
    except Overtaken:
        return None
    except IntegrityError:
        wait_s = 0.1  # a webhook made one of the batch's orders meanwhile
    except Throttled as error:
        wait_s = min(max(error.retry_after_s, 0.1), _LONGEST_WAIT_S)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  the edge where a row that fails is put off
        wait_s = _failed(row, error)
    if wait_s is not None:
        _save(row, next_step_at=timezone.now() + timedelta(seconds=wait_s))
    return wait_s


def _step(row: Backfill) -> float | None:
    steps = {
        BackfillState.ASKING: _ask,
        BackfillState.PREPARING: _look,
        BackfillState.IMPORTING: _import,
    }
    return steps[BackfillState(row.state)](row)


def _ask(row: Backfill) -> float:
    client = client_for(row.store)
    query = f"updated_at:>='{row.since:%Y-%m-%dT%H:%M:%SZ}'"
    counted = client.read("OrdersCount", {"query": query}).get("ordersCount") or {}
    gid = bulk_file.ask(client, since=row.since)
    _save(
        row,
        state=BackfillState.PREPARING,
        operation_gid=gid,
        orders_expected=counted.get("count"),
    )
    return 0.2


def _look(row: Backfill) -> float | None:
    operation = bulk_file.look(client_for(row.store), row.operation_gid)
    if operation is None:
        raise Refused("Shopify does not know the bulk operation any more.")
    if operation.status in {"CREATED", "RUNNING", "CANCELING"}:
        is_progress = operation.orders > row.orders_prepared
        _save(
            row,
            orders_prepared=max(operation.orders, row.orders_prepared),
            tries=0 if is_progress else row.tries,
        )
        return _POLL_S
    if operation.status != "COMPLETED":
        code = operation.error_code or operation.status
        raise Refused(f"Shopify ended the bulk operation: {code}.")
    if not operation.url:
        _finish(row)
        return None
    _save(
        row,
        state=BackfillState.IMPORTING,
        url=operation.url,
        bytes_done=0,
        file_size=operation.file_size,
        orders_prepared=operation.orders,
    )
    return 0.0


def _import(row: Backfill) -> float | None:
    """Batches until the file or the step's time ends."""
    until = time.monotonic() + _STEP_S
    batch: list[OrderSnapshot] = []
    unread: list[str] = []
    for found in bulk_file.orders_in(row.url, start=row.bytes_done):
        try:
            if found.data is None:
                raise mapping.MalformedAnswer("a line that is no JSON object of this order")
            batch.append(mapping.order_snapshot(found.data))
        except mapping.MalformedAnswer as error:
            logger.warning("%s in %s's bulk file was not read: %s", found.gid, row.store, error)
            unread.append(found.gid)
        if len(batch) + len(unread) >= _BATCH:
            _store(row, batch, unread, found.end)
            batch, unread = [], []
            if time.monotonic() > until:
                return 0.0
        end = found.end
    if batch or unread:
        _store(row, batch, unread, end)
    _finish(row)
    return None


def _store(row: Backfill, batch: list[OrderSnapshot], unread: list[str], end: int) -> None:
    now = timezone.now()
    # Each by itself and before the batch: one that holds the batch's rows must not wait for
    # others out of turn. Marked twice, after a crash between the two, is read once.
    for gid in unread:
        number = gid.rsplit("/", 1)[-1]
        if number.isdigit():
            services.mark_dirty(store=row.store, gid=gid, legacy_id=int(number), now=now)
    with transaction.atomic():
        changes: dict[str, Any] = {
            "bytes_done": end,
            "orders_done": F("orders_done") + len(batch),
            "orders_skipped": F("orders_skipped") + len(unread),
            "next_step_at": now + _LEASE,
            "bytes_reached": max(end, row.bytes_reached),
        }
        if end > row.bytes_reached:
            # It gets on: only failures with nothing gained between them end it.
            changes["tries"] = 0
        if row.first_order_at is None:
            row.first_order_at = changes["first_order_at"] = now
        # The fence first: a worker that slept must not write a stale file over newer reads.
        _save(row, **changes)
        services.import_snapshots(row.store, batch, read_started_at=row.started_at)


def _finish(row: Backfill) -> None:
    """Done, and only now: from here on, changes are reconciliation's.

    One transaction. A cursor that stands somewhere already stays there: what lies between is
    looked at once more, which costs little.
    """
    with transaction.atomic():
        _save(row, state=BackfillState.DONE, finished_at=timezone.now(), error="", url="")
        SyncCursor.objects.get_or_create(store=row.store)
        unset = SyncCursor.objects.filter(store=row.store, updated_through=None)
        unset.update(updated_through=_read_through(row))


def _read_through(row: Backfill) -> datetime:
    """Up to when the file holds every change, in the shop's own time: the clock that began the
    back-fill may have run ahead."""
    newest = Order.objects.filter(store=row.store).aggregate(at=Max("shop_updated_at"))["at"]
    return row.since if newest is None else min(row.started_at, newest)


def _failed(row: Backfill, error: Exception) -> float | None:
    """Try again, from the place reached where the file still stands; after five times in a row
    without having got on, give up with the reason: the administrator's button begins anew."""
    if isinstance(error, NeedsAdmin):
        note_error(row.store, error, now=timezone.now())
    tries = row.tries + 1
    if isinstance(error, bulk_file.NotRun) or (isinstance(error, Refused) and tries >= _TRIES):
        _read_by_pages(row, error)
        return None
    changes: dict[str, Any] = {"tries": tries, "error": str(error)[:2000]}
    if isinstance(error, Refused | bulk_file.FileGone):
        changes |= {"state": BackfillState.ASKING, "operation_gid": "", "url": "", "bytes_done": 0}
    if tries >= _TRIES:
        changes |= {"state": BackfillState.FAILED, "finished_at": timezone.now()}
    is_known = isinstance(error, ShopifyError | bulk_file.FileGone | mapping.MalformedAnswer)
    text = "the back-fill of %s failed, try %s: %s"
    logger.warning(text, row.store, tries, error, exc_info=not is_known)
    _save(row, **changes)
    return None if tries >= _TRIES else float(2**tries)


def _read_by_pages(row: Backfill, error: Refused) -> None:
    """Where Shopify runs no bulk operation, reconciliation reads the same orders in pages: from
    the back-fill's beginning on everything counts as changed, and each order is read by itself.

    A reading that is under way loses its lease, as it would move the place past it.
    """
    logger.warning("%s refuses bulk operations, and is read in pages: %s", row.store, error)
    with transaction.atomic():
        _save(
            row,
            state=BackfillState.DONE,
            finished_at=timezone.now(),
            url="",
            error=f"{error} Its orders are read page by page instead, which takes longer."[:2000],
        )
        cursor, _created = SyncCursor.objects.get_or_create(store=row.store)
        SyncCursor.objects.filter(pk=cursor.pk).update(
            updated_through=row.since, lease_until=None, progress={}
        )


def _save(row: Backfill, **changes: Any) -> None:
    mine = Backfill.objects.filter(pk=row.pk, fence=row.fence)
    if not mine.update(**changes):
        raise Overtaken
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):
            setattr(row, name, value)
