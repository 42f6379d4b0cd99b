"""Approvals, manual settling and keeping money, on the pages and over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.decisions.approvals import digest_of
from inbox.models import Conversation, LiveEvent
from orders import audit, services
from orders.actions import approvals, transitions
from orders.errors import ActionRefused
from orders.models import ActionState, AuditEntry, AuditKind, Order, OrderAction, Policy, Store
from orders.shopify_port import get_gateway
from practice_store.changes import staff_actions as shop_actions
from shopify_sync.api import breaker
from shopify_sync.models import ShopConnection
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, panel, review
from tests.support.shop.in_process import DOMAIN, Shop, work_off
from tests.support.shop.queues import sweep_actions

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limits(alice: User, sara: User) -> Policy:
    """Agents refund up to 10, supervisors approve up to 100."""
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100)
    return Policy.objects.create(role=alice.groups.get(), refund_up_to=10)


@pytest.fixture
def ask(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> Callable[..., OrderAction]:
    """Alice confirms a refund in the dialog; the action it made."""

    def ask(amount: str = "15.00", **more: str) -> OrderAction:
        shop.place(paid=True)
        order = seen()
        token = review(
            as_alice, conversation, order, "refund", reason="other", amount=amount, **more
        )
        assert confirm(as_alice, conversation, order, token) == 200
        return OrderAction.objects.latest("pk")

    return ask


def page(client: Client) -> str:
    return unescape(client.get("/inbox/decisions/").content.decode())


def decide(client: Client, action: OrderAction, verb: str, **data: str) -> str:
    url = f"/inbox/decisions/{action.pk}/{verb}/"
    data = {"digest": digest_of(action), **data}
    return unescape(client.post(url, data, follow=True).content.decode())


def keep(client: Client, order: Order) -> str:
    """Say on the page of refunds due that the shop keeps the money."""
    order.refresh_from_db()
    form = {"order": f"{order.pk}:{order.net_payment}", "reason": "Restocking fee"}
    said = client.post("/inbox/decisions/refunds/keep/", form, follow=True)
    return unescape(said.content.decode())


def state(action: OrderAction) -> str:
    action.refresh_from_db()
    return action.state


def test_a_refund_above_the_limit_requires_someone_elses_approval(
    shop: Shop,
    ask: Callable[..., OrderAction],
    limits: Policy,
    as_alice: Client,
    sara: User,
    conversation: Conversation,
) -> None:
    action = ask("15.00")
    assert action.state == ActionState.AWAITING_APPROVAL
    assert "waiting for approval" in panel(as_alice, conversation)
    sweep_actions()
    assert shop.ledger()["refunds"] == []
    assert "Someone else has to approve" in decide(as_alice, action, "approve")
    assert 'data-count="1"' not in page(as_alice)
    shown = page(logged_in(sara))
    assert "Above the agent’s limit of €10.00." in shown
    assert 'data-count="1"' in shown
    assert "Approved: Refund €15.00" in decide(logged_in(sara), action, "approve")
    assert 'data-count="0"' in page(logged_in(sara))
    decide(logged_in(sara), action, "approve")
    work_off(shop, as_alice)
    assert state(action) == ActionState.SUCCEEDED
    thread = as_alice.get(f"/inbox/conversations/{conversation.pk}/thread/").content.decode()
    assert "Refund €15.00: approved" in thread
    shown = panel(as_alice, conversation)
    assert "waiting for approval" not in shown
    assert "Refund €15.00: done" in shown
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["15.0"]
    assert action.approved_by == sara


@pytest.mark.slow
def test_an_approval_is_of_the_order_as_it_was_shown(
    shop: Shop, ask: Callable[..., OrderAction], limits: Policy, sara: User
) -> None:
    action = ask("15.00")
    placed = next(iter(shop.store.world.shops["demo.myshopify.com"].orders.values()))
    from practice_store.changes import staff_actions as shop_actions

    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("3.00")))
    assert "The order changed after" in decide(logged_in(sara), action, "approve")
    assert state(action) == ActionState.EXPIRED
    assert Order.objects.get().reserved == 0
    assert len(shop.ledger()["refunds"]) == 1


def test_declining_sends_nothing_and_is_final(
    shop: Shop,
    ask: Callable[..., OrderAction],
    limits: Policy,
    sara: User,
    as_alice: Client,
    conversation: Conversation,
) -> None:
    action = ask("15.00")
    decide(logged_in(sara), action, "decline", note="Ask for a photo first.")
    assert state(action) == ActionState.DECLINED
    assert "Ask for a photo first." in panel(as_alice, conversation)
    assert Order.objects.get().reserved == 0
    assert shop.ledger()["refunds"] == []


def test_a_request_that_is_not_approved_in_time_expires(
    ask: Callable[..., OrderAction], limits: Policy
) -> None:
    action = ask("15.00")
    sweep_actions()
    assert state(action) == ActionState.AWAITING_APPROVAL
    OrderAction.objects.update(expires_at=timezone.now())
    sweep_actions()
    assert state(action) == ActionState.EXPIRED


def test_a_large_refund_needs_two_people(
    shop: Shop, ask: Callable[..., OrderAction], limits: Policy, sara: User, as_alice: Client
) -> None:
    Policy.objects.filter(pk=limits.pk).update(two_approvers_above=12)
    action = ask("15.00")
    LiveEvent.objects.all().delete()
    decide(logged_in(sara), action, "approve")
    assert state(action) == ActionState.AWAITING_APPROVAL
    # The others' pages show that it waits for one of them.
    assert any("approvals" in event.topics.split() for event in LiveEvent.objects.all())
    assert "A second person" in decide(logged_in(sara), action, "approve")
    other = User.objects.create_user("otto")
    other.groups.add(Group.objects.get(name="supervisors"))
    decide(logged_in(other), action, "approve")
    work_off(shop, as_alice)
    assert state(action) == ActionState.SUCCEEDED
    assert len(shop.ledger()["refunds"]) == 1


@pytest.mark.slow
def test_the_days_budget_counts_what_is_under_way(
    shop: Shop, ask: Callable[..., OrderAction], limits: Policy, as_alice: Client
) -> None:
    Policy.objects.filter(pk=limits.pk).update(refund_up_to=None, refund_per_day=20)
    first, second, third = ask("12.00"), ask("8.00"), ask("0.01")
    assert [a.approvals_needed for a in (first, second, third)] == [0, 0, 1]
    assert third.why_approval == "Above the agent’s daily limit of €20.00: €20.00 already used."


def test_a_missing_note_stops_it_on_the_server_too(
    shop: Shop, seen: Seen, limits: Policy, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(paid=True)
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="9.00")
    Policy.objects.filter(pk=limits.pk).update(note_above=5)
    assert confirm(as_alice, conversation, order, token) == 409
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    answer = as_alice.post(url, {"reason": "other", "amount": "9.00"})
    assert "require a staff note" in unescape(answer.content.decode())
    assert b'name="token"' not in answer.content
    assert not OrderAction.objects.exists()


def test_the_undo_window_runs_without_the_tab_and_can_be_used(
    shop: Shop,
    ask: Callable[..., OrderAction],
    as_alice: Client,
    conversation: Conversation,
    store: Store,
) -> None:
    Store.objects.update(undo_seconds=60)
    undone, sent = ask("5.00"), ask("6.00")
    sweep_actions()
    assert state(undone) == state(sent) == ActionState.QUEUED
    assert shop.ledger()["refunds"] == []
    as_alice.post(f"/inbox/conversations/{conversation.pk}/actions/{undone.pk}/withdraw/")
    OrderAction.objects.filter(state=ActionState.QUEUED).update(next_attempt_at=timezone.now())
    work_off(shop, as_alice)
    assert (state(undone), state(sent)) == (ActionState.WITHDRAWN, ActionState.SUCCEEDED)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["6.0"]


@pytest.fixture
def uncertain(shop: Shop, ask: Callable[..., OrderAction]) -> OrderAction:
    """Sent 21 hours ago, never answered, and Shopify shows nothing."""
    shop.fault(operation="refundCreate", phase="drop_before", times=1)
    action = ask("5.00")
    OrderAction.objects.update(
        step_first_sent_at=timezone.now() - timedelta(hours=21), next_attempt_at=None
    )
    sweep_actions()
    assert state(action) == ActionState.NEEDS_HUMAN
    return action


@pytest.mark.parametrize(
    ("answer", "ends"),
    [("not_applied", ActionState.REJECTED), ("applied", ActionState.SUCCEEDED)],
)
def test_a_supervisor_settles_what_reading_cannot(
    shop: Shop, uncertain: OrderAction, sara: User, as_alice: Client, answer: str, ends: ActionState
) -> None:
    if answer == "applied":
        # As the shop's staff would have done it when no answer came: without our note.
        [placed] = shop.store.world.shops[DOMAIN].orders.values()
        shop.act(lambda c: shop_actions.refund(c, placed, Decimal("5.00"), "by hand"))
    assert "A supervisor has to decide this." in page(as_alice)
    found = {"answer": answer, "reason": "Looked at the payouts."}
    assert "Only a supervisor" in decide(as_alice, uncertain, "settle", **found)
    boss = logged_in(sara)
    assert uncertain.note_marker in page(boss)
    assert "Write what you found" in decide(boss, uncertain, "settle", answer=answer, reason=" ")
    assert state(uncertain) == ActionState.NEEDS_HUMAN
    decide(boss, uncertain, "settle", **found)
    assert state(uncertain) == ends
    assert Order.objects.get().reserved == 0
    assert AuditEntry.objects.get(kind=AuditKind.SETTLED_BY_HAND).actor == "sara"


def test_done_needs_something_that_shopify_shows(uncertain: OrderAction, sara: User) -> None:
    boss = logged_in(sara)
    found = {"answer": "applied", "reason": "I am sure."}
    assert "Shopify shows no refund of €5.00" in decide(boss, uncertain, "settle", **found)
    assert state(uncertain) == ActionState.NEEDS_HUMAN


def settle(client: Client, action: OrderAction) -> str:
    return decide(client, action, "settle", answer="not_applied", reason="Looked at the payouts.")


@pytest.mark.slow
def test_the_page_asks_as_often_for_many_as_for_one(
    ask: Callable[..., OrderAction], limits: Policy, sara: User
) -> None:
    boss, counts = logged_in(sara), []
    for _ in range(3):
        assert ask("15.00").state == ActionState.AWAITING_APPROVAL
        with CaptureQueriesContext(connection) as asked:
            page(boss)
        counts.append(len(asked))
    assert counts[0] >= counts[1] == counts[2]


def test_only_a_supervisor_settles_by_any_door(
    uncertain: OrderAction, alice: User, as_alice: Client
) -> None:
    assert "Only a supervisor" in settle(as_alice, uncertain)
    with pytest.raises(ActionRefused) as refused:
        services.settle_by_hand(
            action_id=uncertain.pk, by=alice, was_applied=True, reason="Seen.", now=timezone.now()
        )
    assert refused.value.refusal.code == "not_supervisor"
    assert state(uncertain) == ActionState.NEEDS_HUMAN
    assert not AuditEntry.objects.filter(kind=AuditKind.SETTLED_BY_HAND).exists()


def test_without_the_services_rule_any_agent_could_settle(
    uncertain: OrderAction, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the page has no rule of its own."""
    monkeypatch.setattr(approvals, "settling_refusal", lambda _by: None)
    assert "Settled by alice" in settle(as_alice, uncertain)
    assert state(uncertain) == ActionState.REJECTED


def test_a_role_that_is_lost_while_shopify_is_read_settles_nothing(
    uncertain: OrderAction, sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = get_gateway().refresh

    def refresh(order: Order) -> None:
        sara.groups.clear()
        read(order)

    monkeypatch.setattr(get_gateway(), "refresh", refresh)
    assert "Only a supervisor" in settle(logged_in(sara), uncertain)
    assert state(uncertain) == ActionState.NEEDS_HUMAN


def test_a_fresh_read_settles_it_before_the_supervisor_does(
    shop: Shop, uncertain: OrderAction, sara: User
) -> None:
    step = uncertain.steps[0]["variables"]
    from shopify_sync.api import documents

    shop.graphql(documents.load("RefundCreate"), step)
    said = decide(logged_in(sara), uncertain, "settle", answer="not_applied", reason="Not there.")
    assert "no longer needs a decision" in said
    assert state(uncertain) == ActionState.SUCCEEDED


def test_money_of_a_canceled_order_waits_in_a_queue_until_it_is_kept_or_returned(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, alice: User, sara: User
) -> None:
    shop.place(paid=True)
    order = seen()
    token = review(as_alice, conversation, order, "cancel", reason="CUSTOMER", refund="later")
    confirm(as_alice, conversation, order, token)
    work_off(shop, as_alice)
    assert "Refunds due" in page(as_alice)
    assert "€40.00" in page(as_alice)
    assert "Only a supervisor" in keep(as_alice, order)
    with pytest.raises(ActionRefused):
        services.keep_money(order_id=order.pk, by=alice, reason="Restocking fee")
    assert order.name in page(as_alice)
    keep(logged_in(sara), order)
    assert "Nothing to decide" in page(as_alice)
    assert "Kept on purpose" in panel(as_alice, conversation)
    # Another sum is another decision.
    Order.objects.update(net_payment=F("net_payment") - 1)
    assert "Refunds due" in page(as_alice)


def test_without_the_services_rule_any_agent_could_keep_the_money(
    shop: Shop, seen: Seen, as_alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    shop.place(paid=True)
    order = seen()
    monkeypatch.setattr(approvals, "settling_refusal", lambda _by: None)
    keep(as_alice, order)
    order.refresh_from_db()
    assert order.kept == 40


def test_a_troubled_shop_is_left_alone_and_probed_with_a_read(
    shop: Shop, ask: Callable[..., OrderAction], store: Store, as_alice: Client
) -> None:
    Store.objects.update(undo_seconds=60)
    action = ask("5.00")
    shop.fault(operation="*", phase="500_before")
    for _ in range(breaker.OPENS_AT):
        OrderAction.objects.update(next_attempt_at=None)
        sweep_actions()
    before = len(shop.ledger()["requests"])
    OrderAction.objects.update(next_attempt_at=None)
    sweep_actions()
    assert len(shop.ledger()["requests"]) == before
    assert state(action) == ActionState.QUEUED
    shop.store.faults.set([])
    ShopConnection.objects.update(breaker_open_until=timezone.now())
    work_off(shop, as_alice)
    assert state(action) == ActionState.SUCCEEDED
    assert ShopConnection.objects.get(store=store).breaker_open_until is None


def test_only_one_caller_probes(store: Store) -> None:
    now = timezone.now()
    ShopConnection.objects.update(breaker_count=5, breaker_open_until=now)
    waits = [breaker.wait_s(store.pk, now=now) for _ in range(5)]
    assert waits.count(0.0) == 1


def test_every_move_of_an_action_is_in_the_audit_log(
    shop: Shop, ask: Callable[..., OrderAction], limits: Policy, sara: User, as_alice: Client
) -> None:
    action = ask("15.00")
    decide(logged_in(sara), action, "approve")
    work_off(shop, as_alice)
    rows = AuditEntry.objects.filter(kind=AuditKind.ACTION, action_id=action.pk).order_by("pk")
    assert list(rows.values_list("after", "actor")) == [
        ("awaiting_approval", "alice"),
        ("queued", "sara"),
        ("sending", ""),
        ("succeeded", ""),
    ]
    while audit.seal():
        pass
    assert audit.verify().problems == ()


def test_two_refunds_cannot_promise_the_same_money(
    shop: Shop, ask: Callable[..., OrderAction], store: Store
) -> None:
    """The reservation, where the one-active-action index would not stop it."""
    Store.objects.update(undo_seconds=60)
    action = ask("30.00")
    order = Order.objects.get()
    assert order.reserved == 30
    other = OrderAction(order=order, amount=action.amount, currency="EUR")
    with pytest.raises(ActionRefused):
        transitions.reserve(order, other)
    Order.objects.update(reserved=0)
    transitions.reserve(order, other)


@pytest.mark.slow
def test_approvals_by_the_api(
    shop: Shop, ask: Callable[..., OrderAction], limits: Policy, sara: User, as_alice: Client
) -> None:
    action = ask("15.00")
    own = as_alice.post(f"/api/v1/actions/{action.pk}/approve/")
    assert (own.status_code, own.json()["reason_code"]) == (409, "own_action")
    answer = logged_in(sara).post(f"/api/v1/actions/{action.pk}/approve/")
    assert (answer.status_code, answer.json()["approved_by"]) == (200, "sara")
    again = logged_in(sara).post(
        f"/api/v1/actions/{action.pk}/decline/", {}, content_type="application/json"
    )
    assert again.json()["reason_code"] == "not_waiting"
