"""What may be done with an order, and why not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from orders import rules
from orders.money import Money
from orders.snapshot import Dispute, OrderSnapshot, Refund, RefundTransaction, Return
from tests.support.orders.snapshots import NOW, bag, line, order, parcel, payment, shipped


def cancel(snapshot: OrderSnapshot, **options: int) -> str | None:
    refusal = rules.cancel_refusal(snapshot, now=NOW, **options)
    return refusal.code if refusal else None


def refund(snapshot: OrderSnapshot) -> str | None:
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
def test_when_an_order_may_be_canceled(snapshot: OrderSnapshot, code: str | None) -> None:
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
def test_when_there_is_money_to_give_back(snapshot: OrderSnapshot, code: str | None) -> None:
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


# --- at the edges


def advice(codes: tuple[rules.Advice, ...]) -> list[str]:
    return [a.code for a in codes]


def test_money_that_went_back_twice_is_not_owed_by_the_customer() -> None:
    over = order(refunded="25.00")
    assert rules.net_paid(over) == Money.zero("EUR")
    assert refund(over) == "fully_refunded"
    assert rules.net_paid(order(refunded="5.00")) == Money(Decimal(15), "EUR")


def test_one_refund_that_waits_for_its_bank_is_not_there_to_be_refunded() -> None:
    booked = Refund(
        gid="r1",
        created_at=NOW,
        total=bag("3.00"),
        transactions=(RefundTransaction(gid="t1", status="SUCCESS", amount=bag("3.00")),),
    )
    waiting = Refund(
        gid="r2",
        created_at=NOW,
        total=bag("5.00"),
        transactions=(RefundTransaction(gid="t2", status="PENDING", amount=bag("5.00")),),
    )
    seen = order(refunded="3.00", refunds=(booked, waiting))
    assert rules.net_paid(seen) == Money(Decimal(12), "EUR")


@pytest.mark.parametrize("days", [7, 8])
def test_a_silent_parcel_counts_from_the_day_of_the_stores_rule(days: int) -> None:
    silent = shipped(parcel(created_at=NOW - timedelta(days=7)))
    assert rules.is_delivered(silent, now=NOW, assume_delivered_after_days=days) is (days == 7)


def test_a_parcel_that_needs_no_shipping_is_not_waited_for() -> None:
    download = parcel(gid="b", requires_shipping=False)
    assert rules.is_delivered(shipped(DELIVERED, download), now=NOW)
    assert not rules.is_delivered(shipped(parcel(), download), now=NOW)
    # Only downloads: delivered when Shopify says that all is fulfilled, and not before.
    assert rules.is_delivered(shipped(download), now=NOW)
    assert not rules.is_delivered(
        order(lines=(line(unfulfilled_quantity=0),), fulfillments=(download,)), now=NOW
    )
    assert not rules.is_partly_delivered(shipped(download), now=NOW)


def test_one_of_two_parcels_makes_an_order_partly_delivered() -> None:
    both = shipped(DELIVERED, parcel(gid="b"))
    assert rules.is_partly_delivered(both, now=NOW)
    assert not rules.is_delivered(both, now=NOW)
    assert not rules.is_partly_delivered(shipped(), now=NOW)
    silent = shipped(parcel(created_at=NOW - timedelta(days=9)), parcel(gid="b"))
    assert rules.is_partly_delivered(silent, now=NOW, assume_delivered_after_days=9)
    assert cancel(silent, assume_delivered_after_days=9) == "partly_delivered"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("AUTHORIZATION", "PENDING", "authorization_in_process"),
        ("AUTHORIZATION", "AWAITING_RESPONSE", "authorization_in_process"),
        ("AUTHORIZATION", "SUCCESS", None),
        ("AUTHORIZATION", "FAILURE", None),
        ("SALE", "PENDING", None),
    ],
)
def test_an_authorization_under_way_is_waited_for(kind: str, status: str, code: str | None) -> None:
    waiting = order(paid="0", transactions=(payment(), payment(kind=kind, status=status)))
    assert cancel(waiting) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [("OPEN", "open_return"), ("REQUESTED", "open_return"), ("CLOSED", None), ("DECLINED", None)],
)
def test_an_open_return_stops_a_cancellation(status: str, code: str | None) -> None:
    returned = Return(gid="r", name="R", status=status, total_quantity=1, received_quantity=0)
    closed = Return(gid="c", name="C", status="CLOSED", total_quantity=1, received_quantity=1)
    assert cancel(order(returns=(closed, returned))) == code


@pytest.mark.parametrize(
    ("received", "of", "status", "is_back"),
    [
        (2, 2, "CLOSED", True),
        (3, 2, "CLOSED", True),
        (1, 2, "CLOSED", False),
        (0, 0, "CLOSED", False),
        (2, 2, "REQUESTED", False),
        (2, 2, "DECLINED", False),
    ],
)
def test_a_return_is_back_when_every_unit_is(
    received: int, of: int, status: str, is_back: bool
) -> None:
    found = Return(gid="r", name="R", status=status, total_quantity=of, received_quantity=received)
    assert rules.return_received(order(returns=(found,))) is is_back
    other = Return(gid="o", name="O", status="OPEN", total_quantity=1, received_quantity=0)
    assert not rules.return_received(order(returns=(found, other)))
    assert not rules.return_received(order())


def test_a_canceled_order_with_money_has_a_refund_to_come() -> None:
    assert rules.refund_outstanding(order(cancelled_at=NOW))
    assert not rules.refund_outstanding(order())
    assert not rules.refund_outstanding(order(cancelled_at=NOW, refunded="20.00"))
    assert not rules.refund_outstanding(order(cancelled_at=NOW, paid="0"))


def test_only_transactions_that_brought_money_count_as_payments() -> None:
    sale, capture = payment(), payment(gid="b", kind="CAPTURE", is_manual=True)
    others = (
        payment(gid="c", kind="AUTHORIZATION", is_manual=True),
        payment(gid="d", kind="REFUND", is_manual=True),
        payment(gid="e", status="FAILURE", is_manual=True),
    )
    assert rules.payments(order(transactions=(sale, *others, capture))) == (sale, capture)
    assert rules.has_manual_payment(order(transactions=(sale, capture)))
    assert not rules.has_manual_payment(order(transactions=(sale, *others)))


def test_a_refusal_of_an_unpaid_order_tells_how_to_go_on() -> None:
    unpaid = rules.refund_refusal(order(paid="0"))
    canceled = rules.refund_refusal(order(paid="0", cancelled_at=NOW))
    assert unpaid is not None
    assert canceled is not None
    assert "Cancel the order instead" in str(unpaid.hint)
    assert not canceled.hint


@pytest.mark.parametrize("status", ["NEEDS_RESPONSE", "UNDER_REVIEW", "WON", "LOST"])
def test_a_dispute_is_warned_of_while_it_is_open(status: str) -> None:
    disputed = order(disputes=(Dispute(gid="d", status=status),))
    is_open = status in {"NEEDS_RESPONSE", "UNDER_REVIEW"}
    assert ("dispute" in advice(rules.cancel_advice(disputed))) is is_open
    assert ("dispute" in advice(rules.refund_advice(disputed, delivered=False))) is is_open


def test_what_is_advised_about_a_cancellation() -> None:
    assert advice(rules.cancel_advice(order())) == ["irreversible"]
    assert advice(rules.cancel_advice(shipped())) == ["irreversible", "shipped"]
    by_hand = order(transactions=(payment(is_manual=True),), risk_level="HIGH")
    assert advice(rules.cancel_advice(by_hand)) == ["irreversible", "high_risk", "manual_gateway"]
    unpaid = order(paid="0", transactions=(payment(is_manual=True),), risk_level="LOW")
    assert advice(rules.cancel_advice(unpaid)) == ["irreversible"]
    for count, codes in ((1, ["irreversible"]), (2, ["irreversible", "repeated_refunds"])):
        assert advice(rules.cancel_advice(order(), earlier_refunds=count)) == codes


def test_what_is_advised_about_a_refund() -> None:
    assert advice(rules.refund_advice(order(), delivered=False)) == ["unfulfilled"]
    assert advice(rules.refund_advice(order(cancelled_at=NOW), delivered=False)) == []
    assert advice(rules.refund_advice(shipped(), delivered=False)) == []
    assert advice(rules.refund_advice(shipped(), delivered=True)) == ["return_first"]
    back = Return(gid="r", name="R", status="CLOSED", total_quantity=2, received_quantity=2)
    assert advice(rules.refund_advice(shipped(returns=(back,)), delivered=True)) == []
    twice = rules.refund_advice(shipped(), delivered=False, earlier_refunds=2)
    assert advice(twice) == ["repeated_refunds"]
    assert "2 times" in twice[0].text


def test_a_canceled_shipment_does_not_count() -> None:
    gone = shipped(parcel(status="CANCELLED"))
    assert not rules.is_shipped(gone)
    assert rules.shipment_refusal(gone) is None


@pytest.mark.parametrize("status", ["LOST", "ACCEPTED", "CHARGE_REFUNDED"])
def test_a_lost_dispute_is_warned_of_as_loudly(status: str) -> None:
    """The bank has given the money back already: a refund would pay it twice."""
    lost = order(disputes=(Dispute(gid="d", status=status),))
    assert "dispute_lost" in advice(rules.refund_advice(lost, delivered=False))
    assert "dispute_lost" in advice(rules.cancel_advice(lost))


@pytest.mark.parametrize("status", ["WON", "PREVENTED"])
def test_a_dispute_that_was_won_is_no_lost_one(status: str) -> None:
    won = order(disputes=(Dispute(gid="d", status=status),))
    assert not {"dispute", "dispute_lost"} & set(advice(rules.refund_advice(won, delivered=False)))


@pytest.mark.parametrize("name", ["lines", "fulfillments", "transactions", "refunds", "returns"])
def test_no_action_is_allowed_on_an_order_that_was_read_in_part(name: str) -> None:
    incomplete = order(unread=(name,))
    assert (refund(incomplete), cancel(incomplete)) == ("incomplete", "incomplete")
    assert (refund(order()), cancel(order())) == (None, None)


def booked(gid: str, amount: str, ago: timedelta) -> Refund:
    """A refund whose money has all moved."""
    paid = RefundTransaction(gid=f"{gid}-t", status="SUCCESS", amount=bag(amount))
    return Refund(gid=gid, created_at=NOW - ago, total=bag(amount), transactions=(paid,))


@pytest.mark.parametrize(
    ("ago", "says"),
    [
        ((timedelta(minutes=59),), ["€2.00 of this order was just refunded."]),
        ((timedelta(minutes=60),), []),
        (
            (timedelta(minutes=59), timedelta(minutes=1)),
            ["€3.00 of this order was just refunded (€5.00 within an hour)."],
        ),
        (
            (timedelta(minutes=60), timedelta(minutes=1)),
            ["€3.00 of this order was just refunded."],
        ),
    ],
)
def test_refunds_of_the_last_hour_are_warned_about(
    ago: tuple[timedelta, ...], says: list[str]
) -> None:
    sums = ("2.00", "3.00")
    refunds = tuple(
        booked(str(n), amount, at) for n, (amount, at) in enumerate(zip(sums, ago, strict=False))
    )
    found = rules.refund_advice(order(refunds=refunds), delivered=False, now=NOW)
    warned = [a.text for a in found if a.code == "just_refunded"]
    assert [text.split(" This would")[0] for text in warned] == says
