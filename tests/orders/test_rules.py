"""Rows F27-F42 and G02: what may be done, and why not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orders import rules
from orders.snapshot import Dispute, Return
from tests.support.snapshots import NOW, line, order, parcel, payment, shipped


def cancel(snapshot: object, **options: object) -> str | None:
    refusal = rules.cancel_refusal(snapshot, now=NOW, **options)
    return refusal.code if refusal else None


def refund(snapshot: object) -> str | None:
    refusal = rules.refund_refusal(snapshot)
    return refusal.code if refusal else None


OPEN_RETURN = Return(gid="r", name="R1", status="OPEN", total_quantity=2, received_quantity=0)
DELIVERED = parcel(display_status="DELIVERED", delivered_at=NOW)


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (order(), None),
        (order(paid="0", financial_status="PENDING"), None),
        (shipped(), None),
        (order(cancelled_at=NOW), "already_canceled"),
        (shipped(DELIVERED), "delivered"),
        (shipped(DELIVERED, parcel(gid="b")), "partly_delivered"),
        (order(returns=(OPEN_RETURN,)), "open_return"),
        (order(paid="0", returns=(OPEN_RETURN,)), None),
        (
            order(paid="0", transactions=(payment(kind="AUTHORIZATION", status="PENDING"),)),
            "authorization_in_process",
        ),
        (order(refunded="20.00", financial_status="REFUNDED"), None),
    ],
)
def test_when_an_order_may_be_canceled(snapshot: object, code: str | None) -> None:
    assert cancel(snapshot) == code


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (order(), None),
        (order(cancelled_at=NOW), None),
        (order(paid="0"), "unpaid"),
        (order(refunded="20.00"), "fully_refunded"),
        (order(is_refundable=False), "not_refundable"),
    ],
)
def test_when_there_is_money_to_give_back(snapshot: object, code: str | None) -> None:
    assert refund(snapshot) == code


def test_every_refusal_says_why_in_words() -> None:
    refusal = rules.cancel_refusal(shipped(DELIVERED), now=NOW)
    assert refusal
    assert refusal.reason
    assert refusal.hint


def test_an_unknown_delivery_is_no_delivery_unless_the_store_says_so() -> None:
    silent = shipped(parcel(created_at=NOW - timedelta(days=10)))
    assert not rules.is_delivered(silent, now=NOW)
    assert rules.is_delivered(silent, now=NOW, assume_delivered_after_days=7)
    assert cancel(silent, assume_delivered_after_days=7) == "delivered"
    assert cancel(silent, assume_delivered_after_days=14) is None


def test_digital_orders_are_delivered_once_fulfilled() -> None:
    digital = order(
        fulfillment_status="FULFILLED",
        lines=(line(requires_shipping=False, unfulfilled_quantity=0),),
    )
    assert rules.is_delivered(digital, now=NOW)


def test_something_unfulfilled_is_never_delivered() -> None:
    part = order(fulfillments=(DELIVERED,), lines=(line(unfulfilled_quantity=1),))
    assert not rules.is_delivered(part, now=NOW)


def test_a_paid_order_with_a_shipment_record_needs_it_canceled_too() -> None:
    assert rules.shipment_refusal(shipped()) is not None
    assert rules.shipment_refusal(shipped(paid="0")) is None
    assert rules.shipment_refusal(order()) is None


def test_a_return_counts_as_received_by_units_not_by_status() -> None:
    closed = Return(gid="r", name="R", status="CLOSED", total_quantity=2, received_quantity=0)
    full = Return(gid="r", name="R", status="OPEN", total_quantity=2, received_quantity=2)
    assert not rules.return_received(order(returns=(closed,)))
    assert rules.return_received(order(returns=(full,)))


def test_the_adviser_warns_of_what_costs_money_twice() -> None:
    risky = order(
        disputes=(Dispute(gid="d", status="NEEDS_RESPONSE"),),
        risk_level="HIGH",
        transactions=(payment(is_manual=True),),
    )
    codes = {a.code for a in rules.refund_advice(risky, delivered=False, earlier_refunds=3)}
    wanted = {"unfulfilled", "dispute", "high_risk", "manual_gateway", "repeated_refunds"}
    assert codes == wanted
    assert "return_first" in {a.code for a in rules.refund_advice(shipped(), delivered=True)}
