"""Differences between two states of an order, in sentences."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.snapshot import (
    Address,
    CustomerSnapshot,
    Dispute,
    OrderSnapshot,
    Refund,
    RefundTransaction,
    Return,
    Tracking,
)
from orders.versions.diff import differences
from tests.support.orders.snapshots import NOW, bag, line, order, parcel, shipped

BASE = order()
TRACKED = parcel(tracking=(Tracking(number="JD014"),))
FAILED = Refund(
    gid="r",
    created_at=NOW,
    total=bag("5.00"),
    transactions=(RefundTransaction(gid="t", status="FAILURE", amount=bag("5.00")),),
)
SECOND = parcel(gid="parcel-2", display_status="IN_TRANSIT")


def of_return(status: str) -> Return:
    return Return(gid="ret", name="#1001-R1", status=status, total_quantity=1, received_quantity=0)


CASES: list[tuple[OrderSnapshot, OrderSnapshot, list[str]]] = [
    (BASE, BASE, []),
    (BASE, order(cancelled_at=NOW, closed_at=NOW), ["Canceled"]),
    (order(cancelled_at=NOW), BASE, ["No longer canceled"]),
    (BASE, order(closed_at=NOW), ["Archived"]),
    (order(closed_at=NOW), BASE, ["Reopened"]),
    (
        BASE,
        order(refunded="20.00", financial_status="PARTIALLY_REFUNDED"),
        ["Payment: Paid → Partially refunded", "Refunded: €0.00 → €20.00"],
    ),
    (BASE, order(financial_status="ON_ICE"), ["Payment: Paid → Unknown (ON_ICE)"]),
    (
        BASE,
        order(fulfillment_status="ON_HOLD"),
        ["Fulfillment: Unfulfilled → Unfulfilled (On hold)"],
    ),
    (BASE, order(lines=(line(current_quantity=1),)), ["Mug: 2 → 1"]),
    (
        BASE,
        order(lines=(line(), line(gid="line-2", title="Bowl", variant_title="Blue"))),
        ["Added: Bowl (Blue) × 2"],
    ),
    (BASE, order(lines=()), ["Removed: Mug"]),
    (
        BASE,
        order(lines=(line(total=bag("18.00").shop),)),
        ["Mug, price: €20.00 → €18.00"],
    ),
    (
        BASE,
        shipped(TRACKED),
        ["Fulfillment: Unfulfilled → Fulfilled", "Parcel 1 added", "Tracking JD014 added"],
    ),
    (shipped(TRACKED), shipped(parcel()), ["Tracking JD014 removed"]),
    (
        shipped(parcel(display_status="IN_TRANSIT")),
        shipped(parcel(display_status="DELIVERED")),
        ["Fulfillment: In transit → Delivered"],
    ),
    (
        shipped(parcel(), SECOND),
        shipped(parcel(), replace(SECOND, display_status="DELIVERED")),
        ["Fulfillment: In transit → Fulfilled", "Parcel 2: In transit → Delivered"],
    ),
    (
        shipped(parcel(), SECOND),
        shipped(parcel()),
        ["Fulfillment: In transit → Fulfilled", "A parcel was removed"],
    ),
    (
        order(fulfillments=(parcel(),)),
        order(fulfillments=(parcel(status="CANCELLED"),)),
        ["Parcel 1: Shipped → Shipment canceled"],
    ),
    (BASE, order(refunds=(FAILED,)), ["A refund of €5.00 failed at the payment provider"]),
    # From a back-fill: whether it had failed then is not known.
    (order(refunds=(replace(FAILED, transactions=()),)), order(refunds=(FAILED,)), []),
    (BASE, order(returns=(of_return("OPEN"),)), ["Return #1001-R1: Open"]),
    (
        order(returns=(of_return("OPEN"),)),
        order(returns=(of_return("MELTED"),)),
        ["Return #1001-R1: Open → Unknown (MELTED)"],
    ),
    (
        BASE,
        order(disputes=(Dispute(gid="d", status="NEEDS_RESPONSE"),)),
        ["The customer’s bank disputed a payment"],
    ),
    (
        order(disputes=(Dispute(gid="d", status="NEEDS_RESPONSE"),)),
        order(disputes=(Dispute(gid="d", status="WON"),)),
        ["A payment dispute changed"],
    ),
    (BASE, order(shipping_address=Address(city="Bonn")), ["Shipping address changed"]),
    (BASE, order(note="Ring twice"), ["Note changed"]),
    (order(tags=("old",)), order(tags=("vip",)), ["Tag vip added", "Tag old removed"]),
    (BASE, order(email="b@example.com"), ["Email address changed"]),
    (BASE, order(phone="+491"), ["Phone number changed"]),
    (BASE, order(customer=CustomerSnapshot(gid="c", legacy_id=1)), ["Customer changed"]),
]


def test_duties_are_told_once_both_states_know_them() -> None:
    def with_duties(amount: str | None) -> OrderSnapshot:
        duties = bag(amount) if amount else None
        return replace(BASE, money=replace(BASE.money, duties=duties))

    told = differences(with_duties("5.00"), with_duties("0"))
    assert [change.text for change in told] == ["Duties: €5.00 → €0.00"]
    assert differences(with_duties(None), with_duties("5.00")) == ()


@pytest.mark.parametrize(("before", "after", "told"), CASES)
def test_each_difference_is_a_sentence(
    before: OrderSnapshot, after: OrderSnapshot, told: list[str]
) -> None:
    assert [change.text for change in differences(before, after)] == told


# Fields whose changes aren't listed: the card doesn't show them, or says the same elsewhere.
UNTOLD = {
    "gid": "the order itself",
    "legacy_id": "the order itself",
    "name": "never changes",
    "created_at": "never changes",
    "processed_at": "never changes",
    "updated_at": "no news",
    "cancel_reason": "told with the cancellation",
    "cancel_staff_note": "not shown",
    "return_status": "the returns are told",
    "is_refundable": "a rule's",
    "is_capturable": "a rule's",
    "is_restockable": "a rule's",
    "can_notify_customer": "a rule's",
    "is_test": "never changes",
    "requires_shipping": "a rule's",
    "currency": "never changes",
    "shop_currency": "never changes",
    "status_page_url": "a link",
    "billing_address": "not shown",
    "shipping_title": "not shown",
    "risk_level": "not shown",
    "are_disputes_known": "the disputes are told",
    "fulfillment_orders": "the fulfillment's status is listed",
    "transactions": "the sums are told",
    "is_edited": "the items are told",
    "added": "the items are told",
    "fees": "never changes",
    "taxes_included": "never changes",
    "duties_included": "never changes",
    "unread": "of the reading, not of the order",
    "attributes": "earlier releases did not read them",
    "discount_codes": "never change",
    "channel": "never changes",
    "payment_terms": "a back-fill does not read them",
}


def test_every_field_of_an_order_is_told_or_known_not_to_be() -> None:
    fields = {f.name for f in dataclasses.fields(OrderSnapshot)}
    changed = {
        name
        for before, after, told in CASES
        if told
        for name in fields
        if getattr(before, name) != getattr(after, name)
    }
    assert fields - changed - UNTOLD.keys() == set()


def test_the_passing_of_time_is_not_a_change() -> None:
    due = parcel(estimated_delivery_at=NOW + timedelta(days=1), display_status="IN_TRANSIT")
    later = replace(shipped(due), updated_at=NOW + timedelta(days=9))
    assert differences(shipped(due), later) == ()


ORDERS = st.builds(
    order,
    refunded=st.sampled_from(["0", "5.00", "20.00"]),
    financial_status=st.sampled_from([None, "PAID", "REFUNDED", "ON_ICE"]),
    fulfillment_status=st.sampled_from([None, "UNFULFILLED", "FULFILLED", "SCHEDULED"]),
    cancelled_at=st.sampled_from([None, NOW]),
    closed_at=st.sampled_from([None, NOW, NOW + timedelta(days=1)]),
    note=st.sampled_from(["", "Ring twice"]),
    tags=st.sampled_from([(), ("vip",), ("vip", "old")]),
    lines=st.lists(
        st.builds(line, gid=st.sampled_from(["a", "b"]), current_quantity=st.integers(0, 2)),
        max_size=2,
        unique_by=lambda found: found.gid,
    ).map(tuple),
    fulfillments=st.lists(
        st.builds(
            parcel,
            gid=st.sampled_from(["p", "q"]),
            status=st.sampled_from(["SUCCESS", "CANCELLED"]),
            display_status=st.sampled_from([None, "IN_TRANSIT", "DELIVERED"]),
            tracking=st.sampled_from([(), (Tracking(number="JD014"),)]),
        ),
        max_size=2,
        unique_by=lambda found: found.gid,
    ).map(tuple),
)


@given(ORDERS, ORDERS)
def test_a_change_and_its_reversal_are_described_alike(
    one: OrderSnapshot, other: OrderSnapshot
) -> None:
    assert differences(one, one) == ()
    there, back = (
        differences(one, other),
        differences(other, replace(one, updated_at=other.updated_at)),
    )
    assert bool(there) == bool(back)
    assert all(change.text for change in there)


@given(ORDERS, st.sampled_from(sorted(UNTOLD.keys() & {"risk_level", "shipping_title"})))
def test_changes_to_hidden_fields_are_not_listed(one: OrderSnapshot, name: str) -> None:
    changes: dict[str, Any] = {name: "X"}
    assert differences(one, replace(one, **changes)) == ()
