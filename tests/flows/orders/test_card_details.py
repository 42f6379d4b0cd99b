"""Order details beyond the badges, limited to what Shopify provides."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from inbox.models import Conversation
from orders.models import Order, Store
from practice_store.changes import staff_actions
from practice_store.sales import holding
from shopify_sync.models import ShopConnection
from shopify_sync.setup import doctor
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
HOME = {
    "firstName": "Jane",
    "lastName": "Doe",
    "address1": "Hauptstraße 12",
    "city": "Berlin",
    "zip": "10115",
    "countryCode": "DE",
    "country": "Germany",
}
OFFICE = HOME | {"company": "Doe GmbH", "address1": "Marktplatz 1"}


def card(client: Client, conversation: Conversation, order: Order) -> str:
    path = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/"
    return unescape(client.get(path, headers={"HX-Request": "true"}).content.decode())


def rest(client: Client, order: Order) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/orders/{order.pk}/").json()
    return found


def test_the_card_shows_what_was_read(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    price = {"shopMoney": {"amount": "20.00", "currencyCode": "EUR"}}
    made = shop.place(
        lineItems=[
            {
                "title": "Mug",
                "quantity": 1,
                "requiresShipping": True,
                "priceSet": price,
                "properties": [
                    {"name": "Engraving", "value": "For Dad"},
                    {"name": "_bundle", "value": "42"},
                ],
            }
        ],
        customAttributes=[
            {"key": "Gift wrapping", "value": "yes"},
            {"key": "_source", "value": "x"},
        ],
        discountCode={"itemPercentageDiscountCode": {"code": "FALL10", "percentage": 10}},
        shippingLines=[{"title": "DHL Express", "priceSet": price}],
        shippingAddress=HOME,
        billingAddress=OFFICE,
    )
    shop.act(lambda c: holding.hold(c, made, "Other", note="Ask about the color"))
    shop.act(
        lambda c: staff_actions.refund(c, made, c.shop.orders[made.number_id].tip + 5, "Goodwill")
    )
    order = seen()
    page = card(as_alice, conversation, order)
    for words in (
        "DHL Express",
        "Online Store",
        "FALL10",
        "Gift wrapping",
        "Ask about the color",
        "Engraving</bdi>: <bdi>For Dad",
        "Doe GmbH",
        "Marktplatz 1",
        "Billing address",
        "2 transactions",
        "Payment <span",
        "Refund <span",
        "Succeeded",
    ):
        assert words in page, words
    for private in ("_bundle", "_source", "SUCCESS", "SALE"):
        assert private not in page
    found = rest(as_alice, order)
    assert {"label": "Discount codes", "text": "FALL10"} in found["details"]
    assert [t["kind"] for t in found["transactions"]] == ["Payment", "Refund"]
    assert found["lines"][0]["attributes"] == [{"label": "Engraving", "text": "For Dad"}]


def test_a_billing_address_that_is_the_same_is_not_said_twice(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(shippingAddress=HOME, billingAddress=HOME)
    assert "Billing address" not in card(as_alice, conversation, seen())


def test_the_status_page_is_asked_for_only_where_shopify_approved_it(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    state = shop.store.world.shops[DOMAIN]
    state.sees_customer_pages = False
    made = shop.place()
    ticks = {tick.name: tick for tick in doctor.examine(store, repair=True)}
    assert ticks["Status page"].level == "warning"
    order = seen()
    assert order.snapshot.name == made.name, "refused, the field would have hidden the order"
    assert "order status page" not in card(as_alice, conversation, order)
    # Shopify approves it; the next look of the doctor finds that.
    state.sees_customer_pages = True
    assert "Status page" not in {t.name for t in doctor.examine(store, repair=True)}
    shop.act(lambda c: staff_actions.edit(c, made, note="again"))
    order = seen()
    assert f"https://{DOMAIN}/orders/{made.number_id}/authenticate" in (
        card(as_alice, conversation, order)
    )
    assert rest(as_alice, order)["status_page_url"]


def test_an_approval_that_was_withdrawn_hides_no_order(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    ShopConnection.objects.update(sees_customer_pages=True)
    shop.store.world.shops[DOMAIN].sees_customer_pages = False
    made = shop.place()
    order = seen()
    assert order.snapshot.name == made.name
    assert order.snapshot.status_page_url == ""
    # What warns of a loss is read on.
    made.dispute = "LOST"
    shop.act(lambda c: staff_actions.edit(c, made, note="again"))
    assert [dispute.status for dispute in seen().snapshot.disputes] == ["LOST"]


def test_without_an_order_to_try_it_on_nothing_is_known(shop: Shop, store: Store) -> None:
    doctor.examine(store, repair=True)
    assert ShopConnection.objects.get().sees_customer_pages is False
