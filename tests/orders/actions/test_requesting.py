"""Requesting and withdrawing an action: every refusal between the summary and the first byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from orders import policies, previews, services
from orders.actions import (
    approvals,
    requests,
    transitions,
    worker_steps,
)
from orders.errors import ActionRefused, Refusal, StalePreview
from orders.models import (
    ActionKind,
    ActionState,
    AuditEntry,
    AuditKind,
    Order,
    OrderAction,
    Policy,
    RefundBudget,
    RefundMethod,
    Store,
)
from orders.previews import (
    CancelChoice,
    RefundChoice,
    build,
)
from orders.shopify_port import Goal
from orders.snapshot import CustomerSnapshot, OrderSnapshot
from tests.support.orders.snapshots import NOW, order, parcel, shipped
from tests.support.orders.stored import FakeGateway, eur, stored

pytestmark = pytest.mark.django_db
JANE = CustomerSnapshot(gid="gid://shopify/Customer/7", legacy_id=7, name="Jane")
DOCUMENTS = {Goal.REFUND: "RefundCreate", Goal.CANCEL_ORDER: "OrderCancel"}
Request = Callable[..., OrderAction]


class Gateway(FakeGateway):
    """Plans empty steps, and remembers which actions it woke workers for."""

    def __init__(self) -> None:
        super().__init__()
        self.rung: list[tuple[int, float]] = []

    def plan(self, action: OrderAction) -> list[Any]:
        goals = {
            ActionKind.REFUND: [Goal.REFUND],
            ActionKind.CANCEL: [Goal.CANCEL_ORDER],
            ActionKind.CANCEL_AND_REFUND: [Goal.CANCEL_ORDER, Goal.REFUND],
        }
        return [
            {"goal": goal.value, "target": "", "document": DOCUMENTS[goal], "variables": {}}
            for goal in goals[ActionKind(action.kind)]
        ]

    def wake(self, action_id: int, *, after_s: float = 0) -> None:
        self.rung.append((action_id, after_s))


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    found = Gateway()
    for module in (build, requests, approvals):
        monkeypatch.setattr(module, "get_gateway", lambda: found)
    monkeypatch.setattr(worker_steps, "wake", found.wake)
    return found


@pytest.fixture
def store() -> Store:
    return Store.objects.create(
        domain="demo.myshopify.com", name="Demo", currency="EUR", allow_store_credit=True
    )


@pytest.fixture
def token(store: Store, alice: User) -> Callable[..., str]:
    """The token of alice's summary of a refund of so much."""

    def token(snapshot: OrderSnapshot | None = None, amount: str = "5.00", **choice: Any) -> str:
        found = stored(snapshot or order(), store)
        wanted = RefundChoice(reason="other", amount=eur(amount), **choice)
        return previews.preview_refund(found, wanted, by=alice, now=NOW).token

    return token


@pytest.fixture
def request_action(alice: User) -> Request:
    def request_action(token: str, **more: Any) -> OrderAction:
        words = {
            "order_id": Order.objects.latest("pk").pk,
            "by": alice,
            "guard": lambda _order: None,
            "now": timezone.now(),
            **more,
        }
        return services.request_action(token=token, **words)

    return request_action


def refused(verb: Callable[..., Any], *words: Any, **more: Any) -> str:
    with pytest.raises(ActionRefused) as caught:
        verb(*words, **more)
    return caught.value.refusal.code


def change(snapshot: OrderSnapshot) -> None:
    """Shopify tells the order differently from now on."""
    order = Order.objects.latest("pk")
    assert order.shop_updated_at is not None
    stored(replace(snapshot, updated_at=order.shop_updated_at + timedelta(minutes=1)), order.store)


def test_what_was_confirmed_is_written_down_before_anything_is_sent(
    token: Any,
    request_action: Request,
    alice: User,
    gateway: Gateway,
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        action = request_action(token(notify=True, staff_note="Called."), origin="conversation:7")
    action.refresh_from_db()
    assert (action.kind, action.state) == (ActionKind.REFUND, ActionState.QUEUED)
    assert (action.amount, action.currency) == (eur("5.00").amount, "EUR")
    assert action.amount_shop == eur("5.00").amount
    assert (action.reason, action.staff_note, action.notify) == ("other", "Called.", True)
    assert (action.requested_by, action.origin) == (alice, "conversation:7")
    assert [step["document"] for step in action.steps] == ["RefundCreate"]
    assert action.next_attempt_at is None
    assert Order.objects.get().reserved == action.reserved == eur("5.00").amount
    entry = AuditEntry.objects.get(kind=AuditKind.ACTION)
    assert (entry.before, entry.after, entry.actor_id) == ("", ActionState.QUEUED, alice.pk)
    assert (entry.action_id, entry.amount) == (action.pk, eur("5.00").amount)
    assert gateway.rung == [(action.pk, 0)]


def test_one_click_is_one_action(token: Any, request_action: Request) -> None:
    shown = token()
    assert request_action(shown) == request_action(shown)
    assert OrderAction.objects.count() == 1
    assert Order.objects.get().reserved == eur("5.00").amount


def test_a_click_that_was_used_is_not_used_for_something_else(
    token: Any, request_action: Request
) -> None:
    first = request_action(token(amount="5.00"), click="key-1")
    assert refused(request_action, token(amount="6.00"), click="key-1") == "click_reused"
    assert OrderAction.objects.get() == first
    assert OrderAction.objects.get().amount == eur("5.00").amount


def test_a_click_that_was_used_is_not_used_for_another_order_that_looks_the_same(
    token: Any, request_action: Request, store: Store
) -> None:
    first = request_action(token(), click="key-1")
    twin = replace(order(), gid="gid://shopify/Order/2", legacy_id=2)
    assert refused(request_action, token(twin), click="key-1") == "click_reused"
    assert OrderAction.objects.get() == first


def test_a_repeated_click_is_not_answered_at_another_orders_address(
    token: Any, request_action: Request, store: Store, alice: User
) -> None:
    shown = token()
    first = request_action(shown)
    other = stored(replace(order(), gid="gid://shopify/Order/2", legacy_id=2), store)
    again = {"token": shown, "by": alice}
    assert services.earlier_action(**again, order_id=first.order_id) == first
    assert refused(services.earlier_action, **again, order_id=other.pk) == "click_reused"


def test_another_persons_click_of_the_same_name_is_another(
    token: Any, request_action: Request, bob: User, store: Store
) -> None:
    first = request_action(token(), click="key-1")
    worker_steps.claim(action_id=first.pk, now=timezone.now())
    other = stored(replace(order(), gid="gid://shopify/Order/2", legacy_id=2), store)
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    shown = previews.preview_refund(other, choice, by=bob, now=NOW).token
    second = request_action(shown, by=bob, order_id=other.pk, click="key-1")
    assert second.pk != first.pk


def test_a_summary_confirms_its_own_order_only(
    token: Any, request_action: Request, store: Store
) -> None:
    shown = token()
    other = stored(replace(order(), gid="gid://shopify/Order/2", legacy_id=2), store)
    with pytest.raises(StalePreview, match="another order"):
        request_action(shown, order_id=other.pk)
    assert not OrderAction.objects.exists()


def test_a_callers_own_objection_is_checked_under_the_lock(
    token: Any, request_action: Request
) -> None:
    asked = []

    def guard(order: Order) -> Refusal:
        asked.append(order.pk)
        return Refusal("not_yours", "Not yours.")

    assert refused(request_action, token(), guard=guard) == "not_yours"
    assert asked == [Order.objects.get().pk]
    assert not OrderAction.objects.exists()
    assert Order.objects.get().reserved == 0


@pytest.mark.parametrize("gone", [{"deleted_at": NOW}, {"document": ""}])
def test_no_action_on_an_order_that_shopify_no_longer_has(
    token: Any, request_action: Request, gone: dict[str, Any]
) -> None:
    shown = token()
    Order.objects.update(**gone)
    assert refused(request_action, shown) == "gone"
    assert not OrderAction.objects.exists()


def test_a_second_action_waits_for_the_first(
    token: Any, request_action: Request, bob: User
) -> None:
    shown = token()
    request_action(token(amount="6.00"))
    with pytest.raises(ActionRefused, match="alice has already started: Refund") as caught:
        request_action(shown)
    assert caught.value.refusal.code == "action_active"
    assert OrderAction.objects.count() == 1


@pytest.mark.parametrize(
    ("now_told", "code"),
    [
        (order(refunded="20.00"), "fully_refunded"),
        (order(paid="0"), "unpaid"),
        (order(is_refundable=False), "not_refundable"),
        (shipped(parcel(display_status="DELIVERED", delivered_at=NOW)), "return_unanswered"),
    ],
)
def test_the_rules_of_a_refund_are_asked_again(
    token: Any, request_action: Request, now_told: OrderSnapshot, code: str
) -> None:
    shown = token()
    change(now_told)
    assert refused(request_action, shown) == code


@pytest.mark.parametrize(
    ("now_told", "code"),
    [
        (order(cancelled_at=NOW), "already_canceled"),
        (shipped(parcel(display_status="DELIVERED", delivered_at=NOW)), "delivered"),
        (shipped(), "shipped"),
    ],
)
def test_the_rules_of_a_cancellation_are_asked_again(
    request_action: Request, store: Store, alice: User, now_told: OrderSnapshot, code: str
) -> None:
    found = stored(order(), store)
    shown = previews.preview_cancel(found, CancelChoice(reason="CUSTOMER"), by=alice, now=NOW)
    change(now_told)
    assert refused(request_action, shown.token) == code


def test_a_shipment_that_is_canceled_too_or_an_unpaid_order_is_no_objection(
    request_action: Request, store: Store, alice: User
) -> None:
    found = stored(shipped(), store)
    choice = CancelChoice(reason="CUSTOMER", cancel_shipments=True)
    shown = previews.preview_cancel(found, choice, by=alice, now=NOW)
    assert request_action(shown.token).kind == ActionKind.CANCEL
    unpaid = stored(replace(shipped(paid="0"), gid="gid://shopify/Order/2", legacy_id=2), store)
    shown = previews.preview_cancel(unpaid, CancelChoice(reason="CUSTOMER"), by=alice, now=NOW)
    action = request_action(shown.token)
    assert (action.kind, action.amount, action.currency) == (ActionKind.CANCEL, None, "")
    assert (action.amount_shop, action.reserved) == (0, 0)


def test_store_credit_that_was_switched_off_is_refused(token: Any, request_action: Request) -> None:
    shown = token(order(customer=JANE), method=RefundMethod.STORE_CREDIT)
    Store.objects.update(allow_store_credit=False)
    assert refused(request_action, shown) == "store_credit_off"


def test_an_order_that_changed_is_reviewed_again(token: Any, request_action: Request) -> None:
    shown = token()
    change(order(refunded="1.00"))
    with pytest.raises(StalePreview, match=r"refunded changed: €0.00 → €1.00"):
        request_action(shown)
    assert not OrderAction.objects.exists()


def test_the_policy_is_asked_again(token: Any, request_action: Request, alice: User) -> None:
    shown = token()
    Policy.objects.create(role=alice.groups.get(), approval_up_to=4)
    assert refused(request_action, shown) == "above_limit"


def test_a_days_limit_counts_what_is_under_way(
    token: Any, request_action: Request, alice: User, store: Store
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_per_day=8)
    assert request_action(token()).state == ActionState.QUEUED
    assert RefundBudget.objects.filter(user=alice, store=store).exists()
    other = replace(order(), gid="gid://shopify/Order/2", legacy_id=2)
    action = request_action(token(other))
    assert (action.state, action.approvals_needed) == (ActionState.AWAITING_APPROVAL, 1)


def test_an_action_that_needs_approval_waits_and_wakes_no_worker(
    token: Any,
    request_action: Request,
    alice: User,
    gateway: Gateway,
    django_capture_on_commit_callbacks: Any,
) -> None:
    Policy.objects.create(role=alice.groups.get(), refund_up_to=1, two_approvers_above=2)
    Store.objects.update(undo_seconds=10)
    now = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        action = request_action(token(), now=now)
    action.refresh_from_db()
    assert (action.state, action.approvals_needed) == (ActionState.AWAITING_APPROVAL, 2)
    assert action.why_approval == "Above the agent’s limit of €1.00."
    assert action.expires_at == now + timedelta(hours=4)
    assert gateway.rung == []


def test_the_undo_window_is_the_stores(
    token: Any, request_action: Request, gateway: Gateway, django_capture_on_commit_callbacks: Any
) -> None:
    shown = token()
    Store.objects.update(undo_seconds=10)
    now = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        action = request_action(shown, now=now)
    action.refresh_from_db()
    assert action.next_attempt_at == now + timedelta(seconds=10)
    assert action.expires_at == now + timedelta(hours=24)
    assert gateway.rung == [(action.pk, 10)]


def test_no_more_is_promised_than_is_held(token: Any, request_action: Request) -> None:
    shown = token(amount="15.00")
    Order.objects.update(reserved=6)
    assert refused(request_action, shown) == "over_refund"
    assert not OrderAction.objects.exists()
    Order.objects.update(reserved=5)
    assert request_action(shown).reserved == 15
    assert Order.objects.get().reserved == 20


def test_a_sum_above_what_is_held_is_refused_though_nothing_changed(
    token: Any, request_action: Request, alice: User, store: Store
) -> None:
    """No summary shows that: the token was made with our key, but under a different rule."""
    found = stored(order(), store)
    shown = previews.open_token(token(), by=alice).proposal
    more = replace(shown, amount=eur("20.01"))
    assert refused(request_action, previews.sign_token(found, more, by=alice)) == "over_refund"
    assert not OrderAction.objects.exists()


def test_what_only_the_database_noticed_is_told_like_any_refusal(
    token: Any, request_action: Request, bob: User, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is asked under the lock. Were it passed, one active action of an order stands."""
    other = stored(replace(order(), gid="gid://shopify/Order/2", legacy_id=2), store)
    shown = previews.preview_refund(
        other, RefundChoice(reason="other", amount=eur("2.00")), by=bob, now=NOW
    ).token
    mine = token(replace(order(), gid="gid://shopify/Order/3", legacy_id=3))
    request_action(token(replace(order(), gid="gid://shopify/Order/3", legacy_id=3)))
    # Newer, but of another order, so not the one to report.
    request_action(shown, by=bob, order_id=other.pk)
    monkeypatch.setattr(requests, "_check", lambda *_words, **_more: policies.ALLOWED)
    with pytest.raises(ActionRefused, match="alice has already started") as caught:
        request_action(mine)
    assert caught.value.refusal.code == "action_active"
    assert OrderAction.objects.count() == 2


def test_another_error_of_the_database_is_no_refusal(
    token: Any, request_action: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_words: Any, **_more: Any) -> OrderAction:
        raise IntegrityError("some other constraint")

    monkeypatch.setattr(requests, "_create", create)
    with pytest.raises(IntegrityError, match="some other constraint"):
        request_action(token())
    assert not OrderAction.objects.exists()


# --- taking it back


@pytest.mark.parametrize(
    "state", [ActionState.AWAITING_APPROVAL, ActionState.QUEUED, ActionState.BLOCKED]
)
def test_what_was_not_sent_is_withdrawn_and_gives_its_money_free(
    token: Any, request_action: Request, alice: User, state: ActionState
) -> None:
    action = request_action(token())
    if state == ActionState.BLOCKED:
        claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
        assert claimed is not None
        assert worker_steps.release(claimed, state=state, again_at=timezone.now())
    elif state == ActionState.AWAITING_APPROVAL:
        Policy.objects.create(role=alice.groups.get(), refund_up_to=1)
        services.withdraw(action_id=action.pk, by=alice, now=timezone.now())
        action = request_action(token())
    assert OrderAction.objects.get(pk=action.pk).state == state
    now = timezone.now()
    services.withdraw(action_id=action.pk, by=alice, now=now)
    action.refresh_from_db()
    assert (action.state, action.settled_at) == (ActionState.WITHDRAWN, now)
    assert action.message == "Withdrawn by alice."
    assert (action.reserved, Order.objects.get().reserved) == (0, 0)
    entry = AuditEntry.objects.filter(action_id=action.pk).latest("pk")
    assert (entry.before, entry.after, entry.actor) == (state, ActionState.WITHDRAWN, "alice")


@pytest.mark.parametrize("state", [ActionState.QUEUED, ActionState.BLOCKED])
def test_what_may_have_been_sent_is_not_withdrawn(
    token: Any, request_action: Request, alice: User, state: ActionState
) -> None:
    action = request_action(token())
    claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
    assert claimed is not None
    assert worker_steps.release(
        claimed, state=state, again_at=timezone.now(), maybe_applied=True, is_doubtful=True
    )
    verb = {"action_id": action.pk, "by": alice, "now": timezone.now()}
    assert refused(services.withdraw, **verb) == "already_sent"
    action.refresh_from_db()
    assert action.state == state
    assert Order.objects.get().reserved == eur("5.00").amount


def test_what_a_worker_has_in_hand_is_not_withdrawn(
    token: Any, request_action: Request, alice: User
) -> None:
    action = request_action(token())
    worker_steps.claim(action_id=action.pk, now=timezone.now())
    verb = {"action_id": action.pk, "by": alice, "now": timezone.now()}
    assert refused(services.withdraw, **verb) == "already_sent"


# --- moves


@pytest.fixture
def claimed(token: Any, request_action: Request) -> OrderAction:
    action = worker_steps.claim(action_id=request_action(token()).pk, now=timezone.now())
    assert action is not None
    return action


def lose(action: OrderAction) -> None:
    """Another worker has taken it up in the meantime."""
    OrderAction.objects.filter(pk=action.pk).update(fence=action.fence + 1)


WRITES: dict[str, Callable[[OrderAction], bool]] = {
    "renew": lambda a: worker_steps.renew(a, now=timezone.now()),
    "keep": lambda a: worker_steps.keep(a, job_gid="gid://shopify/Job/1"),
    "release": lambda a: worker_steps.release(
        a, state=ActionState.UNKNOWN, again_at=timezone.now()
    ),
    "human_needed": lambda a: worker_steps.human_needed(a, message="Look."),
    "move": lambda a: transitions.move(a, ActionState.UNKNOWN),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_worker_that_lost_its_lease_writes_nothing(claimed: OrderAction, name: str) -> None:
    lose(claimed)
    before = OrderAction.objects.values().get()
    entries = AuditEntry.objects.count()
    assert WRITES[name](claimed) is False
    assert OrderAction.objects.values().get() == before
    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize("name", WRITES)
def test_a_worker_that_has_its_lease_writes(claimed: OrderAction, name: str) -> None:
    """Negative control of the test above."""
    before = OrderAction.objects.values().get()
    assert WRITES[name](claimed) is True
    assert OrderAction.objects.values().get() != before


def test_progress_is_not_kept_of_an_action_that_left_its_worker(claimed: OrderAction) -> None:
    OrderAction.objects.update(state=ActionState.NEEDS_HUMAN)
    assert not worker_steps.keep(claimed, job_gid="gid://shopify/Job/1")
    assert OrderAction.objects.get().job_gid == ""


def test_a_move_is_of_the_row_as_it_was_read(claimed: OrderAction) -> None:
    other = OrderAction.objects.get()
    assert transitions.move(other, ActionState.UNKNOWN, message="Lost.")
    assert (other.state, other.message) == (ActionState.UNKNOWN, "Lost.")
    assert not transitions.move(claimed, ActionState.PENDING)
    assert OrderAction.objects.get().state == ActionState.UNKNOWN
    assert claimed.state == ActionState.SENDING, "the row in hand is as it was read"


def test_only_what_is_due_is_taken_up(token: Any, request_action: Request) -> None:
    now = timezone.now()
    action = request_action(token())
    OrderAction.objects.update(next_attempt_at=now + timedelta(seconds=1))
    assert worker_steps.claim(action_id=action.pk, now=now) is None
    assert worker_steps.claim(action_id=action.pk, now=now + timedelta(seconds=2))
    assert worker_steps.claim(action_id=action.pk, now=now + timedelta(seconds=3)) is None


def test_what_a_dead_worker_left_is_taken_up_when_its_lease_is_over(
    token: Any, request_action: Request
) -> None:
    now = timezone.now()
    action = request_action(token())
    first = worker_steps.claim(action_id=action.pk, now=now)
    assert first is not None
    assert first.lease_until is not None
    later = first.lease_until + timedelta(seconds=1)
    assert worker_steps.claim(action_id=action.pk, now=first.lease_until) is None
    entries = AuditEntry.objects.count()
    second = worker_steps.claim(action_id=action.pk, now=later)
    assert second is not None
    assert second.lease_until is not None
    assert AuditEntry.objects.count() == entries, "it is where it was: no move to write down"
    assert (first.fence, second.fence) == (1, 2)
    assert (first.crashes, second.crashes) == (0, 1)
    assert (first.attempts, second.attempts) == (1, 2)
    assert second.lease_until > later
    assert worker_steps.release(second, state=ActionState.UNKNOWN, again_at=later)
    assert OrderAction.objects.get().crashes == 0, "one that came to an end"


@pytest.mark.parametrize(("late_s", "state"), [(-1, ActionState.SENDING), (0, ActionState.EXPIRED)])
def test_what_was_not_sent_within_its_day_is_not_sent(
    token: Any, request_action: Request, late_s: int, state: ActionState
) -> None:
    """Also by a message that comes before the sweep."""
    action = request_action(token())
    assert action.expires_at is not None
    moment = action.expires_at + timedelta(seconds=late_s)
    claimed = worker_steps.claim(action_id=action.pk, now=moment)
    assert (claimed is not None) is (state == ActionState.SENDING)
    action.refresh_from_db()
    assert action.state == state


def test_what_may_have_been_sent_is_looked_at_however_late(
    token: Any, request_action: Request
) -> None:
    action = request_action(token())
    now = timezone.now()
    claimed = worker_steps.claim(action_id=action.pk, now=now)
    assert claimed is not None
    assert worker_steps.begin_step(claimed, step=0, now=now) is True
    assert worker_steps.release(claimed, state=ActionState.UNKNOWN, again_at=now)
    assert action.expires_at is not None
    late = action.expires_at + timedelta(days=1)
    assert worker_steps.claim(action_id=action.pk, now=late) is not None


def test_an_action_that_kills_its_workers_is_looked_at_by_a_person(
    token: Any, request_action: Request
) -> None:
    now = timezone.now()
    action = request_action(token())
    worker_steps.claim(action_id=action.pk, now=now)
    OrderAction.objects.update(crashes=worker_steps.MAX_CRASHES - 1)
    later = now + timedelta(minutes=5)
    assert worker_steps.claim(action_id=action.pk, now=later)
    assert OrderAction.objects.get().crashes == worker_steps.MAX_CRASHES
    assert worker_steps.claim(action_id=action.pk, now=later + timedelta(minutes=5)) is None
    action.refresh_from_db()
    assert action.state == ActionState.NEEDS_HUMAN
    assert "10 times" in action.message


@pytest.mark.parametrize(
    ("state", "is_read"),
    [
        (ActionState.UNKNOWN, True),
        (ActionState.PENDING, True),
        (ActionState.BLOCKED, True),
        (ActionState.NEEDS_HUMAN, False),
        (ActionState.SENDING, False),
    ],
)
def test_check_now_reads_what_waits_and_sends_nothing_new(
    claimed: OrderAction, gateway: Gateway, state: ActionState, is_read: bool
) -> None:
    later = timezone.now() + timedelta(hours=1)
    OrderAction.objects.update(next_attempt_at=later)
    if state != ActionState.SENDING:
        assert transitions.move(claimed, state)
    now = timezone.now()
    services.check_now(action_id=claimed.pk, now=now)
    assert OrderAction.objects.get().next_attempt_at == (now if is_read else later)
    assert gateway.rung == ([(claimed.pk, 0)] if is_read else [])


def test_a_state_change_updates_open_pages_after_its_commit(
    token: Any, request_action: Request, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    from orders.signals import order_changed

    heard: list[int] = []

    def hear(order_id: int, **_rest: Any) -> None:
        heard.append(order_id)

    shown = token()
    order_changed.connect(hear)
    try:
        verbs: list[Callable[[], Any]] = [
            lambda: request_action(shown),
            lambda: services.withdraw(
                action_id=OrderAction.objects.latest("pk").pk, by=alice, now=timezone.now()
            ),
        ]
        for verb in verbs:
            heard.clear()
            with django_capture_on_commit_callbacks(execute=True):
                verb()
            assert heard == [Order.objects.get().pk]
    finally:
        order_changed.disconnect(hear)
