"""The webhook subscriptions a store needs, and making sure that it has them."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.urls import reverse

from orders.models import Store
from shopify_sync.connections import client_for
from shopify_sync.errors import Refused

# facts: the minimum set. Tracking news comes by the fulfillment topics.
TOPICS: Final = (
    "ORDERS_CREATE",
    "ORDERS_UPDATED",
    "ORDERS_EDITED",
    "ORDERS_CANCELLED",
    "ORDERS_DELETE",
    "REFUNDS_CREATE",
    "ORDER_TRANSACTIONS_CREATE",
    "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE",
    "FULFILLMENT_EVENTS_CREATE",
    "RETURNS_REQUEST",
    "RETURNS_APPROVE",
    "RETURNS_DECLINE",
    "RETURNS_CANCEL",
    "RETURNS_CLOSE",
    "RETURNS_REOPEN",
    "RETURNS_PROCESS",
    "REVERSE_FULFILLMENT_ORDERS_DISPOSE",
    "APP_UNINSTALLED",
    "APP_SCOPES_UPDATE",
    "BULK_OPERATIONS_FINISH",
)


def address() -> str:
    return settings.PUBLIC_URL + reverse("shopify-webhook")


def wire_name(topic: str) -> str:
    """The name a delivery and an app's file carry: ORDERS_CREATE is orders/create."""
    prefixes = (
        "REVERSE_FULFILLMENT_ORDERS",
        "FULFILLMENT_EVENTS",
        "ORDER_TRANSACTIONS",
        "BULK_OPERATIONS",
    )
    head = next((p for p in prefixes if topic.startswith(p + "_")), topic.split("_", 1)[0])
    return f"{head}/{topic.removeprefix(head + '_')}".lower()


def missing(store: Store) -> list[str]:
    """The topics that are not subscribed to our address. Raises ShopifyError."""
    client = client_for(store)
    have: set[str] = set()
    after = None
    while True:
        found = client.read("WebhookSubscriptions", {"after": after})["webhookSubscriptions"]
        have |= {node["topic"] for node in found["nodes"] if node["uri"] == address()}
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
    return [topic for topic in TOPICS if topic not in have]


def ensure(store: Store) -> int:
    """Create what is missing; returns how many were. Raises ShopifyError, and Refused after
    trying every topic."""
    client = client_for(store)
    wanted = missing(store)
    problems = []
    for topic in wanted:
        subscription = {"uri": address(), "format": "JSON"}
        data = client.execute(
            "WebhookSubscriptionCreate", {"topic": topic, "webhookSubscription": subscription}
        )
        if errors := data["webhookSubscriptionCreate"]["userErrors"]:
            problems.append(f"{topic}: {errors[0]['message']}")
    if problems:
        raise Refused(" ".join(problems))
    return len(wanted)
