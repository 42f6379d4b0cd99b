"""The webhook subscriptions a store needs, and making sure that it has them."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.urls import reverse

from orders.models import Store
from shopify_sync.api.errors import Refused
from shopify_sync.models import ShopConnection
from shopify_sync.stores.clients import (
    DISPUTES_SCOPE,
    client_for,
)

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
    "CUSTOMERS_CREATE",
    "CUSTOMERS_UPDATE",
    "CUSTOMERS_DELETE",
    "APP_UNINSTALLED",
    "APP_SCOPES_UPDATE",
    "BULK_OPERATIONS_FINISH",
)
# What only campaigns need (row F50). All of them ask for read_orders, as Shopify's own list of
# topics says; read_checkouts is of sales channels, and is not needed. Without them everything
# else works, so that their absence is a warning.
OPTIONAL_TOPICS: Final = ("CHECKOUTS_CREATE", "CHECKOUTS_UPDATE", "CHECKOUTS_DELETE")

# Topics with a scope of their own that the app can do without: a merge is noticed by the orders
# that move, too, and a dispute whenever its order is read.
SCOPED_TOPICS: Final = {
    "CUSTOMERS_MERGE": "read_customer_merge",
    "DISPUTES_CREATE": DISPUTES_SCOPE,
    "DISPUTES_UPDATE": DISPUTES_SCOPE,
}


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


def is_needed(topic: str) -> bool:
    """Whether a store does not work without it."""
    return topic not in OPTIONAL_TOPICS and topic not in SCOPED_TOPICS


def missing(store: Store) -> list[str]:
    """The topics that are not subscribed to our address, the optional ones last. Raises
    ShopifyError."""
    client = client_for(store)
    have: set[str] = set()
    after = None
    while True:
        found = client.read("WebhookSubscriptions", {"after": after})["webhookSubscriptions"]
        have |= {node["topic"] for node in found["nodes"] if node["uri"] == address()}
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
    granted = ShopConnection.objects.filter(store=store).values_list("scopes", flat=True).first()
    extra = [topic for topic, scope in SCOPED_TOPICS.items() if scope in (granted or ())]
    return [topic for topic in (*TOPICS, *extra, *OPTIONAL_TOPICS) if topic not in have]


def ensure(store: Store) -> list[str]:
    """Create what is missing; returns what Shopify said of optional topics that it refused.
    Raises ShopifyError, and Refused, after trying every topic, for one that is needed."""
    client = client_for(store)
    problems: list[str] = []
    tolerable: list[str] = []
    for topic in missing(store):
        subscription = {"uri": address(), "format": "JSON"}
        data = client.execute(
            "WebhookSubscriptionCreate", {"topic": topic, "webhookSubscription": subscription}
        )
        if errors := data["webhookSubscriptionCreate"]["userErrors"]:
            said = problems if is_needed(topic) else tolerable
            said.append(f"{wire_name(topic)}: {errors[0]['message']}")
    if problems:
        raise Refused(" ".join(problems))
    return tolerable
