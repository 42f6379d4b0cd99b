"""The webhook subscriptions a store needs: list the missing ones and create them."""

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

# The minimum set. Tracking updates arrive with the fulfillment topics.
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
# Needed by campaigns only; everything else works without them, so a missing one is a warning.
# Shopify's topic list requires read_orders for them. read_checkouts is for sales channels and
# isn't needed.
OPTIONAL_TOPICS: Final = ("CHECKOUTS_CREATE", "CHECKOUTS_UPDATE", "CHECKOUTS_DELETE")

# Topics with their own scope that the app can do without: a merge also shows in the orders that
# move to the other customer, and a dispute shows whenever its order is read.
SCOPED_TOPICS: Final = {
    "CUSTOMERS_MERGE": "read_customer_merge",
    "DISPUTES_CREATE": DISPUTES_SCOPE,
    "DISPUTES_UPDATE": DISPUTES_SCOPE,
}


def address() -> str:
    """Return the absolute URL Shopify delivers webhooks to."""
    return settings.PUBLIC_URL + reverse("shopify-webhook")


def wire_name(topic: str) -> str:
    """Return the name used in deliveries and in shopify.app.toml: orders/create.

    `topic` is the GraphQL enum value, such as ORDERS_CREATE.
    """
    prefixes = (
        "REVERSE_FULFILLMENT_ORDERS",
        "FULFILLMENT_EVENTS",
        "ORDER_TRANSACTIONS",
        "BULK_OPERATIONS",
    )
    head = next((p for p in prefixes if topic.startswith(p + "_")), topic.split("_", 1)[0])
    return f"{head}/{topic.removeprefix(head + '_')}".lower()


def is_needed(topic: str) -> bool:
    """Return whether a store cannot work without this topic."""
    return topic not in OPTIONAL_TOPICS and topic not in SCOPED_TOPICS


def missing(store: Store) -> list[str]:
    """Return the topics not subscribed to our address, optional ones last.

    Raises ShopifyError.
    """
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
    """Create the missing subscriptions; return Shopify's errors for optional topics.

    Raises ShopifyError. If Shopify rejects a required topic, raises Refused, but only after
    trying every other topic.
    """
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
