"""Decisions about someone else's action: who may decide, on which facts, what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from orders import previews, services
from orders.actions import (
    approvals,
    requests,
    worker_steps,
)
from orders.errors import Refusal, StalePreview
from orders.models import (
    ActionState,
    AuditEntry,
    AuditKind,
    Order,
    OrderAction,
    OrderEvent,
    Policy,
    Store,
)
from orders.previews import (
    CancelChoice,
    RefundChoice,
    build,
)
from orders.snapshot import Refund
from tests.orders.actions.test_requesting import Gateway, refused
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


@pytest.fixture
def store() -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def limits(alice: User, sara: User) -> Policy:
    """Agents refund nothing alone, two people agree above 10, supervisors approve up to 15."""
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=15, refund_up_to=0)
    return Policy.objects.create(
        role=alice.groups.get(), refund_up_to=0, two_approvers_above=10, cancel="approval"
    )


@pytest.fixture
def ask(store: Store, limits: Policy, alice: User) -> Callable[..., OrderAction]:
    """An action of alice's that waits for approval."""

    def ask(amount: str | None = "5.00", *, by: User = alice, number: int = 1) -> OrderAction:
        snapshot = replace(order(), gid=f"gid://shopify/Order/{number}", legacy_id=number)
        found = stored(snapshot, store)
        if amount is None:
            choice = CancelChoice(reason="CUSTOMER")
            token = previews.preview_cancel(found, choice, by=by, now=NOW).token
        else:
            refund = RefundChoice(reason="other", amount=eur(amount))
            token = previews.preview_refund(found, refund, by=by, now=NOW).token
        action = services.request_action(
            token=token, order_id=found.pk, by=by, guard=lambda _o: None, now=timezone.now()
        )
        assert action.state == ActionState.AWAITING_APPROVAL
        return action

    return ask


@pytest.fixture
def sam(sara: User) -> User:
    """Another supervisor."""
    found = User.objects.create_user("sam")
    found.groups.add(sara.groups.get())
    return found


def approve(action: OrderAction, by: User, **more: Any) -> OrderAction:
    words = {"guard": lambda _order: None, "now": timezone.now(), **more}
    return services.approve(action_id=action.pk, by=by, **words)


def decline(action: OrderAction, by: User, note: str = "") -> OrderAction:
    return services.decline(action_id=action.pk, by=by, note=note, now=timezone.now())


def why_not(action: OrderAction, by: User) -> str | None:
    refusal = approvals.approval_refusal(
        OrderAction.objects.select_related("order__store").get(pk=action.pk), by
    )
    return refusal.code if refusal else None


def test_who_may_approve(
    ask: Callable[..., OrderAction], alice: User, bob: User, sara: User, sam: User
) -> None:
    action = ask("5.00")
    assert why_not(action, alice) == "own_action"
    assert why_not(action, bob) == "not_approver"
    assert why_not(action, sara) is None
    assert why_not(ask("15.00", number=2), sara) is None
    assert why_not(ask("15.01", number=3), sara) == "above_limit"
    assert why_not(ask("5.00", by=sara, number=4), sara) == "own_action"
    assert why_not(ask("5.00", by=sara, number=5), sam) is None
    for verb in (approve, decline):
        for who, code in ((alice, "own_action"), (bob, "not_approver")):
            assert refused(verb, action, who) == code
    action.refresh_from_db()
    assert action.state == ActionState.AWAITING_APPROVAL
    approve(action, sara)
    assert why_not(action, sam) == "not_waiting"
    for verb in (approve, decline):
        assert refused(verb, action, sam) == "not_waiting"


@pytest.mark.parametrize(("up_to", "code"), [(15, None), (None, None), (0, "not_approver")])
def test_any_approver_may_approve_a_cancellation_without_a_currency(
    ask: Callable[..., OrderAction], bob: User, sara: User, up_to: int | None, code: str | None
) -> None:
    """Without a sum to compare, anyone who may approve a refund at all may decide."""
    action = ask(None)
    Order.objects.update(shop_currency="")
    Policy.objects.filter(role=sara.groups.get()).update(may_approve_up_to=up_to)
    assert why_not(action, sara) == code
    assert why_not(action, bob) == "not_approver"
    no_role = User.objects.create_user("no_role")
    assert why_not(action, no_role) == "no_acting_role"


def test_an_approval_sends_it_and_says_who(
    ask: Callable[..., OrderAction],
    sara: User,
    gateway: Gateway,
    django_capture_on_commit_callbacks: Any,
) -> None:
    action = ask("5.00")
    gateway.refreshed.clear()
    now = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        approve(action, sara, now=now)
    assert gateway.refreshed == [action.order_id], "on the order as it is now"
    action.refresh_from_db()
    assert (action.state, action.approved_by, action.co_approved_by) == (
        ActionState.QUEUED,
        sara,
        None,
    )
    assert action.next_attempt_at == now
    assert gateway.rung == [(action.pk, 0)]
    entry = AuditEntry.objects.get(kind=AuditKind.APPROVAL)
    assert (entry.actor, entry.action_id, entry.order_id) == ("sara", action.pk, action.order_id)
    assert (entry.store_id, entry.amount) == (action.order.store_id, Decimal("5.00"))
    assert (entry.detail["given"], entry.detail["needed"]) == (1, 1)
    moved = AuditEntry.objects.filter(kind=AuditKind.ACTION).latest("pk")
    assert (moved.after, moved.actor) == (ActionState.QUEUED, "sara")


def test_two_people_agree_and_not_one_of_them_twice(
    ask: Callable[..., OrderAction],
    sara: User,
    sam: User,
    gateway: Gateway,
    django_capture_on_commit_callbacks: Any,
) -> None:
    action = ask("12.00")
    assert action.approvals_needed == 2
    with django_capture_on_commit_callbacks(execute=True):
        approve(action, sara)
    action.refresh_from_db()
    assert (action.state, action.approved_by) == (ActionState.AWAITING_APPROVAL, sara)
    assert gateway.rung == []
    assert refused(approve, action, sara) == "approved_already"
    assert refused(decline, action, sara) == "approved_already"
    approve(action, sam)
    action.refresh_from_db()
    assert (action.state, action.approved_by, action.co_approved_by) == (
        ActionState.QUEUED,
        sara,
        sam,
    )
    given = AuditEntry.objects.filter(kind=AuditKind.APPROVAL).order_by("pk")
    assert [(e.actor, e.detail["given"], e.detail["needed"]) for e in given] == [
        ("sara", 1, 2),
        ("sam", 2, 2),
    ]


def test_a_callers_doubt_stops_an_approval(ask: Callable[..., OrderAction], sara: User) -> None:
    action = ask()
    doubt = Refusal("ambiguous_customer", "Whose is it?")
    assert refused(approve, action, sara, guard=lambda _order: doubt) == "ambiguous_customer"
    action.refresh_from_db()
    assert (action.state, action.approved_by) == (ActionState.AWAITING_APPROVAL, None)


def test_an_approval_of_an_order_that_changed_ends_the_action(
    ask: Callable[..., OrderAction], sara: User
) -> None:
    action = ask()
    assert action.order.shop_updated_at is not None
    updated = action.order.shop_updated_at + timedelta(minutes=1)
    stored(order(refunded="1.00", updated_at=updated), action.order.store)
    now = timezone.now()
    with pytest.raises(StalePreview, match=r"€0\.00 → €1\.00"):
        approve(action, sara, now=now)
    action.refresh_from_db()
    assert (action.state, action.settled_at) == (ActionState.EXPIRED, now)
    assert "€1.00" in action.message
    assert action.order.reserved == 0
    assert action.approved_by is None


@pytest.mark.parametrize(("late_s", "state"), [(-1, ActionState.QUEUED), (0, ActionState.EXPIRED)])
def test_an_approval_in_time_is_valid(
    ask: Callable[..., OrderAction], sara: User, late_s: int, state: ActionState
) -> None:
    action = ask()
    assert action.expires_at is not None
    now = action.expires_at + timedelta(seconds=late_s)
    if state == ActionState.QUEUED:
        approve(action, sara, now=now)
    else:
        with pytest.raises(StalePreview, match="Not approved in time"):
            approve(action, sara, now=now)
    action.refresh_from_db()
    assert action.state == state


def test_declining_records_who_and_why(ask: Callable[..., OrderAction], sara: User) -> None:
    action = ask()
    now = timezone.now()
    services.decline(action_id=action.pk, by=sara, note="  Ask for a photo. ", now=now)
    action.refresh_from_db()
    assert (action.state, action.settled_at) == (ActionState.DECLINED, now)
    assert action.message == "Declined by sara. Ask for a photo."
    assert (action.reserved, action.order.reserved) == (0, 0)
    assert AuditEntry.objects.filter(kind=AuditKind.ACTION).latest("pk").actor == "sara"


def test_an_action_that_is_not_approved_in_time_expires(
    ask: Callable[..., OrderAction], sara: User
) -> None:
    early, late = ask(number=1), ask(number=2)
    taken = ask(number=3)
    approve(taken, sara)
    moment = timezone.now() + timedelta(hours=4)
    OrderAction.objects.filter(pk=early.pk).update(expires_at=moment)
    OrderAction.objects.filter(pk=late.pk).update(expires_at=moment + timedelta(seconds=1))
    OrderAction.objects.filter(pk=taken.pk).update(expires_at=moment)
    assert approvals.expire_approvals(now=moment) == 1
    for action, state in (
        (early, ActionState.EXPIRED),
        (late, ActionState.AWAITING_APPROVAL),
        (taken, ActionState.QUEUED),
    ):
        action.refresh_from_db()
        assert action.state == state
    assert early.settled_at == moment
    assert early.order.reserved == 0
    assert approvals.expire_approvals(now=moment) == 0


def test_an_action_approved_just_before_the_lock_does_not_expire(
    ask: Callable[..., OrderAction], sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = ask()
    moment = action.expires_at
    assert moment is not None
    look = requests.locked

    def locked(action_id: int) -> OrderAction:
        approve_now = OrderAction.objects.filter(pk=action_id)
        approve_now.update(state=ActionState.QUEUED, approved_by=sara)
        return look(action_id)

    monkeypatch.setattr(approvals, "locked", locked)
    assert approvals.expire_approvals(now=moment) == 0
    action.refresh_from_db()
    assert action.state == ActionState.QUEUED


# --- by hand


@pytest.fixture
def stuck(ask: Callable[..., OrderAction], sara: User) -> OrderAction:
    """An action that a person has to compare with Shopify."""
    action = ask()
    approve(action, sara)
    claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
    assert claimed is not None
    assert worker_steps.human_needed(claimed, message="Look.")
    return OrderAction.objects.get(pk=action.pk)


def settle(action: OrderAction, by: User, **more: Any) -> OrderAction:
    words = {"was_applied": True, "reason": "Seen.", "now": timezone.now(), **more}
    return services.settle_by_hand(action_id=action.pk, by=by, **words)


def test_only_a_supervisor_settles_what_is_open_with_a_reason(
    stuck: OrderAction, alice: User, sara: User, gateway: Gateway
) -> None:
    gateway.refreshed.clear()
    assert refused(settle, stuck, sara, reason="  ") == "reason_missing"
    assert gateway.refreshed == []
    assert refused(settle, stuck, alice) == "not_supervisor"
    assert approvals.settling_refusal(sara) is None
    stuck.refresh_from_db()
    assert stuck.state == ActionState.NEEDS_HUMAN
    assert refused(settle, stuck, sara) == "no_evidence"
    assert stuck.order.shop_updated_at is not None
    later = stuck.order.shop_updated_at + timedelta(minutes=1)
    shown = Refund(gid="gid://shopify/Refund/1", created_at=timezone.now(), total=bag("5.00"))
    stored(order(refunds=(shown,), refunded="5.00", updated_at=later), stuck.order.store)
    OrderAction.objects.filter(pk=stuck.pk).update(maybe_applied=True)
    now: datetime = timezone.now()
    settle(stuck, sara, now=now, reason=" In the timeline. ")
    assert gateway.refreshed[-1] == stuck.order_id
    stuck.refresh_from_db()
    assert (stuck.state, stuck.settled_at) == (ActionState.SUCCEEDED, now)
    assert stuck.maybe_applied, "only a refusal says that nothing was"
    assert stuck.message == "Settled by sara: In the timeline."
    assert stuck.order.reserved == 0
    entry = AuditEntry.objects.get(kind=AuditKind.SETTLED_BY_HAND)
    assert (entry.actor, entry.after, entry.action_id) == ("sara", "succeeded", stuck.pk)
    assert (entry.order_id, entry.store_id) == (stuck.order_id, stuck.order.store_id)
    assert entry.amount == Decimal("5.00")
    assert not OrderEvent.objects.filter(action=stuck).exists()
    assert refused(settle, stuck, sara) == "not_open"


# --- money that stays


def test_money_is_kept_by_a_supervisor_with_a_reason(store: Store, alice: User, sara: User) -> None:
    found = stored(order(cancelled_at=NOW, refunded="5.00"), store)

    def keep(by: User, reason: str = "A fee.") -> Order:
        return services.keep_money(order_id=found.pk, by=by, reason=reason)

    assert refused(keep, alice) == "not_supervisor"
    assert refused(keep, sara, " ") == "reason_missing"
    found.refresh_from_db()
    assert found.kept is None
    keep(sara, "  A fee. " + "x" * 300)
    found = Order.objects.get(pk=found.pk)
    assert (found.kept, found.kept_by) == (Decimal("15.00"), sara)
    assert found.kept_reason.startswith("A fee. x")
    assert len(found.kept_reason) == 255
    entry = AuditEntry.objects.get(kind=AuditKind.MONEY_KEPT)
    assert (entry.actor, entry.order_id, entry.store_id) == ("sara", found.pk, store.pk)
    assert (entry.amount, entry.currency) == (Decimal("15.00"), "EUR")


def test_a_supervisor_is_one_by_group_at_this_moment(alice: User, sara: User) -> None:
    assert approvals.settling_refusal(sara) is None
    sara.groups.clear()
    assert approvals.settling_refusal(sara)
    alice.groups.add(Group.objects.get(name="supervisors"))
    assert approvals.settling_refusal(alice) is None


def test_every_decision_updates_open_pages(
    ask: Callable[..., OrderAction],
    sara: User,
    store: Store,
    django_capture_on_commit_callbacks: Any,
) -> None:
    from orders.signals import order_changed

    first, second, third = ask(number=1), ask(number=2), ask(number=3)
    assert third.expires_at is not None
    canceled = stored(order(gid="gid://shopify/Order/4", legacy_id=4, cancelled_at=NOW), store)
    heard: list[int] = []

    def hear(order_id: int, **_rest: Any) -> None:
        heard.append(order_id)

    order_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            approve(first, sara)
            decline(second, sara)
            approvals.expire_approvals(now=third.expires_at)
            services.keep_money(order_id=canceled.pk, by=sara, reason="A fee.")
        assert heard == [first.order_id, second.order_id, third.order_id, canceled.pk]
    finally:
        order_changed.disconnect(hear)
