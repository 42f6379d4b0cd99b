"""The demo's conversations match the practice store's orders."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from inbox.demo.conversations import CONVERSATIONS
from orders.snapshot import OrderSnapshot
from orders.statuses import badges
from practice_store import seed
from practice_store.graphql.execution import execute
from practice_store.store import Store
from shopify_sync import mapping
from shopify_sync.api import documents

STATUS_LABELS = {
    "Open",
    "Archived",
    "Canceled",
    "Paid",
    "Unpaid",
    "Partially paid",
    "Partially refunded",
    "Refunded",
    "Voided",
    "Fulfilled",
    "Partially fulfilled",
    "Unfulfilled",
    "Not required",
    "Ready for pickup",
    "Arriving on",
    "Out for delivery",
    "Delivered",
}


@pytest.fixture(scope="module")
def orders() -> list[tuple[str, OrderSnapshot]]:
    """Each order of the demo's first shop, by its customer's address."""
    store = Store(["demo.myshopify.com"])
    seed.seed(store)
    shop = store.world.shops["demo.myshopify.com"]
    document = documents.load("OrderForPanel")
    found = []
    for order in shop.orders.values():
        customer = shop.customers.get(order.customer_number or 0)
        answer = execute(store.context(shop), document, {"id": order.id}, "OrderForPanel")
        email = customer.email if customer else ""
        found.append((email or "", mapping.order_snapshot(answer["data"]["order"])))
    return found


def test_conversations_name_orders_of_their_customers(
    orders: list[tuple[str, OrderSnapshot]],
) -> None:
    names = {(email, order.name) for email, order in orders}
    for story in CONVERSATIONS:
        if story.order:
            assert (story.email, story.order) in names, story.key


def test_their_panels_together_show_every_status(
    orders: list[tuple[str, OrderSnapshot]],
) -> None:
    people = {story.email for story in CONVERSATIONS if story.email}
    seen = set()
    for email, order in orders:
        if email in people:
            shown = (
                *badges.order_badges(order),
                badges.payment_badge(order),
                badges.fulfillment_badge(order, now=datetime.now(UTC), zone=UTC),
                *badges.fulfillment_badges(order, now=datetime.now(UTC), zone=UTC),
            )
            seen |= {badge.label for badge in shown}
    missing = {word for word in STATUS_LABELS if not any(label.startswith(word) for label in seen)}
    assert missing == set(), sorted(seen)


def test_the_newest_conversations_have_orders() -> None:
    """They are what a first visitor opens."""
    newest = sorted(CONVERSATIONS, key=lambda story: story.said[-1].hours_ago)[:6]
    assert [story.key for story in newest if not story.order] == []
    assert [story.name for story in newest[:2]] == ["Jane Doe", "Amir Haddad"]


def test_nothing_in_the_demo_looks_like_an_attack() -> None:
    texts = [said.text for story in CONVERSATIONS for said in story.said]
    names = [story.name for story in CONVERSATIONS]
    assert not [text for text in texts + names if re.search(r"<\w+>|javascript:", text)]
