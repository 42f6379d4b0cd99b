"""Back-fill: import a store's past orders through a bulk operation, in small, crash-safe steps.

ASKING -> PREPARING -> IMPORTING -> DONE. If Shopify refuses the bulk operation, it's DONE at once
and reconciliation reads the orders page by page. Each step is claimed with a lease and a fence,
and a batch's orders are saved in one transaction with the position in the file. Reconciliation
and webhooks already work while it runs; an order they have read completely isn't overwritten.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from core.json_types import JsonObject
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
    """Another worker has claimed the back-fill."""


def begin(store: Store) -> Backfill:
    """Return the store's open back-fill; create one if there is none. Sends nothing."""
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
    """Return whether the last back-fill read only 60 days and the app may now read more."""
    last = Backfill.objects.filter(store=store, state=BackfillState.DONE).first()
    if last is None or Backfill.objects.open().filter(store=store).exists():
        return False
    return last.since - read_since(store, last.started_at) > timedelta(days=1)


def read_since(store: Store, now: datetime) -> datetime:
    """Return how far back to read this store: 60 days without read_all_orders."""
    connection = ShopConnection.objects.filter(store=store).first()
    if connection is not None and "read_all_orders" in connection.scopes:
        return now - timedelta(days=settings.BACKFILL_DAYS)
    return now - read_window.RECENT


def advance(backfill_id: int) -> float | None:
    """Take one step; return the seconds until the next one.

    None means that nothing is left to do or another worker is on it.
    """
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
        wait_s = 0.1  # a webhook has just created one of the batch's orders
    except Throttled as error:
        wait_s = min(max(error.retry_after_s, 0.1), _LONGEST_WAIT_S)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  any failure postpones the row
        wait_s = _failed(row, error)
    if wait_s is not None:
        _save(row, next_step_at=timezone.now() + timedelta(seconds=wait_s))
    return wait_s


def _step(row: Backfill) -> float | None:
    steps = {
        BackfillState.ASKING: _start,
        BackfillState.PREPARING: _poll,
        BackfillState.IMPORTING: _import,
    }
    return steps[BackfillState(row.state)](row)


def _start(row: Backfill) -> float:
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


def _poll(row: Backfill) -> float | None:
    operation = bulk_file.look(client_for(row.store), row.operation_gid)
    if operation is None:
        raise Refused("Shopify no longer recognizes the bulk operation.")
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
    """Import batches until the file ends or the step's time is up."""
    until = time.monotonic() + _STEP_S
    batch: list[OrderSnapshot] = []
    unread: list[str] = []
    for found in bulk_file.orders_in(row.url, start=row.bytes_done):
        try:
            if found.data is None:
                raise mapping.MalformedAnswer("a line that isn't a JSON object of this order")
            batch.append(mapping.order_snapshot(found.data))
        except mapping.MalformedAnswer as error:
            logger.warning("could not read %s in %s's bulk file: %s", found.gid, row.store, error)
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
    # Mark these one by one and before the batch: a transaction that holds the batch's row locks
    # must not wait for other rows out of order. After a crash in between they're marked twice,
    # but still read only once.
    for gid in unread:
        number = gid.rsplit("/", 1)[-1]
        if number.isdigit():
            services.mark_dirty(store=row.store, gid=gid, legacy_id=int(number), now=now)
    with transaction.atomic():
        changes: JsonObject = {
            "bytes_done": end,
            "orders_done": F("orders_done") + len(batch),
            "orders_skipped": F("orders_skipped") + len(unread),
            "next_step_at": now + _LEASE,
            "bytes_reached": max(end, row.bytes_reached),
        }
        if end > row.bytes_reached:
            # It's making progress, and only failures without any progress count against it.
            changes["tries"] = 0
        if row.first_order_at is None:
            row.first_order_at = changes["first_order_at"] = now
        # Check the fence first: a worker that overslept must not write a stale file over newer
        # reads.
        _save(row, **changes)
        services.import_snapshots(row.store, batch, read_started_at=row.started_at)


def _finish(row: Backfill) -> None:
    """Mark the back-fill done and hand over to reconciliation, in one transaction.

    A cursor that is already set stays as it is: what lies in between is checked once more, which
    costs little.
    """
    with transaction.atomic():
        _save(row, state=BackfillState.DONE, finished_at=timezone.now(), error="", url="")
        SyncCursor.objects.get_or_create(store=row.store)
        unset = SyncCursor.objects.filter(store=row.store, updated_through=None)
        unset.update(updated_through=_read_through(row))


def _read_through(row: Backfill) -> datetime:
    """Return the time up to which the file holds every change, by Shopify's clock.

    `started_at` alone won't do, because our clock may have been ahead.
    """
    newest = Order.objects.filter(store=row.store).aggregate(at=Max("shop_updated_at"))["at"]
    return row.since if newest is None else min(row.started_at, newest)


def _failed(row: Backfill, error: Exception) -> float | None:
    """Schedule a retry, resuming in the file if it's still there.

    After _TRIES failures without any progress, give up and save the reason; an administrator can
    start another back-fill. If Shopify refuses the bulk operation, switch to reading pages.
    """
    if isinstance(error, NeedsAdmin):
        note_error(row.store, error, now=timezone.now())
    tries = row.tries + 1
    if isinstance(error, bulk_file.NotRun) or (isinstance(error, Refused) and tries >= _TRIES):
        _read_by_pages(row, error)
        return None
    changes: JsonObject = {"tries": tries, "error": str(error)[:2000]}
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
    """Let reconciliation read the orders page by page, since Shopify runs no bulk operation.

    The cursor is set to the back-fill's start, so every order since then counts as changed and is
    read by itself. A reconciliation run in progress loses its lease, because at its end it would
    move the cursor past those orders.
    """
    logger.warning("%s refuses bulk operations; reading it page by page: %s", row.store, error)
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


def _save(row: Backfill, **changes: object) -> None:
    """Update the row if our fence still holds. Raises Overtaken."""
    mine = Backfill.objects.filter(pk=row.pk, fence=row.fence)
    if not mine.update(**changes):
        raise Overtaken
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):
            setattr(row, name, value)
