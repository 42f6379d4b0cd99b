"""Models: connections to Shopify, stored webhooks, and sync progress."""

from shopify_sync.models.connections import ConnectionMethod, ShopConnection
from shopify_sync.models.sync import Backfill, BackfillState, Comparison, Drift, SyncCursor
from shopify_sync.models.webhooks import (
    EventState,
    WebhookEvent,
    WebhookEventQuerySet,
    WebhookTally,
)

__all__ = [
    "Backfill",
    "BackfillState",
    "Comparison",
    "ConnectionMethod",
    "Drift",
    "EventState",
    "ShopConnection",
    "SyncCursor",
    "WebhookEvent",
    "WebhookEventQuerySet",
    "WebhookTally",
]
