"""The number under which a customer's bank finds a refund: read, shown, suggested and sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from html import unescape

import pytest
from django.db.models import F
from django.test import Client
from django.utils import translation

from inbox.campaigns import texts
from inbox.models import Conversation
from inbox.panel.reply_text import reply_text
from inbox.texts import placeholders, refunds
from orders.models import EventKind, Order, OrderAction
from orders.panels import details
from orders.statuses.money_moved import bank_references
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.mapping.payments import transaction
from shopify_sync.reading.complete_order import LISTS_READ
from tests.flows.test_main_job import confirm, panel, review
from tests.support.orders.snapshots import bag, payment
from tests.support.shop.in_process import Shop, work_off
from tests.support.shop.reading import DirectClient

DAY_S = 86_400


@pytest.mark.django_db(transaction=True)
def test_the_reference_is_told_once_the_acquirer_has_it(
    shop: Shop, seen: Callable[[], Order], as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="12.50")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert "Bank reference" not in panel(as_alice, conversation)
    assert "bank" not in reply_text(action, language="en")

    # Shopify reports no change; any later read finds it.
    shop.advance(DAY_S + 1)
    Order.objects.update(dirty_seq=F("dirty_seq") + 1, fetch_after=None)
    order = seen()
    (number,) = bank_references(order.snapshot.refunds[0], order.snapshot)
    assert len(number) == 23
    assert number in unescape(panel(as_alice, conversation))
    action = OrderAction.objects.get()
    sentence = f"Your bank can find the refund under reference number {number}."
    assert reply_text(action, language="en").endswith(sentence)
    assert number in reply_text(action, language="de")
    facts = texts.facts_of_event(order.events.get(kind=EventKind.REFUNDED))
    assert facts.references == (number,)
    assert texts._values(facts, "en")["refund_reference"] == sentence
    # Without numbers, a text that asks for the sentence still leaves.
    values = texts._values(replace(facts, references=()), "en")
    assert placeholders.fill("Done. {{ refund_reference }}", values) == "Done."


def test_of_several_refund_transactions_only_what_moved_is_named(client: DirectClient) -> None:
    order = client.place("10.00")
    order.transactions[0].gateway = "shopify_payments"
    client.give_back(order, "4.00")
    order.transactions[-1].account_number = "•••• 4242"
    client.extras = {"tracing": True}
    read = client.snapshot(order)
    (number,) = bank_references(read.refunds[0], read)
    failed = replace(read.refunds[0].transactions[0], status="FAILURE")
    assert bank_references(replace(read.refunds[0], transactions=(failed,)), read) == ()
    with translation.override("en"):
        assert refunds.reference_sentence([number, "2"]).endswith(f"reference numbers {number}, 2.")


def test_a_list_that_is_read_again_keeps_the_references(client: DirectClient) -> None:
    order = client.place("100.00")
    order.transactions[0].gateway = "shopify_payments"
    for _refund in range(LISTS_READ["transactions"]):
        client.give_back(order, "1.00")
        order.transactions[-1].account_number = "•••• 4242"
    client.extras = {"tracing": True}
    references = [t.acquirer_reference for t in client.snapshot(order).transactions]
    assert "OrderTransactions" in client.asked
    assert all(references[1:])


def test_an_app_that_may_not_read_references_still_reads_the_order(
    client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether Shopify wants a scope for it isn't documented."""
    order = client.place("10.00")
    order.dispute = "LOST"
    client.extras = {"tracing": True, "disputes": True}
    real = client.read

    def read(name: str, variables: dict[str, object]) -> dict[str, object]:
        if variables.get("tracing"):
            raise NeedsAdmin("Access denied for shopifyPaymentsSet field.")
        return real(name, variables)

    monkeypatch.setattr(client, "read", read)
    found = client.snapshot(order)
    assert [d.status for d in found.disputes] == ["LOST"]
    assert found.transactions[0].acquirer_reference == ""


@pytest.fixture
def client() -> DirectClient:
    return DirectClient()


@pytest.mark.parametrize(
    ("currency", "rate", "text"),
    [
        ("", None, ""),
        ("EUR", Decimal(1), ""),
        ("USD", None, "settled in USD"),
        ("USD", Decimal("1.08654321"), "settled in USD at 1.08654321"),
    ],
)
def test_the_settlement_is_shown_if_it_is_known_and_in_another_currency(
    currency: str, rate: Decimal | None, text: str
) -> None:
    row = payment(amount=bag("5.00"), settlement_currency=currency, settlement_rate=rate)
    with translation.override("en"):
        assert details._transaction(row).settlement == text


@pytest.mark.parametrize("strange", ["NaN", "-1", "", "abc", [], {"a": 1}, "Infinity"])
def test_a_strange_rate_hides_itself_and_not_the_order(strange: object) -> None:
    data = {"id": "t", "settlementCurrencyRate": strange, "shopifyPaymentsSet": None}
    found = transaction(data, "EUR", "EUR")
    assert (found.settlement_rate, found.acquirer_reference) == (None, "")
