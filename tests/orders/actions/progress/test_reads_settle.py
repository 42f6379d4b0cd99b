"""What a read of the order does to its actions: wakes the next step, links refunds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import previews, services
from orders.actions import approvals, requests, worker_steps
from orders.models import ActionState, Order, OrderAction, OrderRefund, Store
from orders.previews import CancelChoice, RefundChoice, build
from orders.snapshot import OrderSnapshot, Refund
from tests.orders.actions.test_requesting import Gateway
from tests.support.orders.snapshots import NOW, bag, order
from tests.support.orders.stored import eur, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway()
    for module in (build, requests, approvals):
        monkeypatch.setattr(module, "get_gateway", lambda: found)
    monkeypatch.setattr(worker_steps, "wake", found.wake)
    return found


def a_store(domain: str) -> Store:
    return Store.objects.create(domain=domain, name=domain, currency="EUR")


def confirmed(found: Order, choice: CancelChoice | RefundChoice, by: User) -> OrderAction:
    show: Any = (
        previews.preview_cancel if isinstance(choice, CancelChoice) else previews.preview_refund
    )
    return services.request_action(
        token=show(found, choice, by=by, now=NOW).token,
        order_id=found.pk,
        by=by,
        guard=lambda _order: None,
        now=timezone.now(),
    )


def sent(action: OrderAction, state: ActionState, message: str = "") -> OrderAction:
    """Its step has been sent, and waits for what the order shows."""
    now = timezone.now()
    found = worker_steps.claim(action_id=action.pk, now=now)
    assert found is not None
    assert worker_steps.begin_step(found, step=0, now=now) is True
    later = now + timedelta(hours=1)
    assert worker_steps.release(found, state=state, again_at=later, message=message)
    return OrderAction.objects.get(pk=action.pk)


def read(snapshot: OrderSnapshot, store: Store) -> Order:
    return stored(replace(snapshot, updated_at=NOW + timedelta(minutes=1)), store)


@pytest.mark.parametrize("is_canceled", [True, False])
def test_the_refund_follows_its_cancellation_without_waiting_for_a_poll(
    alice: User, gateway: Gateway, django_capture_on_commit_callbacks: Any, is_canceled: bool
) -> None:
    store = a_store("demo.myshopify.com")
    choice = CancelChoice(reason="CUSTOMER", amount=eur("5.00"))
    action = sent(confirmed(stored(order(), store), choice, alice), ActionState.PENDING)
    at = NOW if is_canceled else None
    note = f"Bye [ax:{action.marker}]" if is_canceled else ""
    gateway.rung.clear()
    with django_capture_on_commit_callbacks(execute=True):
        read(order(cancelled_at=at, cancel_staff_note=note), store)
    assert gateway.rung == ([(action.pk, 0)] if is_canceled else [])
    action.refresh_from_db()
    assert action.state == ActionState.PENDING
    assert action.next_attempt_at is not None
    assert (action.next_attempt_at <= timezone.now()) is is_canceled


def test_a_refund_is_linked_in_its_own_order_only(alice: User) -> None:
    """Two shops number their refunds alike."""
    north, south = a_store("north.myshopify.com"), a_store("south.myshopify.com")
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    action = sent(confirmed(stored(order(), north), choice, alice), ActionState.PENDING)
    stored(order(), south)
    foreign = Refund(gid="gid://shopify/Refund/1", created_at=NOW, total=bag("5.00"))
    read(order(refunds=(foreign,), refunded="5.00"), south)
    ours = replace(foreign, note=f"Why [ax:{action.marker}]")
    read(order(refunds=(ours,), refunded="5.00"), north)
    linked = OrderRefund.objects.values_list("order__store__name", "action")
    assert dict(linked) == {north.name: action.pk, south.name: None}


@pytest.mark.parametrize("message", ["", "Shopify is busy."])
def test_what_nobody_settled_keeps_the_last_word_about_it(alice: User, message: str) -> None:
    store = a_store("demo.myshopify.com")
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    action = sent(confirmed(stored(order(), store), choice, alice), ActionState.UNKNOWN, message)
    services.end_overdue(now=timezone.now() + worker_steps.UNKNOWN_FOR)
    action.refresh_from_db()
    assert action.state == ActionState.NEEDS_HUMAN
    assert action.message == (message or "Shopify has not shown the outcome.")
