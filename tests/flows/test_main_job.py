"""Agents' main tasks, through the pages and against the practice store."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client

from inbox.models import Campaign, Conversation, Message, MessageKind
from inbox.tasks import sweep_events, sweep_outbox
from orders import previews
from orders.actions import worker_steps
from orders.models import ActionState, EventKind, Order, OrderAction, Store
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Tracking
from tests.conftest import logged_in
from tests.support.database.copies import without_triggers
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


def review(client: Client, conversation: Conversation, order: Order, kind: str, **data: str) -> str:
    """Fill the dialog in; the token of the summary it answers with."""
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"
    assert client.get(url).status_code == 200
    answer = client.post(url, data)
    page = unescape(answer.content.decode())
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def confirm(client: Client, conversation: Conversation, order: Order, token: str) -> int:
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/confirm/"
    return client.post(url, {"token": token}, headers={"HX-Request": "true"}).status_code


def panel(client: Client, conversation: Conversation) -> str:
    answer = client.get(
        f"/inbox/conversations/{conversation.pk}/orders/", headers={"HX-Request": "true"}
    )
    return unescape(answer.content.decode())


def send_messages() -> None:
    sweep_events()
    sweep_outbox()


def confirmations(conversation: Conversation) -> list[str]:
    found = Message.objects.filter(conversation=conversation, kind=MessageKind.CONFIRMATION)
    return list(found.values_list("text", flat=True))


def test_cancel_without_refund(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    shop.place(paid=False)
    order = seen()
    assert "Unpaid" in panel(as_alice, conversation)
    token = review(as_alice, conversation, order, "cancel", reason="CUSTOMER", restock="on")
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    send_messages()

    ledger = shop.ledger()
    assert [c["order_name"] for c in ledger["cancelations"]] == [order.name]
    assert ledger["refunds"] == []
    page = panel(as_alice, conversation)
    assert "Canceled" in page
    assert "Voided" in page
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert list(
        order.events.filter(kind=EventKind.CANCELED).values_list("actor__username", flat=True)
    ) == ["alice"]
    assert confirmations(conversation) == [f"{order.name} was canceled."]
    assert [m.to for m in mail.outbox] == [["jane@example.com"]]


def test_cancel_with_refund_of_a_chosen_amount_in_one_confirmation(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    shop.place(paid=True)
    order = seen()
    token = review(
        as_alice,
        conversation,
        order,
        "cancel",
        reason="CUSTOMER",
        refund="now",
        amount="12.50",
        restock="on",
    )
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    send_messages()
    send_messages()

    ledger = shop.ledger()
    assert len(ledger["cancelations"]) == 1
    action = OrderAction.objects.get()
    assert [(r["amount"], r["idempotency_key"]) for r in ledger["refunds"]] == [
        ("12.5", str(action.idempotency_key))
    ]
    assert action.state == ActionState.SUCCEEDED
    page = panel(as_alice, conversation)
    assert "Canceled" in page
    assert "Partially refunded" in page
    kinds = sorted(order.events.values_list("kind", flat=True))
    assert kinds.count(EventKind.CANCELED) == kinds.count(EventKind.REFUNDED) == 1
    assert confirmations(conversation) == [f"{order.name} was canceled. We are refunding €12.50."]
    assert len(mail.outbox) == 1


@pytest.mark.slow
def test_refund_of_a_delivered_order_with_no_return(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    placed = shop.place(paid=True)
    shop.act(lambda c: shop_actions.ship(c, placed, tracking=[Tracking(number="1")]))
    shop.act(lambda c: shop_actions.carrier_says(c, placed, "DELIVERED"))
    order = seen()
    assert "Delivered" in panel(as_alice, conversation)
    token = review(
        as_alice,
        conversation,
        order,
        "refund",
        reason="damaged",
        line_0="2",
        returned="not_needed",
        restock="on",
    )
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    send_messages()

    ledger = shop.ledger()
    assert [r["amount"] for r in ledger["refunds"]] == ["40.0"]
    assert ledger["cancelations"] == []
    action = OrderAction.objects.get()
    assert (action.state, action.returned) == (ActionState.SUCCEEDED, "not_needed")
    lines = action.steps[0]["variables"]["input"]["refundLineItems"]
    assert [line["restockType"] for line in lines] == ["NO_RESTOCK"]
    assert "Refunded" in panel(as_alice, conversation)
    assert order.events.filter(kind=EventKind.REFUNDED).count() == 1
    assert confirmations(conversation) == [f"We are refunding €40.00 of {order.name}."]
    assert len(mail.outbox) == 1


def test_five_items_three_paid_three_shipped(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place(items=(("Tile", "10.00", 5),), paid=False)
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal("30.00")))
    line = placed.lines[0].number_id
    tracking = [Tracking(number="1Z9", company="UPS", url="https://ups.example/1Z9")]
    shop.act(lambda c: shop_actions.ship(c, placed, quantities={line: 3}, tracking=tracking))
    order = seen()
    page = panel(as_alice, conversation)
    for words in ("Partially paid", "€30.00 of €50.00 paid", "Partially fulfilled"):
        assert words in page
    assert 'href="https://ups.example/1Z9"' in page
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    too_much = as_alice.post(url, {"reason": "other", "amount": "30.01"})
    assert "up to €30.00" in unescape(too_much.content.decode())
    token = review(as_alice, conversation, order, "refund", reason="other", amount="30.00")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["30.0"]


def test_a_full_refund_and_cancel_is_one_call_to_shopify(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(paid=True)
    order = seen()
    token = review(
        as_alice, conversation, order, "cancel", reason="STAFF", refund="now", amount="40.00"
    )
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert [step["document"] for step in action.steps] == ["OrderCancel"]
    assert action.state == ActionState.SUCCEEDED
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["40.0"]
    actor = order.events.get(kind=EventKind.REFUNDED).actor
    assert actor is not None
    assert actor.username == "alice"


def test_a_second_click_gives_the_same_action(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    codes = [confirm(as_alice, conversation, order, token) for _ in range(5)]
    work_off(shop, as_alice)
    codes.append(confirm(as_alice, conversation, order, token))
    assert codes == [200] * 6
    assert OrderAction.objects.count() == 1
    assert len(shop.ledger()["refunds"]) == 1


def test_without_the_nonce_a_second_click_would_refund_twice(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control of the test above: each click gets a nonce of its own."""
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    real = previews.open_token
    serial = iter(range(100))

    def unguarded(text: str, *, by: User) -> object:
        opened = real(text, by=by)
        proposal = opened.proposal
        object.__setattr__(opened, "nonce", f"n{next(serial)}")
        fresh = previews.facts(Order.objects.get(pk=opened.order_id).snapshot)
        object.__setattr__(proposal, "facts", fresh)
        return opened

    monkeypatch.setattr(previews, "open_token", unguarded)
    for _ in range(2):
        confirm(as_alice, conversation, order, token)
        work_off(shop, as_alice)
    assert len(shop.ledger()["refunds"]) == 2


@pytest.mark.parametrize(
    "phase", ["commit_then_drop", "commit_then_500", "truncate", "html200", "null_data"]
)
def test_a_lost_answer_is_unknown_and_never_refunds_twice(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, phase: str
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    shop.fault(operation="refundCreate", phase=phase, times=1)
    confirm(as_alice, conversation, order, token)
    assert OrderAction.objects.get().state == ActionState.UNKNOWN
    assert "Don’t repeat this" in panel(as_alice, conversation)
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert len(shop.ledger()["refunds"]) == 1


def test_without_reading_first_and_with_a_new_key_a_lost_answer_refunds_twice(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control: both guards gone, the same loss pays the customer twice."""
    from orders.actions import progress

    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
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
    from orders.tasks import perform_action

    perform_action(action.pk)
    assert len(shop.ledger()["refunds"]) == 2


@pytest.mark.parametrize("phase", ["drop_before", "500_before", "throttle", "429", "commit_late"])
def test_a_request_that_did_not_arrive_is_sent_again_with_the_same_key(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, phase: str
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    shop.fault(operation="refundCreate", phase=phase, times=1)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert len(shop.ledger()["refunds"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["401", "402", "403", "423"])
def test_a_locked_shop_blocks_the_action_and_it_goes_on_when_unlocked(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, phase: str
) -> None:
    shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    shop.fault(operation="*", phase=phase, times=1)
    confirm(as_alice, conversation, order, token)
    action = OrderAction.objects.get()
    assert action.state == ActionState.BLOCKED
    assert not action.maybe_applied
    work_off(shop, as_alice)
    assert OrderAction.objects.get().state == ActionState.SUCCEEDED
    assert len(shop.ledger()["refunds"]) == 1


def test_a_refund_made_in_shopify_in_between_is_noticed_before_sending(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, store: Store
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="30.00")
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("20.00"), "in the admin"))
    shop.held.clear()
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert action.state == ActionState.REJECTED
    assert "€20.00" in action.message
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["20.0"]


def test_a_stale_summary_is_shown_again_with_what_changed(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="30.00")
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("5.00"), "in the admin"))
    seen()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/confirm/"
    answer = as_alice.post(url, {"token": token}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "€0.00 → €5.00" in unescape(answer.content.decode())
    assert not OrderAction.objects.exists()


def test_only_the_assigned_agent_or_a_supervisor_acts(
    shop: Shop, seen: Seen, conversation: Conversation, bob: User, sara: User
) -> None:
    shop.place()
    order = seen()
    as_bob, as_sara = logged_in(bob), logged_in(sara)
    assert "Assign this to yourself to act" in panel(as_bob, conversation)
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    form = {"reason": "other", "amount": "5.00"}
    assert 'name="token"' not in as_bob.post(url, form).content.decode()
    token = review(as_sara, conversation, order, "refund", **form)
    # Another agent's summary is useless to Bob, and he may not act anyway.
    assert confirm(as_bob, conversation, order, token) == 403
    assert confirm(as_sara, conversation, order, token) == 200


def test_a_shipped_order_is_canceled_with_its_shipment_record_on_request(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    shop.act(lambda c: shop_actions.ship(c, placed))
    order = seen()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/cancel/"
    form = {"reason": "CUSTOMER", "refund": "now", "amount": "40.00"}
    off = unescape(as_alice.post(url, form).content.decode())
    assert 'name="token"' not in off
    assert "Select “Cancel the shipment record too”" in off
    token = review(as_alice, conversation, order, "cancel", cancel_shipments="on", **form)
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert [step["document"] for step in action.steps] == ["FulfillmentCancel", "OrderCancel"]
    assert action.state == ActionState.SUCCEEDED
    assert len(shop.ledger()["cancelations"]) == 1


def test_a_cancel_that_shopify_refuses_shows_its_words_and_refunds_nothing(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ships between our check and Shopify's."""
    monkeypatch.setattr(worker_steps, "check_before_sending", lambda *_, **__: None)
    placed = shop.place()
    order = seen()
    token = review(
        as_alice, conversation, order, "cancel", reason="OTHER", refund="now", amount="10.00"
    )
    shop.act(lambda c: shop_actions.ship(c, placed))
    shop.held.clear()
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    action = OrderAction.objects.get()
    assert action.state == ActionState.REJECTED
    assert action.message == "Cannot cancel an order that has outstanding fulfillments"
    assert action.message in panel(as_alice, conversation)
    assert shop.ledger()["refunds"] == []


def test_a_refund_that_fails_at_the_bank_later_turns_red(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    shop.act(lambda c: shop_actions.fail_refund(c, placed, placed.refunds[0], "INSUFFICIENT_FUNDS"))
    seen()
    action = OrderAction.objects.get()
    assert action.state == ActionState.REVERSED
    assert "insufficient funds" in panel(as_alice, conversation)


def test_a_change_on_the_shops_side_reaches_the_panel_by_webhook(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    seen()
    assert "Unfulfilled" in panel(as_alice, conversation)
    shop.act(lambda c: shop_actions.ship(c, placed, tracking=[Tracking(number="JD01")]))
    shop.deliver(as_alice, times=3)
    page = panel(as_alice, conversation)
    assert "Fulfilled" in page
    assert "JD01" in page


def test_history_before_the_connection_sends_no_message(
    shop: Shop, seen: Seen, conversation: Conversation, campaigns: list[Campaign], store: Store
) -> None:
    from datetime import timedelta

    placed = shop.place()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("5.00")))
    Store.objects.filter(pk=store.pk).update(connected_at=store.connected_at + timedelta(hours=1))
    seen()
    send_messages()
    assert confirmations(conversation) == []
    assert mail.outbox == []
