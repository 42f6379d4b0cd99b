"""Which events follow from how an order changed between two reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orders.projection.changes import between, dated
from orders.snapshot import Dispute, FulfillmentOrder, OrderSnapshot, Refund, Return
from tests.support.orders.snapshots import NOW, bag, line, order

BASE = order(are_disputes_known=True)
SEEN = NOW + timedelta(minutes=5)


def a_return(status: str, **more: Any) -> Return:
    given: dict[str, Any] = {"total_quantity": 2, "received_quantity": 0, "created_at": NOW} | more
    return Return(gid="ret-1", name="#1001-R1", status=status, **given)


def held(*reasons: str) -> OrderSnapshot:
    work = FulfillmentOrder(gid="f-1", status="ON_HOLD", hold_reasons=reasons)
    return replace(BASE, fulfillment_orders=(work,))


def edited(*units: int, **more: Any) -> OrderSnapshot:
    lines = tuple(
        line(gid=f"line-{number}", title=f"Mug {number}", current_quantity=count)
        for number, count in enumerate(units, start=1)
    )
    return replace(BASE, lines=lines, is_edited=True, **more)


RETURNED = replace(BASE, returns=(a_return("OPEN"),))
CASES: list[tuple[OrderSnapshot, OrderSnapshot, list[tuple[str, str, str]]]] = [
    (BASE, BASE, []),
    (RETURNED, replace(BASE, returns=(a_return("CLOSED"),)), [("return", "CLOSED", "#1001-R1")]),
    # When it was opened, Shopify says itself.
    (BASE, RETURNED, []),
    (BASE, held("High risk of fraud"), [("hold", "", "High risk of fraud")]),
    (held(), BASE, [("hold", "RELEASED", "")]),
    (held(), replace(BASE, cancelled_at=NOW), []),
    (
        BASE,
        replace(BASE, disputes=(Dispute(gid="d", status="NEEDS_RESPONSE"),)),
        [("dispute", "NEEDS_RESPONSE", "")],
    ),
    # From the read on, they may be seen at all.
    (order(), replace(BASE, disputes=(Dispute(gid="d", status="LOST"),)), []),
    (BASE, replace(BASE, note="Ring twice"), [("note", "", "")]),
    (edited(2), edited(1, 3), [("edited", "", "−1 × Mug 1, +3 × Mug 2")]),
    # A refund took them off.
    (
        edited(2),
        edited(1, refunds=(Refund(gid="r", created_at=NOW, total=bag("5.00")),)),
        [],
    ),
    # Lists that were cut say nothing about what is gone.
    (held(), replace(BASE, unread=("fulfillment_orders",)), []),
    (edited(2, 1), edited(2, unread=("lines",)), []),
]


@pytest.mark.parametrize(("before", "after", "found"), CASES)
def test_a_change_is_an_event(
    before: OrderSnapshot, after: OrderSnapshot, found: list[tuple[str, str, str]]
) -> None:
    events = list(between(before, after, seen_at=SEEN))
    assert [(event.kind, event.reason, event.detail) for event in events] == found
    # The order's own time is the same, so it is the time of the read.
    assert {event.at for event in events} <= {SEEN}


def test_the_time_is_shopifys_if_the_order_changed_there() -> None:
    after = replace(held(), updated_at=NOW)
    [event] = between(BASE, after, seen_at=SEEN)
    assert event.at == NOW


def test_a_second_hold_is_another_event() -> None:
    first, second = (
        next(between(BASE, held(), seen_at=SEEN + timedelta(days=day))) for day in (0, 1)
    )
    assert first.key != second.key


def test_returns_have_the_times_that_shopify_gives() -> None:
    later = NOW + timedelta(days=2)
    back = a_return("CLOSED", received_quantity=1, received_at=later)
    shown = replace(BASE, returns=(back, replace(back, gid="ret-2", created_at=None)))
    found = [(event.reason, event.detail, event.at) for event in dated(shown)]
    assert found == [
        ("", "#1001-R1", NOW),
        ("RECEIVED", "#1001-R1 · 1/2", later),
        ("RECEIVED", "#1001-R1 · 1/2", later),
    ]
