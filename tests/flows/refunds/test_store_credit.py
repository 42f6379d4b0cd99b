"""Refunds as store credit, where the store allows them, on the pages and over the API."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from inbox.models import Conversation, Identity, IdentityKind
from orders import (
    previews,
)
from orders.actions import progress, worker_steps
from orders.models import ActionState, EventKind, Order, OrderAction, RefundMethod, Store
from practice_store.changes import staff_actions as shop_actions
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, panel, review
from tests.support.database.copies import without_triggers
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
RADIO = 'name="method" value="store_credit"'
CREDIT = {"method": "store_credit"}


@pytest.fixture
def generous(store: Store) -> Store:
    """The connected store, giving store credit."""
    Store.objects.filter(pk=store.pk).update(allow_store_credit=True)
    store.refresh_from_db()
    return store


def dialog(conversation: Conversation, order: Order, kind: str) -> str:
    return f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def booked(shop: Shop) -> list[tuple[str, list[str]]]:
    return [(r["amount"], r["gateways"]) for r in shop.ledger()["refunds"]]


def test_a_refund_as_store_credit_is_booked_once_and_exactly(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    url, form = dialog(conversation, order, "refund"), {"reason": "other", "amount": "12.50"}
    assert RADIO in text_of(as_alice.get(url))
    page = text_of(as_alice.post(url, form | CREDIT))
    assert "<dt>Refund to</dt><dd>Store credit</dd>" in page
    assert "<dt>To Store credit</dt><dd>€12.50</dd>" in page
    token = review(as_alice, conversation, order, "refund", **form, **CREDIT)
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)

    action = OrderAction.objects.get()
    assert action.state == ActionState.SUCCEEDED
    assert "transactions" not in action.steps[0]["variables"]["input"]
    (refund,) = shop.ledger()["refunds"]
    assert (refund["amount"], refund["gateways"]) == ("12.5", ["shopify_store_credit"])
    assert refund["idempotency_key"] == str(action.idempotency_key)
    assert action.refund_gid == refund["id"]
    actor = order.events.get(kind=EventKind.REFUNDED).actor
    assert actor is not None
    assert actor.username == "alice"
    assert "Partially refunded" in panel(as_alice, conversation)


def test_the_original_payment_stays_the_default_where_credit_is_allowed(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    form = {"reason": "other", "amount": "5.00"}
    page = text_of(as_alice.post(dialog(conversation, order, "refund"), form))
    assert "Store credit" not in page
    token = review(as_alice, conversation, order, "refund", **form)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert booked(shop) == [("5.0", ["shopify_payments"])]


def test_items_are_refunded_as_store_credit_at_the_calculated_sum(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", line_0="1", **CREDIT)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert booked(shop) == [("20.0", ["shopify_store_credit"])]
    order.refresh_from_db()
    assert order.snapshot.lines[0].refundable_quantity == 1


def test_a_cancel_with_all_of_it_as_store_credit_is_one_call(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    assert RADIO in text_of(as_alice.get(dialog(conversation, order, "cancel")))
    token = review(
        as_alice,
        conversation,
        order,
        "cancel",
        reason="CUSTOMER",
        refund="now",
        amount="40.00",
        **CREDIT,
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)

    action = OrderAction.objects.get()
    assert [step["document"] for step in action.steps] == ["OrderCancel"]
    assert action.steps[0]["variables"]["refundMethod"] == {"storeCreditRefund": {}}
    assert action.state == ActionState.SUCCEEDED
    assert booked(shop) == [("40.0", ["shopify_store_credit"])]
    assert action.refund_gid == shop.ledger()["refunds"][0]["id"]
    assert len(shop.ledger()["cancelations"]) == 1
    actor = order.events.get(kind=EventKind.REFUNDED).actor
    assert actor is not None
    assert actor.username == "alice"


def test_what_is_left_after_store_credit_goes_back_once(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    """Two payments, and a refund that went to neither: the shop's own cancellation would give the
    rest back to each of them."""
    placed = shop.place(paid=False)
    shop.act(lambda context: shop_actions.pay(context, placed, Decimal(25)))
    shop.act(lambda context: shop_actions.pay(context, placed, Decimal(15), "gift_card"))
    order = seen()
    token = review(
        as_alice, conversation, order, "refund", reason="other", amount="34.00", **CREDIT
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    token = review(
        as_alice, conversation, order, "cancel", reason="CUSTOMER", refund="now", amount="6.00"
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)

    action = OrderAction.objects.latest("pk")
    assert action.state == ActionState.SUCCEEDED
    assert [step["document"] for step in action.steps] == ["OrderCancel", "RefundCreate"]
    assert [amount for amount, _gateways in booked(shop)] == ["34.0", "6.0"]


def test_a_cancel_with_a_part_as_store_credit_cancels_first(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    token = review(
        as_alice,
        conversation,
        order,
        "cancel",
        reason="CUSTOMER",
        refund="now",
        amount="12.50",
        **CREDIT,
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)

    action = OrderAction.objects.get()
    assert [step["document"] for step in action.steps] == ["OrderCancel", "RefundCreate"]
    no_money = {"originalPaymentMethodsRefund": False}
    assert action.steps[0]["variables"]["refundMethod"] == no_money
    assert action.state == ActionState.SUCCEEDED
    assert booked(shop) == [("12.5", ["shopify_store_credit"])]
    assert shop.ledger()["refunds"][0]["idempotency_key"] == str(action.idempotency_key)
    assert len(shop.ledger()["cancelations"]) == 1


def test_a_cancel_that_refunds_later_asks_for_no_way_back(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, store: Store
) -> None:
    shop.place()
    order = seen()
    # Hidden beside "Refund later", and sent along all the same.
    token = review(
        as_alice,
        conversation,
        order,
        "cancel",
        reason="CUSTOMER",
        refund="later",
        amount="40.00",
        **CREDIT,
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert booked(shop) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refund", "cancel"])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_forged_request_gets_no_store_credit_where_the_store_gives_none(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    store: Store,
    kind: str,
    allowed: bool,
) -> None:
    """With its own negative control: the same requests pass where it is allowed."""
    Store.objects.filter(pk=store.pk).update(allow_store_credit=allowed)
    shop.place()
    order = seen()
    reason = {"refund": "other", "cancel": "OTHER"}[kind]
    form = {"reason": reason, "refund": "now", "amount": "5.00"} | CREDIT
    url = dialog(conversation, order, kind)
    assert (RADIO in text_of(as_alice.get(url))) == allowed
    page = text_of(as_alice.post(url, form))
    assert ('name="token"' in page) == allowed
    assert ("This store doesn’t offer refunds as store credit." in page) != allowed

    api_kind = {"refund": "refund", "cancel": "cancel_and_refund"}[kind]
    wish = {"kind": api_kind, "reason": reason, "amount": "5.00"} | CREDIT
    answer = as_alice.post(
        f"/api/v1/orders/{order.pk}/previews/", wish, content_type="application/json"
    )
    found = answer.json()
    if allowed:
        assert (answer.status_code, found["method"]) == (200, "store_credit")
        assert found["targets"] == [
            {"label": "Store credit", "amount": {"amount": "5.00", "currency": "EUR"}}
        ]
    else:
        assert (answer.status_code, found["reason_code"]) == (409, "store_credit_off")
    assert not OrderAction.objects.exists()


def test_rest_refunds_to_store_credit_and_refuses_unknown_methods(
    shop: Shop, seen: Seen, alice: User, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order, api = seen(), logged_in(alice)
    previewing, acting = (
        f"/api/v1/orders/{order.pk}/previews/",
        f"/api/v1/orders/{order.pk}/actions/",
    )
    wish = {"kind": "refund", "reason": "other", "amount": "5.00"}
    json = "application/json"
    assert api.post(previewing, wish | {"method": "cash"}, content_type=json).status_code == 400
    token = api.post(previewing, wish | CREDIT, content_type=json).json()["token"]
    headers = {"Idempotency-Key": "k-1"}
    for _ in range(2):
        answer = api.post(acting, {"token": token}, content_type=json, headers=headers)
        assert answer.status_code == 202
    work_off(shop, api)
    assert booked(shop) == [("5.0", ["shopify_store_credit"])]


@pytest.mark.parametrize("switched_off", [False, True])
def test_store_credit_switched_off_after_the_summary_is_refused_at_the_click(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    generous: Store,
    switched_off: bool,
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    Store.objects.filter(pk=generous.pk).update(allow_store_credit=not switched_off)
    assert confirm(as_alice, conversation, order, token) == (409 if switched_off else 200)
    assert OrderAction.objects.exists() != switched_off


def without_customer(shop: Shop) -> None:
    placed = shop.place()
    query = """mutation($id: ID!) { orderCustomerRemove(orderId: $id) {
      userErrors { message } } }"""
    answer = shop.graphql(query, {"id": placed.id})
    assert answer["data"]["orderCustomerRemove"]["userErrors"] == []


def test_an_order_without_a_customer_gets_no_store_credit(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    without_customer(shop)
    order = seen()
    assert order.snapshot.customer is None
    url = dialog(conversation, order, "refund")
    assert RADIO not in text_of(as_alice.get(url))
    form = {"reason": "other", "amount": "5.00"} | CREDIT
    page = text_of(as_alice.post(url, form))
    assert "This order has no customer to receive store credit." in page
    assert 'name="token"' not in page
    answer = as_alice.post(
        f"/api/v1/orders/{order.pk}/previews/",
        form | {"kind": "refund"},
        content_type="application/json",
    )
    assert answer.json()["reason_code"] == "store_credit_no_customer"


def test_an_order_that_changed_its_customer_is_reviewed_again_and_stays_store_credit(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    other = shop.graphql(
        'mutation { customerCreate(input: {email: "b@example.com"}) { customer { id } } }'
    )
    query = """mutation($id: ID!, $to: ID!) { orderCustomerSet(orderId: $id, customerId: $to) {
      userErrors { message } } }"""
    gid = other["data"]["customerCreate"]["customer"]["id"]
    shop.graphql(query, {"id": placed.id, "to": gid})
    seen()
    url = dialog(conversation, order, "confirm")
    answer = as_alice.post(url, {"token": token}, headers={"HX-Request": "true"})
    # Two customers fit the contact by now: nothing moves until an agent has said which it is.
    assert answer.status_code == 403
    Identity.objects.create(
        contact=conversation.contact,
        kind=IdentityKind.SHOPIFY_CUSTOMER,
        value=f"{order.store_id}:{gid}",
    )
    answer = as_alice.post(url, {"token": token}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    page = text_of(answer)
    assert "The order now belongs to another customer." in page
    assert "<dt>Refund to</dt><dd>Store credit</dd>" in page
    assert not OrderAction.objects.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "phase", ["commit_then_drop", "commit_then_500", "truncate", "html200", "null_data"]
)
def test_a_lost_answer_never_credits_twice(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    generous: Store,
    phase: str,
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    shop.fault(operation="refundCreate", phase=phase, times=1)
    confirm(as_alice, conversation, order, token)
    assert OrderAction.objects.get().state == ActionState.UNKNOWN
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert booked(shop) == [("5.0", ["shopify_store_credit"])]


def test_without_reading_first_and_with_a_new_key_a_lost_answer_credits_twice(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    generous: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control of the test above: both guards gone."""
    from orders.tasks import perform_action

    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    confirm(as_alice, conversation, order, token)
    action = OrderAction.objects.get()
    action.steps[0]["variables"]["idempotencyKey"] = "a-fresh-key"
    with without_triggers(connection):
        OrderAction.objects.filter(pk=action.pk).update(steps=action.steps)
    sends = iter([progress.ToSend(0)])
    real = progress.next_move
    monkeypatch.setattr(progress, "next_move", lambda *a, **k: next(sends, None) or real(*a, **k))
    monkeypatch.setattr("orders.actions.settlement.is_evident", lambda *a: False)
    OrderAction.objects.update(next_attempt_at=None)
    perform_action(action.pk)
    assert len(booked(shop)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "amount", "credited"),
    [
        ("orderCancel", "40.00", "40.0"),
        ("orderCancel", "12.50", "12.5"),
        ("refundCreate", "12.50", "12.5"),
    ],
)
def test_a_lost_answer_to_a_cancel_with_store_credit_credits_once(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    generous: Store,
    operation: str,
    amount: str,
    credited: str,
) -> None:
    shop.place()
    order = seen()
    token = review(
        as_alice,
        conversation,
        order,
        "cancel",
        reason="CUSTOMER",
        refund="now",
        amount=amount,
        **CREDIT,
    )
    shop.fault(operation=operation, phase="commit_then_drop", times=1)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert booked(shop) == [(credited, ["shopify_store_credit"])]
    assert len(shop.ledger()["cancelations"]) == 1


def test_a_credit_without_its_customer_is_not_sent(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    placed.customer_number = None
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert action.state == ActionState.REJECTED
    assert "no customer to receive store credit" in action.message
    assert (action.maybe_applied, booked(shop)) == (False, [])


def test_a_credit_shopify_refuses_shows_its_words_and_moves_nothing(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    generous: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The customer goes between our check and Shopify's."""
    monkeypatch.setattr(worker_steps, "check_before_sending", lambda *_, **__: None)
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    placed.customer_number = None
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert action.state == ActionState.REJECTED
    assert action.message == "Store credit can only be issued to a customer"
    assert booked(shop) == []


def test_what_was_credited_is_not_refunded_to_the_card_again(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    token = review(
        as_alice, conversation, order, "refund", reason="other", amount="30.00", **CREDIT
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    url = dialog(conversation, order, "refund")
    too_much = as_alice.post(url, {"reason": "other", "amount": "10.01"})
    assert "up to €10.00" in text_of(too_much)
    token = review(as_alice, conversation, order, "refund", reason="other", amount="10.00")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert booked(shop) == [("30.0", ["shopify_store_credit"]), ("10.0", ["shopify_payments"])]


def test_credit_is_given_in_the_currency_the_customer_paid_in(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    price = {
        "shopMoney": {"amount": "20.00", "currencyCode": "EUR"},
        "presentmentMoney": {"amount": "25.00", "currencyCode": "USD"},
    }
    line = {"title": "Mug", "quantity": 1, "requiresShipping": True, "priceSet": price}
    shop.place(presentmentCurrency="USD", lineItems=[line])
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00", **CREDIT)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    (refund,) = shop.ledger()["refunds"]
    assert (refund["amount"], refund["currency"]) == ("5.0", "USD")


def test_store_credit_is_never_listed_as_a_manual_payment(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    placed = shop.place(paid=False)
    shop.act(lambda c: shop_actions.pay(c, placed, gateway="Bank Deposit"))
    order = seen()
    url, form = dialog(conversation, order, "refund"), {"reason": "other", "amount": "5.00"}
    by_hand = "you need to pay it out yourself"
    assert by_hand in text_of(as_alice.post(url, form))
    assert by_hand not in text_of(as_alice.post(url, form | CREDIT))


def test_a_summary_stored_before_there_was_a_choice_means_the_original_payment(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, generous: Store
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    confirm(as_alice, conversation, order, token)
    stored = OrderAction.objects.get().proposal
    assert stored.pop("method") == "original"
    assert previews.decode_proposal(stored).method == RefundMethod.ORIGINAL
    stored["method"] = "store_credit"
    assert previews.decode_proposal(stored).method == RefundMethod.STORE_CREDIT
