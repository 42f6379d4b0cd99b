"""Amounts keep every digit and the right currency on the pages and over the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import Conversation
from orders.models import ActionState, Order, OrderAction
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
GERMAN = {"Accept-Language": "de"}


def price(amount: str, currency: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def page(client: Client, conversation: Conversation, order: Order, kind: str, **data: str) -> str:
    """The dialog, or what it answers to what was typed, in German."""
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"
    answer = client.post(url, data, headers=GERMAN) if data else client.get(url, headers=GERMAN)
    return unescape(answer.content.decode())


def prefilled(shown: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', shown)
    assert found, shown
    return found[1]


def sent(action: OrderAction) -> list[str]:
    found: dict[str, Any] = action.steps[-1]["variables"]["input"]
    return [transaction["amount"] for transaction in found["transactions"]]


def dinars(shop: Shop) -> None:
    shop.place(currency="RSD", items=(("Mug", "1234.56", 1),))


def test_all_of_1234_56_dinars_goes_back_with_a_cancellation(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """The full amount, decimals included, is refunded by Shopify's cancellation itself."""
    dinars(shop)
    order = seen()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/cancel/"
    dialog = unescape(as_alice.get(url).content.decode())
    amount = prefilled(dialog, "amount")
    assert amount == "1234.56"
    assert "RSD\xa01,234.56" in dialog
    data = {"reason": "CUSTOMER", "refund": "now", "amount": amount}
    summary = unescape(as_alice.post(url, data).content.decode())
    assert "Cancel order and refund RSD\xa01,234.56" in summary
    assert "1,235" not in summary
    token = review(as_alice, conversation, order, "cancel", **data)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert [step["document"] for step in action.steps] == ["OrderCancel"], "all of it, in one"
    assert action.state == ActionState.SUCCEEDED
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["1234.56"]


@pytest.mark.parametrize("amount", ["1234.56", "1234.55", "0.01"])
def test_dinars_are_refunded_to_the_last_para(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, amount: str
) -> None:
    """Dinars are usually displayed without decimals; the refund keeps them."""
    dinars(shop)
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount=amount)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert sent(OrderAction.objects.get()) == [amount]
    assert [r["amount"] for r in shop.ledger()["refunds"]] == [amount]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cancel", "refund"])
def test_amounts_use_a_decimal_comma_in_german(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, kind: str
) -> None:
    """A decimal comma is accepted and displayed, and Shopify gets a point."""
    shop.place()
    order = seen()
    reason = "CUSTOMER" if kind == "cancel" else "other"
    dialog = page(as_alice, conversation, order, kind)
    if kind == "cancel":
        assert prefilled(dialog, "amount") == "40,00"
    summary = page(as_alice, conversation, order, kind, reason=reason, refund="now", amount="12,50")
    assert "12,50\xa0€" in summary
    token = re.search(r'name="token" value="([^"]+)"', summary)
    assert token, summary
    confirm(as_alice, conversation, order, token[1])
    work_off(shop, as_alice)
    assert sent(OrderAction.objects.get()) == ["12.50"]
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["12.5"]


@pytest.mark.parametrize("kind", ["cancel", "refund"])
@pytest.mark.parametrize("text", ["1.000", "1,000"])
def test_an_ambiguous_amount_such_as_1_000_is_refused(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, kind: str, text: str
) -> None:
    """An amount that can be read two ways is never sent."""
    shop.place(items=(("Machine", "1500.00", 1),))
    order = seen()
    reason = "CUSTOMER" if kind == "cancel" else "other"
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"
    answer = as_alice.post(url, {"reason": reason, "refund": "now", "amount": text})
    shown = unescape(answer.content.decode())
    assert 'name="token"' not in shown
    assert f"“{text}” can be read two ways. Enter 1.00 or 1000.00." in shown
    assert prefilled(shown, "amount") == text, "what was typed stays"


def test_the_api_uses_a_decimal_point_in_every_language(
    shop: Shop, seen: Seen, alice: User, conversation: Conversation
) -> None:
    shop.place(items=(("Machine", "1500.00", 1),))
    order = seen()
    api = logged_in(alice)

    def preview(amount: str) -> Any:
        wish = {"kind": "refund", "reason": "other", "amount": amount}
        url = f"/api/v1/orders/{order.pk}/previews/"
        return api.post(url, wish, content_type="application/json", headers=GERMAN)

    assert preview("1.000").json()["amount"] == {"amount": "1.00", "currency": "EUR"}
    assert preview("12,50").status_code == 400


def test_the_customers_currency_is_refunded_not_the_shops(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    """A customer who paid in dollars is refunded in dollars."""
    both = price("20.00", "EUR") | {"presentmentMoney": {"amount": "25.00", "currencyCode": "USD"}}
    line = {"title": "Mug", "quantity": 1, "requiresShipping": True, "priceSet": both}
    shop.place(presentmentCurrency="USD", lineItems=[line])
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    found = OrderAction.objects.get().steps[0]["variables"]["input"]
    assert (found["currency"], found["transactions"][0]["amount"]) == ("USD", "5.00")
    (refund,) = shop.ledger()["refunds"]
    assert (refund["amount"], refund["currency"]) == ("5.0", "USD")
