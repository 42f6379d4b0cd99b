"""A policy's conditions: below, at and above each limit, and unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orders import policies
from orders.models import ActionKind, Policy
from orders.money import Money
from orders.policies import Facts
from orders.snapshot import Dispute, OrderSnapshot
from tests.support.orders.snapshots import NOW, line, order, parcel, payment, shipped

# What is known of a harmless action; each row changes one fact.
HARMLESS = Facts(
    days_since_delivery=3,
    days_since_shipping=5,
    reason="goodwill",
    reason_label="Goodwill",
    products=frozenset({"mug", "mug-1"}),
    order_tags=frozenset({"vip"}),
    payment_methods=frozenset({"paypal", "paypal express"}),
    customer_refunded=Decimal(90),
    customer_refunds=2,
    has_dispute=False,
    is_sender_verified=True,
    agent_days=100,
    order_value=Decimal(500),
)
ALL_CONDITIONS: dict[str, Any] = {
    "approval_days_after_delivery": 30,
    "approval_reasons": ["damaged", "FRAUD"],
    "approval_products": ["Ring"],
    "approval_order_tags": ["wholesale"],
    "approval_payment_methods": ["cash on delivery"],
    "customer_refunds_up_to": Decimal(100),
    "customer_refund_count": 3,
    "approval_disputed": True,
    "approval_unverified": True,
    "new_agent_days": 30,
    "order_value_up_to": Decimal(500),
}


def but(**changes: Any) -> Facts:
    return replace(HARMLESS, **changes)


def ruling(facts: Facts | None, amount: str | None = "10", **limits: Any) -> policies.Ruling:
    return policies.judge(
        Policy(**limits),
        kind=ActionKind.REFUND if amount else ActionKind.CANCEL,
        amount=Money(Decimal(amount), "EUR") if amount else None,
        spent=Decimal(0),
        has_note=False,
        facts=facts,
        currency="EUR",
    )


def why(fact: str, value: object, limit: str, **more: Any) -> str:
    """Why approval is needed if only this fact differs; "" if it isn't."""
    changed = but(**{fact: value}, **more)
    found = ruling(changed, **{limit: ALL_CONDITIONS[limit]})
    assert found.refusal is None
    assert found.approvals == (1 if found.why else 0)
    assert found.why == found.why_for_others
    return found.why


@pytest.mark.parametrize(
    ("limit", "fact", "value", "expected"),
    [
        ("approval_days_after_delivery", "days_since_delivery", 0, ""),
        ("approval_days_after_delivery", "days_since_delivery", 30, ""),
        (
            "approval_days_after_delivery",
            "days_since_delivery",
            31,
            "This is day 31 after delivery, and approval is needed after day 30.",
        ),
        ("approval_reasons", "reason", "late", ""),
        ("approval_reasons", "reason", "damaged", "The reason “Goodwill” needs approval."),
        ("approval_reasons", "reason", "FRAUD", "The reason “Goodwill” needs approval."),
        ("approval_reasons", "reason", None, "The reason for this isn’t known."),
        ("approval_products", "products", frozenset(), ""),
        ("approval_products", "products", frozenset({"rings"}), ""),
        (
            "approval_products",
            "products",
            frozenset({"ring", "mug"}),
            "The product “Ring” needs approval.",
        ),
        (
            "approval_products",
            "products",
            None,
            "It isn’t known which products this is about.",
        ),
        ("approval_order_tags", "order_tags", frozenset(), ""),
        (
            "approval_order_tags",
            "order_tags",
            frozenset({"vip", "wholesale"}),
            "Orders tagged “wholesale” need approval.",
        ),
        ("approval_order_tags", "order_tags", None, "This order’s tags aren’t known."),
        ("approval_payment_methods", "payment_methods", frozenset(), ""),
        (
            "approval_payment_methods",
            "payment_methods",
            frozenset({"cash on delivery"}),
            "Orders paid with cash on delivery need approval.",
        ),
        (
            "approval_payment_methods",
            "payment_methods",
            None,
            "It isn’t known how this order was paid.",
        ),
        ("customer_refunds_up_to", "customer_refunded", Decimal("89.99"), ""),
        ("customer_refunds_up_to", "customer_refunded", Decimal(90), ""),
        (
            "customer_refunds_up_to",
            "customer_refunded",
            Decimal("90.01"),
            "With this, the customer’s refunds in 90 days come to €100.01; the limit is €100.00.",
        ),
        (
            "customer_refunds_up_to",
            "customer_refunded",
            None,
            "This order has no known customer, so their earlier refunds can’t be counted.",
        ),
        ("customer_refund_count", "customer_refunds", 1, ""),
        ("customer_refund_count", "customer_refunds", 2, ""),
        (
            "customer_refund_count",
            "customer_refunds",
            3,
            "This would be the customer’s refund number 4 in 90 days; the limit is 3.",
        ),
        (
            "customer_refund_count",
            "customer_refunds",
            None,
            "This order has no known customer, so their earlier refunds can’t be counted.",
        ),
        ("approval_disputed", "has_dispute", False, ""),
        ("approval_disputed", "has_dispute", True, "This order’s payment is disputed."),
        (
            "approval_disputed",
            "has_dispute",
            None,
            "It isn’t known whether this order is disputed.",
        ),
        ("approval_unverified", "is_sender_verified", True, ""),
        (
            "approval_unverified",
            "is_sender_verified",
            False,
            "Someone wrote about this order from an unverified address.",
        ),
        (
            "approval_unverified",
            "is_sender_verified",
            None,
            "It isn’t known whether the customer asked for this.",
        ),
        ("new_agent_days", "agent_days", 31, ""),
        ("new_agent_days", "agent_days", 30, ""),
        (
            "new_agent_days",
            "agent_days",
            29,
            "This is day 30 of the agent’s first 30 days, which need approval.",
        ),
        (
            "new_agent_days",
            "agent_days",
            None,
            "It isn’t known how long the agent has been here.",
        ),
        ("order_value_up_to", "order_value", Decimal("499.99"), ""),
        ("order_value_up_to", "order_value", Decimal(500), ""),
        (
            "order_value_up_to",
            "order_value",
            Decimal("500.01"),
            "The order’s value of €500.01 is above the limit of €500.00.",
        ),
        ("order_value_up_to", "order_value", None, "This order’s value isn’t known."),
    ],
)
def test_each_condition_below_at_and_above_its_limit(
    limit: str, fact: str, value: object, expected: str
) -> None:
    assert why(fact, value, limit) == expected
    # Without the limit, nothing depends on the fact.
    others = {name: each for name, each in ALL_CONDITIONS.items() if name != limit}
    assert fact not in policies.unknown_facts(
        Policy(**others), but(**{fact: value}), has_amount=True
    )
    unknown = policies.unknown_facts(
        Policy(**{limit: ALL_CONDITIONS[limit]}),
        but(**{fact: value}),
        has_amount=True,
    )
    assert unknown == ((fact,) if value is None else ())


@pytest.mark.parametrize(
    ("shipped_days", "expected"),
    [
        (29, ""),
        (30, ""),
        (31, "It isn’t known when this order was delivered."),
        (None, "It isn’t known when this order was delivered."),
    ],
)
def test_no_delivery_is_older_than_its_shipment(shipped_days: int | None, expected: str) -> None:
    limit = "approval_days_after_delivery"
    assert why("days_since_delivery", None, limit, days_since_shipping=shipped_days) == expected


def test_a_harmless_action_meets_no_condition() -> None:
    assert ruling(HARMLESS, **ALL_CONDITIONS) == policies.ALLOWED


def test_unknown_facts_count_against_acting_and_without_conditions_nothing_is_asked() -> None:
    assert ruling(policies.UNKNOWN, **ALL_CONDITIONS).approvals == 1
    assert ruling(policies.UNKNOWN) == policies.ALLOWED
    # Asked before the first send, and not again after it.
    assert ruling(None, **ALL_CONDITIONS) == policies.ALLOWED


def test_a_cancellation_without_a_refund_is_not_counted_as_one() -> None:
    facts = replace(HARMLESS, customer_refunded=None, customer_refunds=None)
    limits = {"customer_refunds_up_to": Decimal(0), "customer_refund_count": 0}
    assert ruling(facts, None, **limits) == policies.ALLOWED
    assert policies.unknown_facts(Policy(**limits), facts, has_amount=False) == ()
    disputed = replace(facts, has_dispute=True)
    assert ruling(disputed, None, approval_disputed=True, **limits).approvals == 1
    rich = ruling(replace(facts, order_value=Decimal(11)), None, order_value_up_to=Decimal(10))
    assert rich.why == "The order’s value of €11.00 is above the limit of €10.00."


def test_reasons_add_up_to_one_explanation_and_to_two_approvers() -> None:
    found = ruling(
        replace(HARMLESS, has_dispute=True, customer_refunds=9, customer_refunded=None),
        "60",
        refund_up_to=Decimal(50),
        two_approvers_above=Decimal(55),
        approval_disputed=True,
        customer_refund_count=3,
        customer_refunds_up_to=Decimal(10),
    )
    assert found.approvals == 2
    assert found.why_for_others == (
        "Above the agent’s limit of €50.00. This order’s payment is disputed. "
        "This order has no known customer, so their earlier refunds can’t be counted. "
        "This would be the customer’s refund number 10 in 90 days; the limit is 3."
    )
    assert found.why.startswith("Above your limit of €50.00. This order’s payment is disputed.")


def test_a_long_explanation_ends_with_a_whole_sentence_that_the_column_holds() -> None:
    facts = replace(
        policies.UNKNOWN, products=frozenset({"x" * 300}), order_tags=frozenset({"y" * 60})
    )
    found = ruling(
        facts,
        **ALL_CONDITIONS | {"approval_products": ["X" * 300], "approval_order_tags": ["y" * 60]},
    )
    assert 0 < len(found.why) <= 255
    assert found.why.endswith(".")
    product = ruling(facts, approval_products=["X" * 300]).why
    assert product == f"The product “{'X' * 59}…” needs approval."
    tag = ruling(facts, approval_order_tags=["y" * 60]).why
    assert tag == f"Orders tagged “{'y' * 60}” need approval."


# --- Facts from an order ------------------------------------------------------------------------
def facts_of(
    snapshot: OrderSnapshot,
    *lines: str,
    is_masked: bool = False,
    after_days: int | None = None,
) -> Facts:
    return policies.order_facts(
        snapshot,
        line_gids=set(lines),
        is_masked=is_masked,
        assume_delivered_after_days=after_days,
        now=NOW,
    )


def ago(days: float) -> Any:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("snapshot", "after_days", "days"),
    [
        (order(), None, (0, 0)),
        (order(unread=("fulfillments",)), None, (None, None)),
        (order(fulfillment_status="FULFILLED"), None, (None, None)),
        (shipped(parcel(created_at=ago(9), delivered_at=ago(2.9))), None, (2, 9)),
        (shipped(parcel(created_at=ago(9), display_status="DELIVERED")), None, (None, 9)),
        (shipped(parcel(created_at=ago(9), display_status="IN_TRANSIT")), None, (0, 9)),
        (shipped(parcel(created_at=ago(9), display_status="FULFILLED")), None, (None, 9)),
        (shipped(parcel(created_at=ago(9), display_status="NEW_WORD")), None, (None, 9)),
        (shipped(parcel(created_at=ago(9), display_status="FULFILLED")), 7, (2, 9)),
        # Delivered, says the carrier, without a date: no assumption stands in for one.
        (shipped(parcel(created_at=ago(9), display_status="DELIVERED")), 7, (None, 9)),
        (shipped(parcel(created_at=ago(9), display_status="FULFILLED")), 10, (0, 9)),
        (shipped(parcel(created_at=ago(9), requires_shipping=False)), None, (9, 9)),
        (
            shipped(
                parcel(created_at=ago(9), delivered_at=ago(8)),
                parcel(gid="p2", created_at=ago(5), delivered_at=ago(1)),
            ),
            None,
            (8, 9),
        ),
        (
            shipped(
                parcel(created_at=ago(5), delivered_at=ago(1)),
                parcel(gid="p2", created_at=ago(3), display_status=None),
            ),
            None,
            (None, 5),
        ),
        (shipped(parcel(created_at=ago(-1), delivered_at=ago(-0.5))), None, (0, 0)),
    ],
)
def test_days_since_delivery(
    snapshot: OrderSnapshot, after_days: int | None, days: tuple[int | None, int | None]
) -> None:
    found = facts_of(snapshot, after_days=after_days)
    assert (found.days_since_delivery, found.days_since_shipping) == days


def test_only_parcels_that_may_hold_the_items_count() -> None:
    first = parcel(created_at=ago(60), delivered_at=ago(50))
    second = parcel(
        gid="p2",
        created_at=ago(6),
        delivered_at=ago(3),
        lines=(replace(first.lines[0], line_gid="line-2"),),
    )
    snapshot = shipped(first, second)
    assert facts_of(snapshot, "line-2").days_since_delivery == 3
    assert facts_of(snapshot, "line-1").days_since_delivery == 50
    assert facts_of(snapshot).days_since_delivery == 50
    vague = shipped(replace(first, lines=()), second)
    assert facts_of(vague, "line-2").days_since_delivery == 50


def test_products_tags_and_payments_are_compared_regardless_of_case() -> None:
    snapshot = order(
        tags=("VIP ",),
        lines=(line(sku="MUG-1"), line(gid="line-2", title="Ring", sku="")),
        transactions=(
            payment(gateway="PayPal", gateway_label="PayPal Express"),
            payment(gateway="cards", status="FAILURE"),
            payment(gateway="gift_card", kind="AUTHORIZATION"),
            payment(gateway="manual", kind="REFUND"),
            payment(gateway="klarna", kind="CAPTURE"),
        ),
    )
    found = facts_of(snapshot)
    assert set(found.order_tags or ()) == {"vip"}
    assert set(found.products or ()) == {"mug-1", "mug", "ring"}
    assert set(found.payment_methods or ()) == {"paypal", "paypal express", "gift_card", "klarna"}
    assert found.order_value == Decimal(20)
    assert set(facts_of(snapshot, "line-2").products or ()) == {"ring"}


def test_what_was_cut_off_or_masked_is_unknown() -> None:
    found = facts_of(order(unread=("lines", "transactions"), tags=("vip",)), is_masked=True)
    assert found.products is None
    assert found.payment_methods is None
    assert found.order_tags is None
    nameless = order(transactions=(payment(gateway=""), payment()))
    assert facts_of(nameless).payment_methods is None
    labeled = order(transactions=(payment(gateway="", gateway_label="Card"),))
    assert set(facts_of(labeled).payment_methods or ()) == {"card"}


@pytest.mark.parametrize(
    ("status", "is_known", "expected"),
    [
        (None, True, False),
        (None, False, None),
        ("NEEDS_RESPONSE", True, True),
        ("NEEDS_RESPONSE", False, True),
        ("LOST", True, True),
        ("WON", True, False),
    ],
)
def test_disputes(status: str | None, is_known: bool, expected: bool | None) -> None:
    found = (Dispute(gid="d", status=status),) if status else ()
    snapshot = order(disputes=found, are_disputes_known=is_known)
    assert facts_of(snapshot).has_dispute is expected
