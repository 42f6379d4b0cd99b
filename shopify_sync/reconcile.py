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
from shopify_sync.client import AdminClient
from shopify_sync.connections import client_for, note_error
from shopify_sync.errors import NeedsAdmin, ShopifyError
from shopify_sync.models import SyncCursor

logger = logging.getLogger(__name__)

# updatedAt has whole seconds, and Shopify's index lags.
OVERLAP: Final = timedelta(minutes=10)
# Without read_all_orders an app reads no further back.
BACKFILL: Final = timedelta(days=60)
_LEASE: Final = timedelta(minutes=10)
_PAGE: Final = 100


def reconcile(store_id: int) -> int | None:
    """Mark every order dirty that is newer at Shopify than here; returns how many.

    The first run of a store is its back-fill. None: another worker is at it, or Shopify could
    not be read; the cursor then stands where it stood, so nothing is skipped.
    """
    now = timezone.now()
    store = Store.objects.get(pk=store_id)
    cursor, _created = SyncCursor.objects.get_or_create(store=store)
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    if not SyncCursor.objects.filter(free, pk=cursor.pk).update(lease_until=now + _LEASE):
        return None
    changes: dict[str, Any] = {"lease_until": None}
    try:
        found = _read_changes(store, cursor, now)
        changes |= {"updated_through": now, "finished_at": timezone.now()}
        if cursor.updated_through is not None:
            changes["drift_found"] = F("drift_found") + found
    except NeedsAdmin as error:
        note_error(store, error, now=now)
        return None
    except ShopifyError as error:
        logger.warning("%s could not be reconciled: %s", store.domain, error)
        return None
    finally:
        SyncCursor.objects.filter(pk=cursor.pk).update(**changes)
    return found


def _read_changes(store: Store, cursor: SyncCursor, now: datetime) -> int:
    since = (cursor.updated_through or now - BACKFILL) - OVERLAP
    query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    found = seen = 0
    for page in _pages(client_for(store), query):
        gids = [node["id"] for node in page]
        known = dict(
            Order.objects.filter(store=store, gid__in=gids).values_list("gid", "shop_updated_at")
        )
        for node in page:
            stored = known.get(node["id"])
            updated = parse_datetime(node["updatedAt"])
            if stored is None or (updated and updated > stored):
                mark_dirty(
                    store=store, gid=node["id"], legacy_id=int(node["legacyResourceId"]), now=now
                )
                found += 1
        seen += len(page)
        SyncCursor.objects.filter(pk=cursor.pk).update(orders_seen=seen)
    return found


def _pages(client: AdminClient, query: str) -> Iterator[list[dict[str, Any]]]:
    after = None
    while True:
        variables = {"query": query, "first": _PAGE, "after": after}
        orders = client.read("OrdersUpdatedSince", variables).get("orders") or {}
        yield [node for node in orders.get("nodes") or () if node]
        page = orders.get("pageInfo") or {}
        if not page.get("hasNextPage"):
            return
        after = page.get("endCursor")
