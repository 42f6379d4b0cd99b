"""Every action ends: by evidence, by a deadline, or by a person's decision."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from orders import policies, services
from orders.actions import worker_steps
from orders.errors import ActionRefused, ShopUnreachable
from orders.models import (
    ACTIVE_STATES,
    SETTLED_STATES,
    ActionState,
    AuditEntry,
    Order,
    OrderAction,
    OrderEvent,
    OrderRefund,
    Store,
)
from practice_store.changes import staff_actions as shop_actions
from practice_store.sales import cancellation, lifecycle, payments
from shopify_sync import tasks
from tests.support.database.copies import without_triggers
from tests.support.orders.acting import answering, ask, cancel, perform, refund, without_wake_ups
from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty
from tests.support.shop.queues import sweep_actions

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wake_ups(monkeypatch)


@pytest.fixture
def action(shop: Shop, seen: Seen, alice: User) -> OrderAction:
    shop.place(paid=True)
    return ask(seen(), refund("5.00"), alice)


def put_into(action: OrderAction, state: ActionState, **changes: Any) -> None:
    with without_triggers(connection):
        OrderAction.objects.filter(pk=action.pk).update(state=state, **changes)


def hours_ago(hours: float) -> Any:
    return timezone.now() - timedelta(hours=hours)


SENT = {"maybe_applied": True, "is_doubtful": True, "message": "Hm."}
DEADLINES = [
    (ActionState.AWAITING_APPROVAL, {"approvals_needed": 1}, "expires_at", 0, ActionState.EXPIRED),
    (ActionState.QUEUED, {}, "expires_at", 0, ActionState.EXPIRED),
    (ActionState.BLOCKED, {}, "expires_at", 0, ActionState.EXPIRED),
    (ActionState.PENDING, SENT, "step_last_sent_at", 2, ActionState.NEEDS_HUMAN),
    (ActionState.UNKNOWN, SENT, "step_last_sent_at", 20, ActionState.NEEDS_HUMAN),
    (ActionState.BLOCKED, SENT, "step_last_sent_at", 20, ActionState.NEEDS_HUMAN),
    (ActionState.SENDING, SENT, "lease_until", 20, ActionState.NEEDS_HUMAN),
]


@pytest.mark.slow
@pytest.mark.parametrize(("state", "columns", "clock", "hours", "ends"), DEADLINES)
def test_every_state_has_its_deadline(
    action: OrderAction,
    store: Store,
    state: ActionState,
    columns: dict[str, Any],
    clock: str,
    hours: float,
    ends: ActionState,
) -> None:
    """Also while the store is frozen and no worker takes it up."""
    Store.objects.update(is_frozen=True)
    times = {"step_first_sent_at": hours_ago(hours + 1)} if columns.get("maybe_applied") else {}
    put_into(action, state, **columns, **times, **{clock: hours_ago(hours - 0.1)})
    services.end_overdue(now=timezone.now())
    services.expire_approvals(now=timezone.now())
    action.refresh_from_db()
    assert action.state == state
    OrderAction.objects.update(**{clock: hours_ago(hours + 0.1)})
    sweep_actions()
    action.refresh_from_db()
    assert action.state == ends
    if ends in SETTLED_STATES:
        assert Order.objects.get().reserved == 0


def test_all_active_states_have_one() -> None:
    """The table above, and the two that end otherwise: a lease of seconds, and a person."""
    with_deadline = {state for state, *_ in DEADLINES}
    assert set(ACTIVE_STATES) - with_deadline == {ActionState.NEEDS_HUMAN}


def test_a_confirmation_of_yesterday_is_not_sent_today(shop: Shop, action: OrderAction) -> None:
    OrderAction.objects.update(expires_at=hours_ago(0.1))
    sweep_actions()
    action.refresh_from_db()
    assert (action.state, shop.ledger()["refunds"]) == (ActionState.EXPIRED, [])


@pytest.mark.parametrize(("phase", "state"), [("403", "blocked"), ("throttle", "pending")])
def test_a_refund_that_cannot_leave_after_its_cancel_has_its_deadline(
    shop: Shop, seen: Seen, alice: User, phase: str, state: str
) -> None:
    """Canceled for certain, and the refund not sent for certain: no time of that step is known."""
    shop.place(paid=True)
    action = ask(seen(), cancel("10.00"), alice)
    shop.fault(operation="refundCreate", phase=phase)
    for _ in range(20):
        found = perform(action)
        time.sleep(0.02)
        if shop.ledger()["cancelations"] and found.step == 1:
            break
    assert (found.state, found.is_doubtful, found.step_first_sent_at) == (state, False, None)
    services.end_overdue(now=timezone.now() + timedelta(hours=1.9))
    action.refresh_from_db()
    assert action.state == state
    services.end_overdue(now=timezone.now() + timedelta(hours=20.1))
    action.refresh_from_db()
    assert action.state == ActionState.NEEDS_HUMAN


def test_a_cancel_that_never_gets_an_answer_is_not_repeated_for_ever(
    shop: Shop, seen: Seen, alice: User
) -> None:
    """Every attempt resets the time of the last send; the twenty hours count from the first."""
    shop.place(paid=True)
    action = ask(seen(), cancel(), alice)
    shop.fault(operation="orderCancel", phase="500_before")
    assert perform(action).state == ActionState.UNKNOWN
    OrderAction.objects.update(step_first_sent_at=hours_ago(20.1), step_last_sent_at=hours_ago(0.1))
    assert perform(action).state == ActionState.NEEDS_HUMAN


def test_a_late_message_sends_no_confirmation_of_yesterday(shop: Shop, action: OrderAction) -> None:
    """After an outage a worker may have the message before the sweep has seen the row."""
    OrderAction.objects.update(expires_at=hours_ago(0.1))
    assert perform(action).state == ActionState.EXPIRED
    assert (shop.ledger()["refunds"], Order.objects.get().reserved) == ([], 0)


def test_a_dead_workers_action_is_released_in_a_frozen_store(
    shop: Shop, store: Store, action: OrderAction
) -> None:
    """It died before sending anything; it can't be withdrawn, and nothing else ends it."""
    assert worker_steps.claim(action_id=action.pk, now=hours_ago(1))
    Store.objects.update(is_frozen=True)
    sweep_actions()
    action.refresh_from_db()
    assert (action.state, shop.ledger()["refunds"]) == (ActionState.QUEUED, [])
    services.withdraw(action_id=action.pk, by=action.requested_by, now=timezone.now())


def test_an_unsent_action_expires_after_a_day(action: OrderAction) -> None:
    assert action.expires_at is not None
    assert abs(action.expires_at - action.requested_at - timedelta(hours=24)) < timedelta(minutes=1)


def test_what_may_have_been_sent_does_not_expire(shop: Shop, action: OrderAction) -> None:
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    OrderAction.objects.update(expires_at=hours_ago(1))
    services.end_overdue(now=timezone.now())
    assert perform(action).state == ActionState.SUCCEEDED


def test_taking_over_from_a_dead_worker_is_no_move(action: OrderAction) -> None:
    put_into(action, ActionState.SENDING, lease_until=hours_ago(1))
    before = AuditEntry.objects.count()
    assert worker_steps.claim(action_id=action.pk, now=timezone.now()) is not None
    assert AuditEntry.objects.count() == before


def needs_a_person(action: OrderAction) -> None:
    put_into(action, ActionState.NEEDS_HUMAN, maybe_applied=True, step_first_sent_at=hours_ago(21))


def settle(action: OrderAction, by: User, *, was_applied: bool) -> OrderAction:
    services.settle_by_hand(
        action_id=action.pk, by=by, was_applied=was_applied, reason="Seen.", now=timezone.now()
    )
    return OrderAction.objects.get(pk=action.pk)


@pytest.mark.parametrize(
    ("was_applied", "ends"), [(False, ActionState.REJECTED), (True, ActionState.SUCCEEDED)]
)
def test_what_cannot_be_read_is_settled_without_and_says_so(
    shop: Shop, action: OrderAction, sara: User, was_applied: bool, ends: ActionState
) -> None:
    needs_a_person(action)
    shop.store.world.shops[DOMAIN].orders.clear()
    found = settle(action, sara, was_applied=was_applied)
    assert (found.state, found.message) == (
        ends,
        "Settled by sara without reading Shopify: Seen.",
    )
    assert Order.objects.get().reserved == 0


def test_a_hiccup_is_no_reason_to_settle_without_a_read(
    shop: Shop, action: OrderAction, sara: User
) -> None:
    needs_a_person(action)
    shop.fault(operation="*", phase="throttle")
    with pytest.raises(ShopUnreachable):
        settle(action, sara, was_applied=True)
    # A shop that has been out of reach for a day holds up no decision.
    Order.objects.update(read_started_at=hours_ago(25))
    assert settle(action, sara, was_applied=False).state == ActionState.REJECTED


def test_not_applied_cannot_be_said_of_what_shopify_confirmed(
    shop: Shop, action: OrderAction, sara: User
) -> None:
    needs_a_person(action)
    OrderAction.objects.update(refund_gid="gid://shopify/Refund/1")
    with pytest.raises(ActionRefused, match="confirmed this refund"):
        settle(action, sara, was_applied=False)


def test_done_by_hand_is_the_refund_that_shopify_shows(
    shop: Shop, action: OrderAction, sara: User
) -> None:
    [placed] = shop.store.world.shops[DOMAIN].orders.values()
    needs_a_person(action)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("4.00")))
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("6.00")))
    with pytest.raises(ActionRefused, match=r"no refund of €5\.00"):
        settle(action, sara, was_applied=True)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("5.00")))
    found = settle(action, sara, was_applied=True)
    assert (found.state, found.refund_gid != "") == (ActionState.SUCCEEDED, True)
    # And stays so whatever is heard of the order after it.
    placed.note = "new"
    placed.updated_at += timedelta(seconds=5)
    shop.deliver(Client())
    found.refresh_from_db()
    assert found.state == ActionState.SUCCEEDED


def test_another_actions_refund_is_no_evidence(
    shop: Shop, seen: Seen, alice: User, sara: User, action: OrderAction
) -> None:
    assert perform(action).state == ActionState.SUCCEEDED
    second = ask(seen(), refund("5.00"), alice)
    needs_a_person(second)
    with pytest.raises(ActionRefused, match="other actions"):
        settle(second, sara, was_applied=True)


def test_a_cancellation_that_never_happened_cannot_be_settled_as_done(
    shop: Shop, seen: Seen, alice: User, sara: User
) -> None:
    shop.place(paid=True)
    action = ask(seen(), cancel(), alice)
    needs_a_person(action)
    with pytest.raises(ActionRefused, match="isn’t canceled"):
        settle(action, sara, was_applied=True)


def test_settled_by_hand_a_canceled_order_is_half_done(
    shop: Shop, seen: Seen, alice: User, sara: User
) -> None:
    shop.place(paid=True)
    action = ask(seen(), cancel("5.00"), alice)
    assert perform(action).state == ActionState.PENDING
    time.sleep(0.1)
    needs_a_person(action)
    found = settle(action, sara, was_applied=False)
    assert found.state == ActionState.PARTIAL


def test_canceled_and_the_refund_a_moment_later(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shopify cancels first; given up as half done, it is done when the refund arrives."""
    shop.place(paid=True)
    action = ask(seen(), cancel("40.00"), alice)
    later: list[Any] = []
    real = cancellation._refund_everything
    with monkeypatch.context() as patched:
        patched.setattr(
            cancellation,
            "_refund_everything",
            lambda c, order, job, now: later.append((order, job)),
        )
        shop.fault(operation="orderCancel", phase="commit_then_drop", times=1)
        perform(action)
        time.sleep(0.1)
        found = perform(action)
        assert (found.state, "still refunding" in found.message) == (ActionState.PENDING, True)
        OrderAction.objects.update(step_last_sent_at=timezone.now() - timedelta(minutes=3))
        assert perform(action).state == ActionState.PARTIAL
    order, job = later[0]
    shop.act(lambda c: real(c, order, job, c.now()))
    shop.act(lambda c: lifecycle.touch(c, order))
    shop.deliver(Client())
    found = OrderAction.objects.get()
    assert (found.state, found.evidence_at is not None) == (ActionState.SUCCEEDED, True)
    assert OrderRefund.objects.get().action == found
    event = OrderEvent.objects.get(kind="refunded")
    assert event.actor is not None
    assert event.actor.username == "alice"


def test_a_colleagues_goodwill_refund_does_not_settle_the_action(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = shop.place(paid=True)
    action = ask(seen(), cancel("40.00"), alice)
    with monkeypatch.context() as patched:
        patched.setattr(cancellation, "_refund_everything", lambda *_: None)
        perform(action)
        time.sleep(0.1)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("1.00"), "goodwill"))
    shop.deliver(Client())
    OrderAction.objects.update(step_last_sent_at=timezone.now() - timedelta(minutes=3))
    found = perform(action)
    assert (found.state, "€1.00" in found.message) == (ActionState.NEEDS_HUMAN, True)
    event = OrderEvent.objects.get(kind="refunded")
    assert (event.amount, event.actor) == (Decimal("1.00"), None)


@pytest.fixture
def slow_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    real = payments.add_transaction

    def pending(context: Any, shop_order: Any, **words: Any) -> Any:
        made = real(context, shop_order, **words)
        if words.get("kind") == "REFUND":
            made.status = "PENDING"
        return made

    monkeypatch.setattr(payments, "add_transaction", pending)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "ends"), [("SUCCESS", ActionState.SUCCEEDED), ("FAILURE", ActionState.REVERSED)]
)
def test_a_bank_that_takes_days_blocks_nothing(
    shop: Shop,
    seen: Seen,
    alice: User,
    action: OrderAction,
    slow_bank: None,
    says: str,
    ends: ActionState,
) -> None:
    found = perform(action)
    assert found.state == ActionState.AWAITING_BANK
    assert "bank has not confirmed" in found.message
    order = Order.objects.select_related("store").get()
    # Its money is on its way: it is not there to be refunded again.
    with pytest.raises(Exception, match=r"up to €35\.00"):
        ask(order, refund("36.00"), alice)
    second = ask(order, refund("35.00"), alice)
    assert perform(second).state == ActionState.AWAITING_BANK
    [placed] = shop.store.world.shops[DOMAIN].orders.values()
    for payment in placed.transactions:
        if payment.status == "PENDING":
            payment.status = says
    placed.updated_at += timedelta(seconds=5)
    shop.act(lambda c: lifecycle.touch(c, placed))
    shop.deliver(Client())
    states = OrderAction.objects.values_list("state", flat=True)
    assert set(states) == {ends}


def test_a_bank_is_asked_about_by_the_hour(
    shop: Shop, store: Store, action: OrderAction, slow_bank: None
) -> None:
    """Its answer's webhook may be lost; the hourly watch has the order read again."""
    assert perform(action).state == ActionState.AWAITING_BANK
    [placed] = shop.store.world.shops[DOMAIN].orders.values()
    for payment in placed.transactions:
        payment.status = "SUCCESS"
    placed.updated_at += timedelta(seconds=5)
    shop.held.clear()
    tasks.watch_store(store.pk)
    assert not Order.objects.dirty().exists()
    Order.objects.update(read_started_at=hours_ago(7))
    tasks.watch_store(store.pk)
    fetch_dirty()
    action.refresh_from_db()
    assert action.state == ActionState.SUCCEEDED


def malformed(said: Any) -> Any:
    return {"errors": [{"message": "Bad.", "extensions": {"code": "INVALID_VARIABLE"}}]}


def test_a_request_shopify_cannot_read_ends_at_once(shop: Shop, action: OrderAction) -> None:
    shop.fault(operation="refundCreate", phase="throttle", times=1)
    with answering("RefundCreate", malformed):
        found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.REJECTED, False)
    assert "Bad." in found.message


def test_a_malformed_refund_after_its_cancel_is_half_done(
    shop: Shop, seen: Seen, alice: User
) -> None:
    shop.place(paid=True)
    action = ask(seen(), cancel("5.00"), alice)
    perform(action)
    time.sleep(0.1)
    shop.fault(operation="refundCreate", phase="throttle", times=1)
    with answering("RefundCreate", malformed):
        found = perform(action)
    assert (found.state, "Bad." in found.message) == (ActionState.PARTIAL, True)


@pytest.mark.parametrize("crashes", [9, 10])
def test_an_action_that_killed_ten_workers_needs_review(action: OrderAction, crashes: int) -> None:
    put_into(
        action,
        ActionState.SENDING,
        crashes=crashes,
        lease_until=hours_ago(1),
        step_first_sent_at=hours_ago(1),
    )
    claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
    action.refresh_from_db()
    assert (claimed is None) is (crashes == 10)
    assert action.state == (ActionState.NEEDS_HUMAN if crashes == 10 else ActionState.SENDING)


def test_what_is_refused_later_says_that_its_shipment_record_is_gone(
    shop: Shop, seen: Seen, alice: User
) -> None:
    placed = shop.place(paid=True)
    shop.act(lambda c: shop_actions.ship(c, placed))
    action = ask(seen(), cancel("40.00", cancel_shipments=True), alice)
    shop.fault(operation="orderCancel", phase="throttle", times=1)
    assert perform(action).state == ActionState.PENDING
    shop.act(lambda c: shop_actions.cancel(c, placed, reason="OTHER", refund_all=False))
    time.sleep(0.1)
    found = perform(action)
    assert (found.state, "has since been canceled in Shopify" in found.message) == (
        ActionState.REJECTED,
        True,
    )
    assert "The shipment record was already canceled" in found.message


def test_a_refund_that_appears_after_it_was_denied_counts_against_the_daily_limit(
    shop: Shop, action: OrderAction, alice: User, sara: User
) -> None:
    shop.fault(operation="refundCreate", phase="commit_late", late_s=1000)
    assert perform(action).state == ActionState.UNKNOWN
    put_into(action, ActionState.NEEDS_HUMAN)
    assert settle(action, sara, was_applied=False).state == ActionState.REJECTED
    store = action.order.store
    assert policies.spent_today(alice, store, now=timezone.now()) == 0
    shop.advance(2000)
    shop.deliver(Client())
    assert policies.spent_today(alice, store, now=timezone.now()) == 5
