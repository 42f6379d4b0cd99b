"""How far back Shopify lets the app read: 60 days, unless it granted read_all_orders.

An older order is answered as if there were none. That says nothing of the order, so nothing we
hold is taken back for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from orders.models import Order
from shopify_sync.api.client import AdminClient
from shopify_sync.models import WebhookEvent

# Without read_all_orders an app reads no further back.
RECENT: Final = timedelta(days=60)
# The edge is Shopify's, by its own clock and its own day.
_EDGE: Final = timedelta(days=2)


def certainly_readable_since(now: datetime) -> datetime:
    """Orders placed after this are shown to every app, whatever it was granted."""
    return now - RECENT + _EDGE


def may_be_hidden(order: Order, client: AdminClient, *, now: datetime) -> bool:
    """Whether "no such order" may only mean that this app is not shown it. Asks Shopify what it
    grants today. Raises ShopifyError.

    To an app without read_all_orders a missing order proves nothing by itself. It is gone where
    Shopify has told of its deletion and it is too young to be hidden.
    """
    if not order.document or reads_all_orders(client):
        return False
    created = min(order.snapshot.created_at, order.snapshot.placed_at)
    return created <= certainly_readable_since(now) or not _was_told_deleted(order)


def _was_told_deleted(order: Order) -> bool:
    told = WebhookEvent.objects.filter(order_id=order.pk, topic="orders/delete")
    return told.filter(store=order.store_id).exists()


def reads_all_orders(client: AdminClient) -> bool:
    """Whether Shopify shows this app every order, as it says now. Raises ShopifyError."""
    installation = client.read("ShopInfo", {}).get("currentAppInstallation") or {}
    scopes = {scope.get("handle") for scope in installation.get("accessScopes") or () if scope}
    return "read_all_orders" in scopes
