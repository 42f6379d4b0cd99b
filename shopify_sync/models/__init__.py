"""Connections to Shopify, what it sent, and how far it has been read."""

from shopify_sync.models.connections import ShopConnection
from shopify_sync.models.sync import SyncCursor
from shopify_sync.models.webhooks import (
    EventState,
    WebhookEvent,
    WebhookEventQuerySet,
    WebhookTally,
)

__all__ = [
    "EventState",
    "ShopConnection",
    "SyncCursor",
    "WebhookEvent",
    "WebhookEventQuerySet",
    "WebhookTally",
]
