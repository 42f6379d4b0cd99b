"""How far back Shopify lets the app read: 60 days, unless it granted read_all_orders.

Shopify answers a query for an older order as if the order didn't exist. That proves nothing, so
we never delete our copy because of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from orders.models import Order
from shopify_sync.api.client import AdminClient
from shopify_sync.models import WebhookEvent

# How far back an app without read_all_orders can read.
RECENT: Final = timedelta(days=60)
# Shopify draws the line by its own clock and its own days, so leave a margin.
_EDGE: Final = timedelta(days=2)


def certainly_readable_since(now: datetime) -> datetime:
    """Return the time after which every app can see every order, whatever its scopes."""
    return now - RECENT + _EDGE


def may_be_hidden(order: Order, client: AdminClient, *, now: datetime) -> bool:
    """Return whether a missing order may merely be hidden from this app.

    Reads the granted scopes from Shopify; raises ShopifyError. Without read_all_orders, an order
    only counts as gone if Shopify sent orders/delete for it and it is too recent to be hidden.
    """
    if not order.document or reads_all_orders(client):
        return False
    created = min(order.snapshot.created_at, order.snapshot.placed_at)
    return created <= certainly_readable_since(now) or not _deletion_was_announced(order)


def _deletion_was_announced(order: Order) -> bool:
    announced = WebhookEvent.objects.filter(order_id=order.pk, topic="orders/delete")
    return announced.filter(store=order.store_id).exists()


def reads_all_orders(client: AdminClient) -> bool:
    """Read from Shopify whether the app has read_all_orders now. Raises ShopifyError."""
    installation = client.read("ShopInfo", {}).get("currentAppInstallation") or {}
    scopes = {scope.get("handle") for scope in installation.get("accessScopes") or () if scope}
    return "read_all_orders" in scopes
