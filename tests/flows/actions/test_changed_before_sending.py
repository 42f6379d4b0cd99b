"""What was confirmed is checked again against a fresh read before the first byte is sent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import services
from orders.actions import worker_steps
from orders.errors import ActionRefused, StalePreview
from orders.models import (
    ActionKind,
    ActionState,
    CancelRule,
    Order,
    OrderAction,
    Policy,
    RefundMethod,
    Store,
)
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Order as ShopOrder
from shopify_sync.reading import orders
from tests.flows.test_main_job import confirm, panel, review
from tests.support.orders.acting import ask, cancel, perform, refund, without_wake_ups
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import sweep_actions

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
Change = Callable[[Shop, ShopOrder], Any]
CREDIT = {"method": RefundMethod.STORE_CREDIT}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wake_ups(monkeypatch)


@pytest.fixture(autouse=True)
def _generous(store: Store) -> None:
    Store.objects.update(allow_store_credit=True, undo_seconds=300)


def _ship(shop: Shop, placed: ShopOrder) -> None:
    shop.act(lambda c: shop_actions.ship(c, placed))


def _delivered(shop: Shop, placed: ShopOrder) -> None:
    _ship(shop, placed)
    shop.act(lambda c: shop_actions.carrier_says(c, placed, "DELIVERED"))


def _return_opened(shop: Shop, placed: ShopOrder) -> None:
    _ship(shop, placed)
    shop.act(lambda c: shop_actions.open_return(c, placed))


def _another_customer(shop: Shop, placed: ShopOrder) -> None:
    shop.place(paid=True, email="mallory@example.com")
    people = shop.store.world.shops[DOMAIN].customers.values()
    placed.customer_number = next(p.number_id for p in people if p.email == "mallory@example.com")


def _disputed(shop: Shop, placed: ShopOrder) -> None:
    placed.dispute = "NEEDS_RESPONSE"


def _tightened(**limits: Any) -> Change:
    return lambda shop, placed: Policy.objects.filter(role__name="agents").update(**limits)


def _person(**changes: Any) -> Change:
    return lambda shop, placed: User.objects.filter(username="alice").update(**changes)


CHANGES: dict[str, tuple[Any, Change, str]] = {
    "delivered": (cancel(), _delivered, "was delivered"),
    "delivered, and asked of a return": (refund("5.00"), _delivered, "has come back"),
    "shipped": (
        cancel("40.00"),
        _ship,
        "shipment record",
    ),
    "refunded by staff": (
        refund("5.00"),
        lambda s, o: s.act(lambda c: shop_actions.refund(c, o, Decimal("3.00"))),
        "€3.00",
    ),
    "a return was opened": (
        refund("5.00"),
        _return_opened,
        "changed",
    ),
    "a dispute was opened": (refund("5.00"), _disputed, "Its disputes changed"),
    "another customer": (refund("5.00", **CREDIT), _another_customer, "another customer"),
    "store credit off": (
        refund("5.00", **CREDIT),
        lambda s, o: Store.objects.update(allow_store_credit=False),
        "doesn’t offer refunds as store credit",
    ),
    "the store off": (
        refund("5.00"),
        lambda s, o: Store.objects.update(is_active=False),
        "turned off",
    ),
    "requester deactivated": (refund("5.00"), _person(is_active=False), "deactivated"),
    "requester without a role": (
        refund("5.00"),
        lambda s, o: User.objects.get(username="alice").groups.clear(),
        "Only agents and supervisors",
    ),
    "limit below": (
        refund("5.00"),
        _tightened(approval_up_to=1, refund_up_to=1),
        "up to €1.00",
    ),
    "approval above": (refund("5.00"), _tightened(refund_up_to=1), "€1.00"),
    "canceling denied": (cancel("5.00"), _tightened(cancel=CancelRule.DENY), "can’t cancel"),
    "a note is asked": (refund("5.00"), _tightened(note_above=1), "staff note"),
    "the day's budget cut": (refund("5.00"), _tightened(refund_per_day=4), "daily limit of €4.00"),
}


@pytest.fixture
def policy(alice: User) -> Policy:
    return Policy.objects.create(role=alice.groups.get(), refund_up_to=100, refund_per_day=500)


def confirmed(shop: Shop, seen: Seen, alice: User, what: str) -> tuple[OrderAction, ShopOrder]:
    choice, change, _words = CHANGES[what]
    placed = shop.place(paid=True)
    action = ask(seen(), choice, alice)
    assert action.state == ActionState.QUEUED
    change(shop, placed)
    placed.updated_at += timedelta(seconds=5)
    return action, placed


def nothing_left(shop: Shop) -> bool:
    """No mutation of ours reached the shop."""
    ledger = shop.ledger()
    ours = [r for r in ledger["refunds"] if "[ax:" in (r["note"] or "")]
    return not ours and not ledger["cancelations"]


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGES)
def test_an_order_that_changed_goes_back_to_the_agent_for_review(
    shop: Shop, seen: Seen, alice: User, policy: Policy, what: str
) -> None:
    action, _placed = confirmed(shop, seen, alice, what)
    found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.REJECTED, False), found.message
    assert CHANGES[what][2] in found.message
    assert nothing_left(shop)
    assert Order.objects.get(pk=action.order_id).reserved == 0


UNCHECKED = sorted(CHANGES.keys() - {"refunded by staff", "shipped", "delivered"})


@pytest.mark.slow
@pytest.mark.parametrize("what", UNCHECKED)
def test_without_the_check_it_would_have_been_sent(
    shop: Shop,
    seen: Seen,
    alice: User,
    policy: Policy,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr(worker_steps, "check_before_sending", lambda *_, **__: None)
    action, _placed = confirmed(shop, seen, alice, what)
    assert perform(action).state in {ActionState.SUCCEEDED, ActionState.PENDING}
    time.sleep(0.1)
    assert not nothing_left(shop)


def test_a_full_cancel_returns_no_more_than_was_confirmed(
    shop: Shop, seen: Seen, alice: User
) -> None:
    placed = shop.place(paid=False)
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal("10.00")))
    action = ask(seen(), cancel("10.00"), alice)
    shop.act(lambda c: shop_actions.pay(c, placed, Decimal("30.00")))
    found = perform(action)
    assert found.state == ActionState.REJECTED
    assert "€40.00" in found.message
    assert nothing_left(shop)


def test_a_frozen_store_sends_nothing_until_it_is_unfrozen(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen after the worker took it up, too."""
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    real = orders.read_snapshot

    def read(client: Any, gid: str) -> Any:
        Store.objects.update(is_frozen=True)
        return real(client, gid)

    with monkeypatch.context() as patched:
        patched.setattr(orders, "read_snapshot", read)
        found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.QUEUED, False)
    assert "frozen" in found.message
    assert nothing_left(shop)
    sweep_actions()
    assert nothing_left(shop)
    Store.objects.update(is_frozen=False)
    assert perform(action).state == ActionState.SUCCEEDED


def test_a_frozen_store_still_looks_for_what_was_sent(shop: Shop, seen: Seen, alice: User) -> None:
    shop.place(paid=True)
    sent = ask(seen(), refund("5.00"), alice)
    shop.place(paid=True, email="b@example.com")
    unsent = ask(seen(), refund("6.00"), alice)
    shop.fault(operation="refundCreate", phase="commit_then_drop", times=1)
    assert perform(sent).state == ActionState.UNKNOWN
    Store.objects.update(is_frozen=True)
    assert perform(sent).state == ActionState.SUCCEEDED
    assert perform(unsent).state == ActionState.QUEUED
    # In doubt, and Shopify shows nothing: it is not repeated while the store is frozen.
    Store.objects.update(is_frozen=False)
    shop.fault(operation="refundCreate", phase="drop_before", times=1)
    assert perform(unsent).state == ActionState.UNKNOWN
    Store.objects.update(is_frozen=True)
    found = perform(unsent)
    assert (found.state, "frozen" in found.message) == (ActionState.UNKNOWN, True)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["5.0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, o: User.objects.filter(username="alice").update(is_active=False), "account"),
        (_disputed, "disputes"),
        (lambda s, o: Store.objects.update(is_active=False), "turned off"),
        (lambda s, o: s.act(lambda c: shop_actions.refund(c, o, Decimal("30.00"))), "€30.00"),
    ],
    ids=["requester", "dispute", "store", "refund"],
)
def test_the_second_step_is_checked_as_well(
    shop: Shop, seen: Seen, alice: User, change: Change, words: str
) -> None:
    placed = shop.place(paid=True)
    action = ask(seen(), cancel("5.00"), alice)
    assert perform(action).state == ActionState.PENDING
    time.sleep(0.1)
    change(shop, placed)
    placed.updated_at += timedelta(seconds=5)
    found = perform(action)
    if words == "turned off":
        # It may be switched on again, and then the customer gets the refund.
        assert found.state == ActionState.PENDING
    else:
        assert found.state == ActionState.PARTIAL
    assert words in found.message
    assert not [r for r in shop.ledger()["refunds"] if "[ax:" in (r["note"] or "")]


def test_what_is_in_doubt_is_not_repeated_against_a_rule(
    shop: Shop, seen: Seen, alice: User
) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="drop_before", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    User.objects.filter(pk=alice.pk).update(is_active=False)
    found = perform(action)
    assert (found.state, found.maybe_applied) == (ActionState.NEEDS_HUMAN, True)
    assert nothing_left(shop)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "change", "words"),
    [
        (refund("5.00", **CREDIT), _another_customer, "another customer"),
        (refund("5.00"), _disputed, "Its disputes changed"),
        (cancel("40.00"), _disputed, "Its disputes changed"),
    ],
    ids=["customer", "dispute", "cancel"],
)
def test_a_doubtful_action_is_not_repeated_after_the_order_changed(
    shop: Shop, seen: Seen, alice: User, choice: Any, change: Change, words: str
) -> None:
    """The first try never arrived: what is sent now would be another thing than was confirmed."""
    placed = shop.place(paid=True)
    action = ask(seen(), choice, alice)
    operation = "refundCreate" if action.kind == ActionKind.REFUND else "orderCancel"
    shop.fault(operation=operation, phase="drop_before", times=1)
    assert perform(action).state == ActionState.UNKNOWN
    change(shop, placed)
    placed.updated_at += timedelta(seconds=5)
    found = perform(action)
    assert (found.state, words in found.message) == (ActionState.NEEDS_HUMAN, True), found.message
    assert nothing_left(shop)


@pytest.fixture
def waiting(shop: Shop, seen: Seen, alice: User, sara: User) -> OrderAction:
    Policy.objects.create(role=alice.groups.get(), refund_up_to=0)
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=None)
    shop.place(paid=True)
    return ask(seen(), refund("5.00"), alice)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: User.objects.filter(username="alice").update(is_active=False), "account"),
        (lambda: Policy.objects.filter(refund_up_to=0).update(approval_up_to=1), "up to €1.00"),
        (
            lambda: Policy.objects.filter(refund_up_to=0).update(two_approvers_above=0),
            "above the agent’s limit",
        ),
    ],
    ids=["requester", "limit", "two approvers"],
)
def test_an_approval_does_not_outlive_what_it_rests_on(
    shop: Shop, waiting: OrderAction, sara: User, change: Callable[[], Any], words: str
) -> None:
    change()
    with pytest.raises(StalePreview) as stale:
        services.approve(
            action_id=waiting.pk, by=sara, guard=lambda _order: None, now=timezone.now()
        )
    assert words.lower() in str(stale.value).lower()
    waiting.refresh_from_db()
    assert waiting.state == ActionState.EXPIRED
    assert nothing_left(shop)


@pytest.mark.parametrize(
    "change",
    [
        lambda: User.objects.filter(username="sara").update(is_active=False),
        lambda: User.objects.get(username="sara").groups.clear(),
        lambda: Policy.objects.filter(role__name="supervisors").update(may_approve_up_to=4),
    ],
    ids=["deactivated", "without a role", "limit lowered"],
)
def test_an_approval_is_void_once_its_approver_may_not_approve(
    shop: Shop, waiting: OrderAction, sara: User, change: Callable[[], Any]
) -> None:
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _order: None, now=timezone.now())
    change()
    found = perform(waiting)
    assert (found.state, "sara" in found.message) == (ActionState.REJECTED, True)
    assert nothing_left(shop)


def test_an_approval_counts_while_its_approver_may_approve(
    shop: Shop, waiting: OrderAction, sara: User
) -> None:
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _order: None, now=timezone.now())
    assert perform(waiting).state == ActionState.SUCCEEDED


@pytest.mark.parametrize(
    "change",
    [
        lambda sara: sara.groups.clear(),
        lambda sara: Policy.objects.filter(role__name="supervisors").update(may_approve_up_to=4),
        lambda sara: Policy.objects.filter(role__name="supervisors").update(may_approve_up_to=0),
    ],
    ids=["role", "limit", "none"],
)
def test_an_approval_is_void_once_its_approver_lost_the_role(
    shop: Shop, waiting: OrderAction, sara: User, change: Callable[[User], Any]
) -> None:
    services.approve(action_id=waiting.pk, by=sara, guard=lambda _order: None, now=timezone.now())
    change(sara)
    found = perform(waiting)
    assert (found.state, "sara" in found.message) == (ActionState.REJECTED, True)
    assert nothing_left(shop)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda user: user.groups.clear(), "no_acting_role"),
        (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), "account_inactive"),
    ],
)
def test_an_agent_who_may_not_act_cannot_confirm(
    shop: Shop, seen: Seen, alice: User, change: Callable[[User], Any], code: str
) -> None:
    shop.place(paid=True)
    order = seen()
    change(alice)
    with pytest.raises(ActionRefused) as refused:
        ask(order, refund("5.00"), User.objects.get(pk=alice.pk))
    assert refused.value.refusal.code == code
    assert not OrderAction.objects.exists()


@pytest.fixture
def rejected(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation
) -> Callable[..., str]:
    """Alice confirms in the dialog, the order changes, and it is not carried out. Gives the page
    she gets from "Review again"."""

    def reject(kind: str, change: Change, **fields: str) -> str:
        placed = shop.place(paid=True)
        order = seen()
        token = review(as_alice, conversation, order, kind, **fields)
        assert confirm(as_alice, conversation, order, token) == 200
        change(shop, placed)
        placed.updated_at += timedelta(seconds=5)
        action = perform(OrderAction.objects.latest("pk"))
        assert action.state == ActionState.REJECTED
        here = f"/inbox/conversations/{conversation.pk}"
        assert f'href="{here}/actions/{action.pk}/again/"' in panel(as_alice, conversation)
        answer = as_alice.get(f"{here}/actions/{action.pk}/again/")
        return unescape(answer.content.decode())

    return reject


def test_the_agent_sees_the_difference_and_confirms_again(
    shop: Shop, rejected: Callable[..., str], as_alice: Client, conversation: Conversation
) -> None:
    page = rejected(
        "refund",
        lambda s, o: s.act(lambda c: shop_actions.refund(c, o, Decimal("3.00"))),
        reason="damaged",
        amount="30.00",
        staff_note="Broken lid",
        returned="",
    )
    assert "€0.00 → €3.00" in page
    assert "Broken lid" in page
    assert '<input type="hidden" name="amount" value="30.00">' in page
    Store.objects.update(undo_seconds=0)
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    assert confirm(as_alice, conversation, Order.objects.get(), found[1]) == 200
    again = OrderAction.objects.latest("pk")
    assert perform(again).state == ActionState.SUCCEEDED
    assert (again.staff_note, again.reason) == ("Broken lid", "damaged")


@pytest.mark.slow
def test_what_no_longer_fits_keeps_what_was_typed(
    rejected: Callable[..., str], as_alice: Client, conversation: Conversation
) -> None:
    page = rejected(
        "refund",
        lambda s, o: s.act(lambda c: shop_actions.refund(c, o, Decimal("20.00"))),
        reason="damaged",
        amount="30.00",
        staff_note="Broken lid",
    )
    assert "up to €20.00" in page
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    assert fields["staff_note"] == "Broken lid"
    [order] = Order.objects.all()
    url = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/refund/"
    dialog = unescape(as_alice.post(url, fields | {"edit": "1"}).content.decode())
    assert 'value="30.00"' in dialog
    assert "Broken lid" in dialog


def test_a_cancellation_is_reviewed_again_too(rejected: Callable[..., str]) -> None:
    page = rejected(
        "cancel",
        lambda s, o: s.act(lambda c: shop_actions.refund(c, o, Decimal("5.00"))),
        reason="CUSTOMER",
        refund="now",
        amount="12.50",
        restock="on",
        staff_note="Twice",
    )
    assert "Review the cancellation" in page
    assert "€0.00 → €5.00" in page
    for field in ('refund" value="now', 'restock" value="on', 'reason" value="CUSTOMER'):
        assert f'name="{field}"' in page
