"""“Try on this store's history” judges past requests by the values as typed, and saves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import (
    ActionKind,
    ActionState,
    AuditEntry,
    AuditKind,
    Order,
    OrderAction,
    OrderRefund,
    OrderVersion,
    Policy,
    Store,
)
from orders.models.versions import packed
from orders.reports import policy_backtest
from orders.reports.policy_backtest import Backtest
from orders.snapshot import encode
from tests.admin.test_policy_trial import policy, root, store  # noqa: F401
from tests.support.orders.snapshots import order

pytestmark = pytest.mark.django_db


def requested(
    store: Store,  # noqa: F811
    by: User,
    amount: str | None = "40",
    *,
    days: float = 1,
    approved_after: float = 0,
    snapshot: Any = None,
    **words: Any,
) -> OrderAction:
    """A request so many days ago; approved by someone after so many minutes, if at all."""
    number = Order.objects.count() + 1
    at = timezone.now() - timedelta(days=days)
    found = Order.objects.create(
        store=store,
        gid=f"gid://shopify/Order/{number}",
        legacy_id=number,
        shop_currency="EUR",
        document=encode(snapshot or order()),
        state_since=at - timedelta(hours=1),
        customer_gid=words.pop("customer_gid", ""),
        is_test=words.pop("is_test", False),
        masked_at=words.pop("masked_at", None),
    )
    action = OrderAction.objects.create(
        order=found,
        requested_by=by,
        nonce=f"n{number}",
        digest="d",
        proposal={},
        steps=[],
        amount=amount,
        currency="EUR" if amount else "",
        amount_shop=amount or 0,
        approvals_needed=int(bool(approved_after)),
        state=ActionState.AWAITING_APPROVAL if approved_after else ActionState.QUEUED,
        **{"kind": ActionKind.REFUND if amount else ActionKind.CANCEL, "reason": "other"} | words,
    )
    OrderAction.objects.filter(pk=action.pk).update(requested_at=at)
    if approved_after:
        AuditEntry.objects.create(
            kind=AuditKind.ACTION,
            action_id=action.pk,
            before=ActionState.AWAITING_APPROVAL,
            after=ActionState.QUEUED,
            at=at + timedelta(minutes=approved_after),
        )
    return action


def backtest_of(policy: Policy, **limits: Any) -> Backtest:  # noqa: F811
    """The report of a policy as typed, whose sums a form makes exact."""
    for name, value in ({"refund_up_to": policy.refund_up_to} | limits).items():
        is_sum = name.endswith(("_up_to", "_per_day", "_above")) and value is not None
        setattr(policy, name, Decimal(value) if is_sum else value)
    return policy_backtest.backtest(policy, stores=Store.objects.all(), now=timezone.now())


def counts(policy: Policy, **limits: Any) -> tuple[int, int, int, int, int]:  # noqa: F811
    found = backtest_of(policy, **limits).total
    return found.total, found.approvals, found.refused, found.notes, found.unknown


def test_the_page_counts_by_agent_and_by_reason_and_saves_nothing(
    root: Client,  # noqa: F811
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    bob: User,
    sara: User,
) -> None:
    requested(store, alice, "40")
    requested(store, alice, "60", reason="damaged", approved_after=30)
    requested(store, bob, "60", approved_after=52)
    requested(store, bob, "2000")
    requested(store, sara, "60")
    requested(store, alice, "60", days=91)
    requested(store, alice, "60", is_test=True)
    typed = {
        "role": policy.role_id,
        "refund_up_to": "50",
        "approval_up_to": "1000",
        "cancel": "allow",
        "may_approve_up_to": "0",
        "_backtest": "1",
    }
    url = f"/admin/orders/policy/{policy.pk}/change/"
    with CaptureQueriesContext(connection) as queries:
        answer = root.post(url, typed)
    assert answer.status_code == 200
    page = " ".join(answer.content.decode().split())
    assert "2 of 4 requests would have needed approval, 1 refused" in page
    assert "took 41 minutes in the median (2 approvals)" in page
    agents = page.partition('aria-label="By agent"')[2]
    row = '<th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>'
    assert row.format("Bob", 2, 1, 1, 0) in agents
    assert row.format("Alice", 2, 1, 0, 0) in agents
    reasons = page.partition('aria-label="By reason"')[2]
    assert row.format("Other", 3, 1, 1, 0) in reasons
    assert row.format("Damaged on arrival", 1, 1, 0, 0) in reasons
    written = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [sql for sql in written if "session" not in sql]
    policy.refresh_from_db()
    assert policy.approval_up_to is None
    assert "Nothing to test yet" in root.post(url, typed | {"refund_up_to": "x"}).content.decode()


def test_an_auditor_and_an_agent_cannot_run_it(policy: Policy, alice: User) -> None:  # noqa: F811
    auditor = User.objects.create_user("ann", is_staff=True)
    for user in (alice, auditor):
        client = Client()
        client.force_login(user)
        answer = client.post(f"/admin/orders/policy/{policy.pk}/change/", {"_backtest": "1"})
        assert answer.status_code in {302, 403}
        assert b"would have" not in answer.content


def test_only_people_and_stores_that_the_policy_applies_to_count(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    bob: User,
) -> None:
    other = Store.objects.create(domain="second.myshopify.com", currency="EUR")
    requested(store, alice, "60")
    requested(other, alice, "60")
    assert counts(policy)[:2] == (2, 2)
    found = policy_backtest.backtest(
        policy, stores=Store.objects.filter(pk=other.pk), now=timezone.now()
    )
    assert found.total.total == 1
    # Bob's other role is more generous, so this policy isn't his.
    bob.groups.add(Group.objects.get(name="supervisors"))
    requested(store, bob, "60")
    assert counts(policy)[:2] == (2, 2)
    Policy.objects.create(role=policy.role, store=other)
    assert counts(policy)[:2] == (1, 1)
    own = Policy(role=policy.role, store=store, refund_up_to=Decimal(0))
    assert counts(own)[:2] == (1, 1)


def test_notes_are_counted_apart_from_refusals(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
) -> None:
    requested(store, alice, "60")
    requested(store, alice, "60", staff_note="Broken")
    requested(store, alice, "20", masked_at=timezone.now())
    assert counts(policy, note_above=10) == (3, 2, 0, 1, 1)
    requested(store, alice, None)
    assert counts(policy, note_above=None, cancel="deny") == (4, 2, 1, 0, 0)


def test_a_day_is_spent_as_this_policy_would_have_let_it(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    bob: User,
) -> None:
    for days, amount in ((1.5, "40"), (1.2, "40"), (1.1, "30"), (0.4, "60")):
        requested(store, alice, amount, days=days)
    requested(store, bob, "60", days=1.15)
    assert counts(policy, refund_up_to=None, refund_per_day=70)[:2] == (5, 2)
    # The second is refused to act alone, so the third still fits.
    assert counts(policy, refund_per_day=69)[:2] == (5, 2)
    assert counts(policy, refund_per_day=100)[:2] == (5, 1)
    assert counts(policy, refund_per_day=129)[:2] == (5, 1)
    assert counts(policy, refund_per_day=130)[:2] == (5, 0)


def test_facts_are_those_of_the_time(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
) -> None:
    policy.refund_up_to = None
    tagged = order(tags=("wholesale",))
    action = requested(store, alice, snapshot=tagged)
    assert counts(policy, approval_order_tags=["wholesale"]) == (1, 1, 0, 0, 0)
    # It looks like that only since later; an earlier state without the tag was stored.
    since = timezone.now() - timedelta(hours=2)
    Order.objects.update(state_since=since)
    assert counts(policy) == (1, 1, 0, 0, 1), "how it looked then isn't known"
    OrderVersion.objects.create(
        order=action.order,
        number=0,
        since=since - timedelta(days=9),
        until=since,
        document=packed(encode(replace(tagged, tags=()))),
    )
    OrderVersion.objects.create(
        order=action.order,
        number=1,
        since=since - timedelta(days=19),
        until=since - timedelta(days=9),
        document=packed(encode(tagged)),
    )
    assert counts(policy) == (1, 0, 0, 0, 0)


def test_earlier_refunds_of_the_customer_are_counted_up_to_the_request(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy.refund_up_to = None
    action = requested(store, alice, customer_gid="c1", days=10)
    requested(store, alice, days=10)
    at = timezone.now() - timedelta(days=10)

    def booked(days_before: float, moved: str, by: OrderAction | None = None) -> None:
        OrderRefund.objects.create(
            order=action.order,
            gid=f"r{OrderRefund.objects.count()}",
            refunded_at=at - timedelta(days=days_before),
            amount=moved,
            amount_shop=moved,
            moved_shop=moved,
            action=by,
        )

    for days_before, by in ((-1, None), (91, None), (-0.1, action)):
        booked(days_before, "100", by)
    # The other order has no customer, so nothing is known of it.
    assert counts(policy, customer_refund_count=1) == (2, 1, 0, 0, 1)
    booked(89, "60.01")
    assert counts(policy) == (2, 2, 0, 0, 1)
    policy.customer_refund_count = None
    assert counts(policy, customer_refunds_up_to=100)[1] == 2
    assert counts(policy, customer_refunds_up_to=101)[1] == 1
    monkeypatch.setattr(policy_backtest, "_REFUNDS_AT_MOST", 2)
    assert counts(policy)[4] == 2, "too many to count"


def test_a_sender_was_verified_if_it_was_sent_from_a_conversation(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
) -> None:
    policy.refund_up_to = None
    now = timezone.now()
    requested(store, alice, origin="conversation:1", sent_at=now)
    assert counts(policy, approval_unverified=True) == (1, 0, 0, 0, 0)
    requested(store, alice, origin="conversation:1")
    requested(store, alice, origin="order:1", sent_at=now)
    assert counts(policy) == (3, 2, 0, 0, 2)


def test_it_reads_a_bounded_number_of_rows_in_six_queries(
    policy: Policy,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for days in (1, 2, 3):
        requested(store, alice, customer_gid="c1", days=days, approved_after=days)
    with CaptureQueriesContext(connection) as queries:
        found = backtest_of(policy, customer_refund_count=1)
    assert len(queries) <= 6
    assert (found.total.total, found.is_cut, found.median_delay) == (3, False, "2 minutes")
    monkeypatch.setattr(policy_backtest, "ACTIONS_AT_MOST", 2)
    found = backtest_of(policy)
    assert (found.total.total, found.is_cut) == (2, True)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((), ""),
        ((0.4,), "less than a minute"),
        ((1,), "1 minute"),
        ((10, 41, 300), "41 minutes"),
        ((119,), "119 minutes"),
        ((120, 180), "2.5 hours"),
    ],
)
def test_the_median_delay_in_words(minutes: tuple[float, ...], expected: str) -> None:
    tally = policy_backtest.Tally(name="")
    delays = tuple(timedelta(minutes=each) for each in minutes)
    found = Backtest(total=tally, by_agent=(), by_reason=(), delays=delays, is_cut=False)
    assert found.median_delay == expected
