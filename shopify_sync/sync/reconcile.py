"""Reconciliation: find changes that no webhook announced, by `updated_at` with an overlap."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from core.database.leases import is_free
from core.json_types import JsonObject
from orders.models import Order, Store
from orders.services import mark_dirty
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    ShopifyError,
)
from shopify_sync.models import Backfill, BackfillState, Drift, SyncCursor
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)
from shopify_sync.sync import backfill

logger = logging.getLogger(__name__)

# updatedAt has only whole seconds, and Shopify's search index lags.
OVERLAP: Final = timedelta(minutes=10)
# The webhook for a more recent change may still be on its way.
_ON_ITS_WAY: Final = timedelta(minutes=2)
# Renewed after each page; longer than the longest call plus a token renewal.
_LEASE: Final = timedelta(seconds=90)
_TURN_S: Final = 15.0
_BACKFILL_AGAIN: Final = timedelta(hours=1)
_PAGE: Final = 250


def reconcile(store_id: int) -> int | None:
    """Mark every order dirty that is newer at Shopify than here; return how many.

    The first run for a store starts its back-fill instead. None means that another worker is on
    it or Shopify could not be read; the next run then resumes where this one stopped.
    """
    marked = 0
    while (turn := take_turn(store_id)) is not None:
        marked += turn.marked
        if turn.is_over:
            return marked
    return None


@dataclass(frozen=True, slots=True)
class Turn:
    """How many orders a turn marked dirty, and whether the run is over."""

    marked: int
    is_over: bool


def take_turn(store_id: int) -> Turn | None:
    """Do as much of `reconcile` as a task has time for. Returns None in the same cases."""
    now = timezone.now()
    store = Store.objects.get(pk=store_id)
    cursor, _created = SyncCursor.objects.get_or_create(store=store)
    if cursor.updated_through is None:
        _begin_backfill(store, now)
        return Turn(0, is_over=True)
    lease = now + _LEASE
    free = is_free("lease_until", now=now)
    if not SyncCursor.objects.filter(free, pk=cursor.pk).update(lease_until=lease):
        return None
    # Read again under the lease: another worker may just have moved it.
    cursor.refresh_from_db()
    run = _Run(store, cursor, lease)
    try:
        run.read_changes(now)
    except NeedsAdmin as error:
        note_error(store, error, now=now)
        return None
    except Refused as error:
        # Shopify may no longer accept our cursor, so start over.
        run.forget_place()
        logger.warning("could not reconcile %s: %s", store.domain, error)
        return None
    except ShopifyError as error:
        logger.warning("could not reconcile %s: %s", store.domain, error)
        return None
    finally:
        run.release(now)
    return Turn(run.marked, is_over=run.is_over)


def pages(client: AdminClient, document: str, *, since: datetime) -> Iterator[list[JsonObject]]:
    """Yield the orders changed since then, oldest change first, page by page."""
    after: str | None = None
    while True:
        nodes, after = page_of(client, document, since=since, after=after)
        yield nodes
        if after is None:
            return


def page_of(
    client: AdminClient, document: str, *, since: datetime, after: str | None
) -> tuple[list[JsonObject], str | None]:
    """Read one page of the orders changed since then, oldest change first.

    Returns the orders and the cursor for the next page, None if this was the last.
    """
    query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    variables = {"query": query, "first": _PAGE, "after": after}
    orders = client.read(document, variables).get("orders") or {}
    page = orders.get("pageInfo") or {}
    nodes = [node for node in orders.get("nodes") or () if node]
    return nodes, str(page.get("endCursor")) if page.get("hasNextPage") else None


def _begin_backfill(store: Store, now: datetime) -> None:
    """Start a store's back-fill unless one is open; after a failed one, only an hour later.

    Until one is done, there's no time from which to reconcile.
    """
    last = Backfill.objects.filter(store=store).first()
    has_failed = last is not None and last.state == BackfillState.FAILED
    rests_until = last.finished_at + _BACKFILL_AGAIN if last and last.finished_at else now
    if not has_failed or rests_until <= now:
        backfill.begin(store)


class _Run:
    """One run over the changes. Its place is saved, so that it can resume after an interruption."""

    def __init__(self, store: Store, cursor: SyncCursor, lease: datetime) -> None:
        self._store, self._cursor, self._lease = store, cursor, lease
        self._place: JsonObject = dict(cursor.progress)
        self.marked = 0
        self.is_over = False
        self._seen = 0
        self._drifts: list[Drift] = []

    def read_changes(self, now: datetime) -> None:
        through = self._cursor.updated_through
        assert through is not None  # noqa: S101  the caller has checked
        # min(), because a clock that was ahead may have written it, or ours may be behind.
        since = parse_datetime(str(self._place.get("since", ""))) or min(through, now) - OVERLAP
        self._place["since"] = since.isoformat()
        until = time.monotonic() + _TURN_S
        client = client_for(self._store)
        while True:
            after = self._place.get("after")
            nodes, after = page_of(client, "OrdersUpdatedSince", since=since, after=after)
            self._mark_changed(nodes, now)
            self._place["after"] = after
            if after is None:
                self.is_over = True
                return
            if time.monotonic() >= until or not self._renew():
                return

    def forget_place(self) -> None:
        self._place = {}

    def release(self, now: datetime) -> None:
        """Save the progress and release the lease, if it's still ours."""
        Drift.objects.bulk_create(self._drifts, ignore_conflicts=True)
        changes: JsonObject = {
            "lease_until": None,
            "progress": {} if self.is_over else self._place,
            "drift_found": F("drift_found") + len(self._drifts),
            "orders_seen": self._seen,
        }
        if self.is_over:
            changes |= {"finished_at": timezone.now(), "updated_through": self._newest()}
        self._mine().update(**changes)

    def _newest(self) -> datetime:
        """Return the time of the newest change, by Shopify's clock whatever ours says.

        If nothing changed, return the time this run started from, without the overlap.
        """
        newest = parse_datetime(str(self._place.get("newest", "")))
        since = parse_datetime(self._place["since"])
        assert since is not None  # noqa: S101  read_changes has written it
        return newest or since + OVERLAP

    def _mine(self) -> QuerySet[SyncCursor]:
        return SyncCursor.objects.filter(pk=self._cursor.pk, lease_until=self._lease)

    def _renew(self) -> bool:
        lease = timezone.now() + _LEASE
        if not self._mine().update(lease_until=lease):
            return False
        self._lease = lease
        return True

    def _mark_changed(self, page: list[JsonObject], now: datetime) -> None:
        gids = [node["id"] for node in page]
        rows = Order.objects.filter(store=self._store, gid__in=gids)
        known = {
            gid: (updated, dirty > clean)
            for gid, updated, dirty, clean in rows.values_list(
                "gid", "shop_updated_at", "dirty_seq", "clean_seq"
            )
        }
        for node in page:
            stored, is_dirty = known.get(node["id"], (None, False))
            updated = parse_datetime(node["updatedAt"])
            if updated is None:
                continue
            newest = parse_datetime(str(self._place.get("newest", "")))
            self._place["newest"] = max(updated, newest or updated).isoformat()
            if stored is not None and updated <= stored:
                continue
            if is_dirty:
                continue  # a webhook has announced it and its read is pending
            mark_dirty(
                store=self._store, gid=node["id"], legacy_id=int(node["legacyResourceId"]), now=now
            )
            self.marked += 1
            if self._store.connected_at < updated < now - _ON_ITS_WAY:
                self._drifts.append(
                    Drift(
                        store=self._store,
                        order_gid=node["id"],
                        found_at=now,
                        shop_updated_at=updated,
                        stored_updated_at=stored,
                    )
                )
        self._seen += len(page)
