"""A policy's conditions at the confirmation and before the send, with facts from stored rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders import policies
from orders.actions import eligibility, worker_steps
from orders.actions.progress import Settled
from orders.models import ActionState, Order, OrderAction, OrderRefund, Policy, Store
from orders.policies.facts import CUSTOMER_DAYS, SenderLookup
from orders.snapshot import CustomerSnapshot, Dispute
from tests.orders.actions.approvals.test_approving import gateway, store  # noqa: F401
from tests.orders.actions.test_requesting import Request, change, request_action, token  # noqa: F401
from tests.support.orders.snapshots import NOW, order

pytestmark = pytest.mark.django_db
_numbers = count(100)
JANE = CustomerSnapshot(gid="gid://shopify/Customer/1", legacy_id=1, name="Jane")


@pytest.fixture
def policy(alice: User) -> Policy:
    return Policy.objects.create(role=alice.groups.get())


def limit(policy: Policy, **limits: Any) -> None:
    Policy.objects.filter(pk=policy.pk).update(**limits)


def facts(found: Order, by: User, besides: OrderAction | None = None) -> policies.Facts:
    policy = Policy.objects.get()
    return policies.current_facts(
        found,
        policy,
        reason="other",
        reason_label="Other",
        line_gids=(),
        by=by,
        now=NOW,
        besides=besides,
    )


def earlier(found: Order, moved: str, *, days: float = 1, **words: Any) -> OrderRefund:
    """A refund of another order of the same customer."""
    number = next(_numbers)
    other = words.pop("order", None) or Order.objects.create(
        store=words.pop("store", found.store),
        gid=f"o{number}",
        legacy_id=number,
        customer_gid=words.pop("customer_gid", JANE.gid),
        is_test=words.pop("is_test", False),
    )
    return OrderRefund.objects.create(
        order=other,
        gid=f"r{number}",
        refunded_at=NOW - timedelta(days=days),
        amount=moved,
        amount_shop=moved,
        moved_shop=moved,
        **words,
    )


def test_what_a_customer_was_refunded_in_90_days_is_counted(
    token: Any,  # noqa: F811
    store: Store,  # noqa: F811
    alice: User,
    policy: Policy,
) -> None:
    token(order(customer=JANE))
    found = Order.objects.get()
    assert facts(found, alice).customer_refunds is None, "nothing asks"
    limit(policy, customer_refund_count=3)
    assert facts(found, alice).customer_refunds == 0
    elsewhere = Store.objects.create(domain="second.myshopify.com")
    earlier(found, "7.00")
    earlier(found, "2.00", waiting_shop="1.00", days=CUSTOMER_DAYS - 0.1)
    earlier(found, "0")
    earlier(found, "0.40", days=2)
    earlier(found, "40.00", days=CUSTOMER_DAYS + 0.1)
    earlier(found, "40.00", store=elsewhere)
    earlier(found, "40.00", customer_gid="gid://shopify/Customer/2")
    earlier(found, "40.00", is_test=True)
    known = facts(found, alice)
    assert (known.customer_refunds, known.customer_refunded) == (3, Decimal("10.40"))
    limit(policy, customer_refund_count=None, customer_refunds_up_to=3)
    assert facts(found, alice).customer_refunded == Decimal("10.40")
    Order.objects.filter(pk=found.pk).update(customer_gid="")
    assert facts(Order.objects.get(pk=found.pk), alice).customer_refunded is None


def test_what_is_under_way_counts_once_and_the_action_itself_does_not(
    token: Any,  # noqa: F811
    request_action: Request,  # noqa: F811
    alice: User,
    policy: Policy,
) -> None:
    limit(policy, customer_refunds_up_to=100)
    action = request_action(token(order(customer=JANE)))
    found = Order.objects.get()
    assert facts(found, alice).customer_refunded == Decimal(5)
    assert facts(found, alice).customer_refunds == 1
    assert facts(found, alice, besides=action).customer_refunds == 0
    booked = earlier(found, "5.00", order=found, action=action)
    assert facts(found, alice).customer_refunded == Decimal(5)
    assert facts(found, alice, besides=action).customer_refunds == 0
    OrderRefund.objects.filter(pk=booked.pk).update(action=None)
    assert facts(found, alice).customer_refunded == Decimal(10)
    OrderRefund.objects.filter(pk=booked.pk).update(action=action)
    claimed = worker_steps.claim(action_id=action.pk, now=timezone.now())
    assert claimed is not None
    assert worker_steps.settle(claimed, Settled(ActionState.SUCCEEDED), now=timezone.now())
    assert facts(found, alice).customer_refunded == Decimal(5)
    assert facts(found, alice, besides=action).customer_refunds == 0


def test_a_condition_is_asked_when_confirming(
    token: Any,  # noqa: F811
    request_action: Request,  # noqa: F811
    policy: Policy,
) -> None:
    confirmed = token(order(tags=("wholesale",)))
    limit(policy, approval_order_tags=["Wholesale"])
    action = request_action(confirmed)
    assert action.state == ActionState.AWAITING_APPROVAL
    assert action.approvals_needed == 1
    assert action.why_approval == "Orders tagged “Wholesale” need approval."


def test_a_condition_is_asked_again_before_the_first_send_and_not_after_it(
    token: Any,  # noqa: F811
    request_action: Request,  # noqa: F811
    policy: Policy,
) -> None:
    limit(policy, approval_disputed=True)
    known = order(are_disputes_known=True)
    action = request_action(token(known))
    assert action.state == ActionState.QUEUED

    def objection() -> str:
        fresh = OrderAction.objects.get(pk=action.pk)
        with transaction.atomic():
            found = eligibility.objection_to(fresh, Order.objects.get(), step=0, now=NOW)
        return f"{found.refusal.code}: {found.refusal.reason}" if found else ""

    assert objection() == ""
    change(replace(known, are_disputes_known=False))
    assert objection() == "approval_needed: It isn’t known whether this order is disputed."
    change(replace(known, disputes=(Dispute(gid="d", status="LOST"),)))
    assert objection() == "approval_needed: This order’s payment is disputed."
    change(replace(known, are_disputes_known=False))
    OrderAction.objects.update(maybe_applied=True)
    assert objection() == ""


def _say(answer: bool | None, _order: Order) -> bool | None:
    return answer


def test_senders_and_new_agents(
    token: Any,  # noqa: F811
    alice: User,
    policy: Policy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token()
    found = Order.objects.get()
    lookups: list[SenderLookup] = []
    monkeypatch.setattr("orders.policies.facts.SENDER_LOOKUPS", lookups)
    limit(policy, approval_unverified=True)
    for answers, expected in (
        ([], None),
        ([None], None),
        ([True, None], True),
        ([True, False], False),
    ):
        lookups[:] = [partial(_say, each) for each in answers]
        assert facts(found, alice).is_sender_verified is expected
    limit(policy, approval_unverified=False)
    assert facts(found, alice).is_sender_verified is None, "nothing asks"
    for days, expected_days in ((-1, 0), (29.9, 29), (30, 30)):
        alice.date_joined = NOW - timedelta(days=days)
        assert facts(found, alice).agent_days == expected_days


def test_only_what_a_policy_asks_about_is_queried(
    token: Any,  # noqa: F811
    alice: User,
    policy: Policy,
) -> None:
    token(order(customer=JANE))
    found = Order.objects.select_related("store").get()
    asked = Policy.objects.get()
    for limits, expected in (({}, 0), ({"customer_refund_count": 1}, 2)):
        for name, value in limits.items():
            setattr(asked, name, value)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            policies.current_facts(
                found, asked, reason="", reason_label="", line_gids=(), by=alice, now=NOW
            )
        assert len(queries) == expected


@pytest.mark.parametrize(
    "limits",
    [
        {"customer_refunds_up_to": -1},
        {"order_value_up_to": -1},
        {"new_agent_days": 0},
        {"approval_days_after_delivery": -1},
        {"customer_refund_count": -1},
    ],
)
def test_the_database_refuses_senseless_limits(policy: Policy, limits: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        limit(policy, **limits)
