"""The practice store's customers, through Shopify's own schema."""

from __future__ import annotations

from typing import Any

import pytest

from practice_store.changes import staff_actions
from shopify_sync.api import documents
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db
CREATE = """mutation($input: CustomerInput!) {
  customerCreate(input: $input) { customer { id } userErrors { message } } }"""


def details(shop: Shop, gid: str) -> dict[str, Any]:
    answer = shop.graphql(documents.load("CustomerDetails"), {"id": gid})
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["customer"]
    return found


def topics(shop: Shop) -> list[str]:
    return [topic for _shop, topic, _body, _headers in shop.held]


def test_totals_are_of_the_customers_own_orders(shop: Shop) -> None:
    order = shop.place()
    shop.place(paid=False)
    shop.place(email="other@example.com")
    gid = f"gid://shopify/Customer/{order.customer_number}"
    found = details(shop, gid)
    assert found["numberOfOrders"] == "2"
    assert found["amountSpent"] == {"amount": "40.0", "currencyCode": "EUR"}
    shop.act(
        lambda c: staff_actions.refund(c, order, c.shop.orders[order.number_id].lines[0].unit_price)
    )
    assert details(shop, gid)["amountSpent"]["amount"] == "20.0"
    assert found["defaultEmailAddress"] == {
        "emailAddress": "jane@example.com",
        "marketingState": "NOT_SUBSCRIBED",
    }
    assert found["defaultPhoneNumber"] is None


def test_a_customer_by_phone_alone_has_no_email_to_consent_to(shop: Shop) -> None:
    answer = shop.graphql(CREATE, {"input": {"phone": "+4915112345678"}})
    found = details(shop, answer["data"]["customerCreate"]["customer"]["id"])
    assert found["defaultEmailAddress"] is None
    assert found["defaultPhoneNumber"]["smsMarketingConsent"] == {"state": "NEVER_SUBSCRIBED"}
    assert (found["numberOfOrders"], found["amountSpent"]["amount"]) == ("0", "0.0")


def test_placing_an_order_sends_a_webhook_about_its_customer(shop: Shop) -> None:
    shop.place()
    assert topics(shop).count("customers/create") == 1
    shop.held.clear()
    customer = next(iter(shop.store.world.shops[DOMAIN].customers.values()))
    customer.created_at = customer.created_at.replace(year=2020)
    shop.place()
    assert topics(shop).count("customers/update") == 1
    assert "customers/create" not in topics(shop)
    shop.held.clear()
    shop.place(email=None)
    assert not [topic for topic in topics(shop) if topic.startswith("customers/")]


def test_a_merge_moves_the_orders_and_leaves_one(shop: Shop) -> None:
    one, other = shop.place(), shop.place(email="other@example.com")
    kept, gone = one.customer_number or 0, other.customer_number or 0
    shop.held.clear()
    shop.act(lambda context: staff_actions.merge_customers(context, kept=kept, gone=gone))
    assert topics(shop)[0] == "customers/merge"
    assert details(shop, f"gid://shopify/Customer/{kept}")["numberOfOrders"] == "2"
    answer = shop.graphql(
        documents.load("CustomerDetails"), {"id": f"gid://shopify/Customer/{gone}"}
    )
    assert answer["data"]["customer"] is None
