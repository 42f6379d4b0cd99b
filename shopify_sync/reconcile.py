"""Reconciliation: what webhooks did not tell. By `updated_at`, with an overlap."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders.models import Order, Store
from orders.services import mark_dirty
from shopify_sync import backfill
from shopify_sync.client import AdminClient
from shopify_sync.connections import client_for, note_error
from shopify_sync.errors import NeedsAdmin, ShopifyError
from shopify_sync.models import Drift, SyncCursor

logger = logging.getLogger(__name__)

# updatedAt has whole seconds, and Shopify's index lags.
OVERLAP: Final = timedelta(minutes=10)
# A change this young may still have its webhook on the way.
_ON_ITS_WAY: Final = timedelta(minutes=2)
_LEASE: Final = timedelta(minutes=10)
_PAGE: Final = 250


def reconcile(store_id: int) -> int | None:
    """Mark every order dirty that is newer at Shopify than here; returns how many.

    The first run of a store begins its back-fill instead. None: another worker is at it, or
    Shopify could not be read; the cursor then stands where it stood, so nothing is skipped.
    """
    now = timezone.now()
    store = Store.objects.get(pk=store_id)
    cursor, _created = SyncCursor.objects.get_or_create(store=store)
    if cursor.updated_through is None:
        backfill.begin(store)
        return 0
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    if not SyncCursor.objects.filter(free, pk=cursor.pk).update(lease_until=now + _LEASE):
        return None
    changes: dict[str, Any] = {"lease_until": None}
    try:
        found, drifted = _read_changes(store, cursor.updated_through - OVERLAP, now)
        changes |= {
            "updated_through": now,
            "finished_at": timezone.now(),
            "drift_found": F("drift_found") + drifted,
        }
    except NeedsAdmin as error:
        note_error(store, error, now=now)
        return None
    except ShopifyError as error:
        logger.warning("%s could not be reconciled: %s", store.domain, error)
        return None
    finally:
        SyncCursor.objects.filter(pk=cursor.pk).update(**changes)
    return found


def pages(client: AdminClient, document: str, *, since: datetime) -> Iterator[list[dict[str, Any]]]:
    """The orders changed since then, oldest change first, page by page."""
    query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    after = None
    while True:
        variables = {"query": query, "first": _PAGE, "after": after}
        orders = client.read(document, variables).get("orders") or {}
        yield [node for node in orders.get("nodes") or () if node]
        page = orders.get("pageInfo") or {}
        if not page.get("hasNextPage"):
            return
        after = page.get("endCursor")


def _read_changes(store: Store, since: datetime, now: datetime) -> tuple[int, int]:
    """(marked dirty, of these: drift)."""
    found = seen = 0
    drifts: list[Drift] = []
    for page in pages(client_for(store), "OrdersUpdatedSince", since=since):
        gids = [node["id"] for node in page]
        rows = Order.objects.filter(store=store, gid__in=gids)
        known = {
            gid: (updated, dirty > clean)
            for gid, updated, dirty, clean in rows.values_list(
                "gid", "shop_updated_at", "dirty_seq", "clean_seq"
            )
        }
        for node in page:
            stored, is_dirty = known.get(node["id"], (None, False))
            updated = parse_datetime(node["updatedAt"])
            if updated is None or (stored is not None and updated <= stored):
                continue
            if is_dirty:
                continue  # a webhook told of it; its read is under way
            mark_dirty(
                store=store, gid=node["id"], legacy_id=int(node["legacyResourceId"]), now=now
            )
            found += 1
            if store.connected_at < updated < now - _ON_ITS_WAY:
                drifts.append(
                    Drift(store=store, order_gid=node["id"], found_at=now,
                          shop_updated_at=updated, stored_updated_at=stored)
                )  # fmt: skip
        seen += len(page)
        SyncCursor.objects.filter(store=store).update(orders_seen=seen)
    Drift.objects.bulk_create(drifts, ignore_conflicts=True)
    return found, len(drifts)
