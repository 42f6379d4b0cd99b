"""The practice store's refunds as store credit follow the schema."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from practice_store.changes import staff_actions
from practice_store.derived import order_sums
from practice_store.sales import cancellation
from practice_store.state import Order
from practice_store.store import Store
from tests.practice_store.test_facts import CANCEL, REFUND, SHOP, finish_jobs, place, run

CUSTOMER = {"toUpsert": {"email": "a@example.com", "firstName": "Ann"}}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
MISSING = "Store credit can only be issued to a customer"
EXPIRED = "Expiration date must be in the future"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(cancellation, "JOB_SECONDS", 3600.0)
    found = Store([SHOP])
    found.courier.send = lambda *a: None  # type: ignore[method-assign]
    return found


def credit(order: Order, amount: str, currency: str = "EUR", **more: Any) -> dict[str, Any]:
    wish = {"amount": {"amount": amount, "currencyCode": currency}, **more}
    return {"orderId": order.id, "note": "n", "refundMethods": [{"storeCreditRefund": wish}]}


def refund(store: Store, data: dict[str, Any], key: str = "k") -> dict[str, Any]:
    answer: dict[str, Any] = run(store, REFUND, {"input": data, "key": key})["data"]["refundCreate"]
    return answer


def test_a_refund_as_store_credit_is_a_refund_of_no_payment(store: Store) -> None:
    order = place(store, customer=CUSTOMER)
    answer = refund(store, credit(order, "5.00", expiresAt=FUTURE))
    assert answer["userErrors"] == []
    assert answer["order"] == {"displayFinancialStatus": "PARTIALLY_REFUNDED"}
    ledger = store.ledger(SHOP)
    assert [(r["amount"], r["gateways"], r["idempotency_key"]) for r in ledger["refunds"]] == [
        ("5.0", ["shopify_store_credit"], "k")
    ]
    moved = ledger["transactions"][-1]
    assert (moved["kind"], moved["status"], moved["parent"]) == ("REFUND", "SUCCESS", None)
    assert moved["expires_at"] == "2999-01-01T00:00:00+00:00"
    query = """query($id: ID!) { order(id: $id) { netPaymentSet { shopMoney { amount } }
      transactions { formattedGateway parentTransaction { id } } } }"""
    shown = run(store, query, {"id": order.id})["data"]["order"]
    assert shown["transactions"][-1] == {
        "formattedGateway": "Store credit",
        "parentTransaction": None,
    }
    assert shown["netPaymentSet"]["shopMoney"]["amount"] == "10.0"


@pytest.mark.parametrize(
    ("amount", "more", "field", "message"),
    [
        ("15.01", {}, None, "Refund amount €15.01 is greater than net payment received €15.00"),
        ("0.00", {}, ["amount", "amount"], "Amount is invalid"),
        ("-5.00", {}, ["amount", "amount"], "Amount is invalid"),
        ("5.001", {}, ["amount", "amount"], "Amount is invalid"),
        ("5.00", {"currency": "USD"}, ["amount", "currencyCode"], "Currency must be EUR"),
        ("5.00", {"expiresAt": PAST}, ["expiresAt"], EXPIRED),
    ],
)
def test_a_wrong_store_credit_is_refused_and_nothing_is_booked(
    store: Store, amount: str, more: dict[str, str], field: list[str] | None, message: str
) -> None:
    order = place(store, customer=CUSTOMER)
    answer = refund(store, credit(order, amount, **more))
    where = ["refundMethods", "0", "storeCreditRefund", *field] if field else None
    assert answer["userErrors"] == [{"field": where, "message": message}]
    assert order.refunds == []


def test_store_credit_needs_a_customer(store: Store) -> None:
    order = place(store)
    assert refund(store, credit(order, "5.00"))["userErrors"][0]["message"] == MISSING
    errors = cancel(store, order, {})
    assert errors == [
        {
            "code": "STORE_CREDIT_REFUND_MISSING_CUSTOMER",
            "message": MISSING,
            "field": ["refundMethod", "storeCreditRefund"],
        }
    ]
    assert order.refunds == []
    assert store.world.shops[SHOP].jobs == {}


def test_payments_and_store_credit_are_held_against_one_limit(store: Store) -> None:
    order = place(store, customer=CUSTOMER)
    payment = {
        "orderId": order.id,
        "parentId": order.transactions[0].id,
        "gateway": "manual",
        "kind": "REFUND",
        "amount": "10.00",
    }
    both = credit(order, "5.01") | {"transactions": [payment]}
    assert "€15.01 is greater than" in refund(store, both)["userErrors"][0]["message"]
    assert refund(store, credit(order, "5.00") | {"transactions": [payment]}, "k2")["refund"]
    assert [t.amount for t in order.transactions if t.kind == "REFUND"] == [
        Decimal("10.00"),
        Decimal("5.00"),
    ]
    assert order_sums.financial_status(order) == "REFUNDED"


def test_what_was_credited_cannot_go_back_to_the_card_as_well(store: Store) -> None:
    order = place(store, customer=CUSTOMER)
    refund(store, credit(order, "12.00"))
    query = """query($id: ID!) { order(id: $id) { suggestedRefund(suggestFullRefund: true) {
      suggestedTransactions { maximumRefundableSet { shopMoney { amount } } } } } }"""
    answer = run(store, query, {"id": order.id})["data"]["order"]["suggestedRefund"]
    (suggested,) = answer["suggestedTransactions"]
    assert suggested["maximumRefundableSet"]["shopMoney"]["amount"] == "3.0"
    store.act(SHOP, lambda c: staff_actions.cancel(c, order, reason="OTHER", refund_all=True))
    finish_jobs(store)
    assert [r["amount"] for r in store.ledger(SHOP)["refunds"]] == ["12.0", "3.0"]


def cancel(store: Store, order: Order, wish: dict[str, Any]) -> list[dict[str, Any]]:
    method = {"storeCreditRefund": wish}
    answer = run(store, CANCEL, {"id": order.id, "method": method})["data"]["orderCancel"]
    errors: list[dict[str, Any]] = answer["orderCancelUserErrors"]
    return errors


@pytest.mark.parametrize("wish", [{}, {"expiresAt": FUTURE}])
def test_a_cancel_may_credit_everything_that_is_left(store: Store, wish: dict[str, Any]) -> None:
    order = place(store, customer=CUSTOMER)
    refund(store, credit(order, "5.00"))
    assert cancel(store, order, wish) == []
    finish_jobs(store)
    assert [(r["amount"], r["gateways"]) for r in store.ledger(SHOP)["refunds"]] == [
        ("5.0", ["shopify_store_credit"]),
        ("10.0", ["shopify_store_credit"]),
    ]
    assert order_sums.financial_status(order) == "REFUNDED"
    assert order.cancelled_at


def test_a_cancel_with_credit_that_is_over_already_is_refused(store: Store) -> None:
    order = place(store, customer=CUSTOMER)
    errors = cancel(store, order, {"expiresAt": PAST})
    assert [e["code"] for e in errors] == ["STORE_CREDIT_REFUND_EXPIRATION_IN_PAST"]
    assert store.world.shops[SHOP].jobs == {}


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"storeCreditRefund": None},
        {"originalPaymentMethodsRefund": True, "storeCreditRefund": {}},
    ],
)
def test_a_cancel_names_exactly_one_way(store: Store, method: dict[str, Any]) -> None:
    order = place(store, customer=CUSTOMER)
    answer = run(store, CANCEL, {"id": order.id, "method": method})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"


SUGGESTION = """query($id: ID!) { order(id: $id) {
  suggestedRefund(suggestFullRefund: true, refundMethodAllocation: STORE_CREDIT) {
    suggestedTransactions { gateway }
    suggestedRefundMethods {
      amount { shopMoney { amount } } maximumRefundable { shopMoney { amount } }
      ... on SuggestedStoreCreditRefund { expiresAt } } } } }"""


def test_a_suggestion_may_be_asked_for_as_store_credit(store: Store) -> None:
    nobodys = place(store)
    order = place(store, customer=CUSTOMER)
    found = run(store, SUGGESTION, {"id": order.id})["data"]["order"]["suggestedRefund"]
    whole = {"shopMoney": {"amount": "15.0"}}
    assert found == {
        "suggestedTransactions": [],
        "suggestedRefundMethods": [
            {"amount": whole, "maximumRefundable": whole, "expiresAt": None}
        ],
    }
    found = run(store, SUGGESTION, {"id": nobodys.id})["data"]["order"]["suggestedRefund"]
    assert found == {"suggestedTransactions": [{"gateway": "manual"}], "suggestedRefundMethods": []}
