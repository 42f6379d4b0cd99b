"""A service commits on its own, and a failed enqueue rolls nothing back.

Inside a caller's transaction, a service's writes could be rolled back after Shopify got
them; so each refuses to run there. What is rung after a commit may fail: the sweep finds the row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from orders import audit, previews, services
from orders.actions import (
    approvals,
    requests,
    worker_steps,
)
from orders.actions.progress import Settled
from orders.models import ActionState, EventKind, Order, OrderAction, OrderEvent, Policy, Store
from orders.previews import (
    RefundChoice,
    build,
)
from orders.projection import record
from orders.signals import event_recorded, order_changed
from tests.orders.actions.test_requesting import Gateway
from tests.support.orders.snapshots import NOW, order
from tests.support.orders.stored import eur, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway()
    for module in (build, requests, approvals):
        monkeypatch.setattr(module, "get_gateway", lambda: found)
    monkeypatch.setattr(worker_steps, "wake", found.wake)
    return found


@pytest.fixture
def waiting(alice: User, sara: User) -> OrderAction:
    """An action of alice's that waits for sara."""
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=15)
    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    return ask(stored(order(), store), alice)


def token_for(order: Order, by: User) -> str:
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    return previews.preview_refund(order, choice, by=by, now=NOW).token


def ask(order: Order, by: User) -> OrderAction:
    return services.request_action(
        token=token_for(order, by),
        order_id=order.pk,
        by=by,
        guard=lambda _order: None,
        now=timezone.now(),
    )


def claimed(waiting: OrderAction, by: User) -> OrderAction:
    approve(waiting, by)
    found = worker_steps.claim(action_id=waiting.pk, now=timezone.now())
    assert found is not None
    return found


def approve(action: OrderAction, by: User) -> None:
    services.approve(action_id=action.pk, by=by, guard=lambda _order: None, now=timezone.now())


def stuck(waiting: OrderAction, by: User) -> OrderAction:
    found = claimed(waiting, by)
    assert worker_steps.human_needed(found, message="Look.")
    return found


VERBS: dict[str, Callable[[OrderAction, User], Callable[[], Any]]] = {
    "request_action": lambda a, by: lambda: ask(a.order, by),
    "withdraw": lambda a, by: lambda: services.withdraw(action_id=a.pk, by=by, now=timezone.now()),
    "approve": lambda a, by: lambda: approve(a, by),
    "decline": lambda a, by: (
        lambda: services.decline(action_id=a.pk, by=by, note="", now=timezone.now())
    ),
    "keep_money": lambda a, by: (
        lambda: services.keep_money(order_id=a.order_id, by=by, reason="A fee.")
    ),
    "settle_by_hand": lambda a, by: _after(
        stuck(a, by),
        lambda found: services.settle_by_hand(
            action_id=found.pk, by=by, was_applied=True, reason="Seen.", now=timezone.now()
        ),
    ),
    "claim": lambda a, by: _after(
        _approved(a, by),
        lambda found: worker_steps.claim(action_id=found.pk, now=timezone.now()),
    ),
    "begin_step": lambda a, by: _after(
        claimed(a, by),
        lambda found: worker_steps.begin_step(found, step=0, now=timezone.now()),
    ),
    "release": lambda a, by: _after(
        claimed(a, by),
        lambda found: worker_steps.release(
            found, state=ActionState.UNKNOWN, again_at=timezone.now()
        ),
    ),
    "human_needed": lambda a, by: _after(
        claimed(a, by), lambda found: worker_steps.human_needed(found, message="Look.")
    ),
    "settle": lambda a, by: _after(
        claimed(a, by),
        lambda found: worker_steps.settle(
            found, Settled(ActionState.REJECTED, "No."), now=timezone.now()
        ),
    ),
    "record_snapshot": lambda a, by: lambda: stored(order(updated_at=NOW), a.order.store),
    "mark_missing": lambda a, by: (
        lambda: record.mark_missing(order=a.order, seq=1, now=NOW, confirm_after=timedelta(hours=1))
    ),
}


def _after(found: OrderAction, verb: Callable[[OrderAction], Any]) -> Callable[[], Any]:
    return lambda: verb(found)


def _approved(action: OrderAction, by: User) -> OrderAction:
    approve(action, by)
    return action


@pytest.mark.parametrize("name", VERBS)
def test_no_service_runs_inside_a_callers_transaction(
    waiting: OrderAction, sara: User, name: str
) -> None:
    verb = VERBS[name](waiting, sara)
    before = (list(OrderAction.objects.values()), Order.objects.values().get())
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        verb()
    after = (list(OrderAction.objects.values()), Order.objects.values().get())
    # mark_dirty, before record_snapshot, is a statement of its own.
    if name != "record_snapshot":
        assert after == before


def test_a_sweep_ends_nothing_inside_a_callers_transaction(
    waiting: OrderAction, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on after a row that fails, and says so in the log."""
    assert waiting.expires_at is not None
    with transaction.atomic():
        assert approvals.expire_approvals(now=waiting.expires_at) == 0
    assert "durable" in caplog.text
    waiting.refresh_from_db()
    assert waiting.state == ActionState.AWAITING_APPROVAL


def test_a_failed_enqueue_rolls_nothing_back(
    waiting: OrderAction,
    alice: User,
    sara: User,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def broken(*_words: Any, **_more: Any) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(worker_steps, "wake", broken)
    signals = (order_changed, event_recorded)
    for signal in signals:
        signal.connect(broken)
    try:
        with django_capture_on_commit_callbacks(execute=True) as rung:
            services.withdraw(action_id=waiting.pk, by=alice, now=timezone.now())
            Policy.objects.filter(role=alice.groups.get()).update(refund_up_to=None)
            action = ask(waiting.order, alice)
            found = worker_steps.claim(action_id=action.pk, now=timezone.now())
            assert found is not None
            assert worker_steps.settle(
                found, Settled(ActionState.REJECTED, "No."), now=timezone.now()
            )
            Policy.objects.filter(role=alice.groups.get()).update(refund_up_to=0)
            again = ask(Order.objects.select_related("store").get(), alice)
            approve(again, sara)
    finally:
        for signal in signals:
            signal.disconnect(broken)
    assert len(rung) >= 6
    states = list(OrderAction.objects.order_by("pk").values_list("state", flat=True))
    assert states == [ActionState.WITHDRAWN, ActionState.REJECTED, ActionState.QUEUED]


def test_an_action_that_did_not_happen_is_news_once(
    waiting: OrderAction, alice: User, sara: User, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[int] = []

    def hear(event_id: int, **_rest: Any) -> None:
        heard.append(event_id)

    event_recorded.connect(hear)
    try:
        now = timezone.now()
        with django_capture_on_commit_callbacks(execute=True):
            found = claimed(waiting, sara)
            assert worker_steps.settle(found, Settled(ActionState.REJECTED, "No."), now=now)
            worker_steps.record_failure(found, Settled(ActionState.REJECTED, "No."), now=now)
            done = Settled(ActionState.SUCCEEDED)
            worker_steps.record_failure(found, done, now=now)
    finally:
        event_recorded.disconnect(hear)
    event = OrderEvent.objects.get(kind=EventKind.ACTION_FAILED)
    assert heard == [event.pk]
    assert (event.occurred_at, event.actor, event.action_id) == (now, alice, waiting.pk)
    assert (event.amount, event.currency) == (eur("5.00").amount, "EUR")
    assert (event.reason, event.detail) == ("other", "No.")


def test_an_outcome_is_recorded_completely_or_not_at_all(
    waiting: OrderAction, sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, reserve and audit entry stand together or not at all."""
    found = claimed(waiting, sara)

    def broken(*_words: Any, **_more: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(audit, "record", broken)
    before = (OrderAction.objects.values().get(), Order.objects.values().get())
    with pytest.raises(RuntimeError, match="power cut"):
        worker_steps.settle(found, Settled(ActionState.REJECTED, "No."), now=timezone.now())
    assert (OrderAction.objects.values().get(), Order.objects.values().get()) == before
