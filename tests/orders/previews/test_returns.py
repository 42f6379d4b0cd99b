"""What returns say, and what a refund through a return restocks: pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.actions.progress import (
    LATE_COMMIT,
    Contradiction,
    Settled,
    ToSend,
    Waiting,
    is_evident,
    next_move,
    refund_of,
)
from orders.models import ActionKind, ActionState, OrderAction
from orders.previews.return_refunds import (
    ThroughReturn,
    through,
)
from orders.shopify_port import Goal, Job, Place
from orders.snapshot import LineQuantity, OrderSnapshot, Refund, Return, ReturnLine, ReverseLine
from orders.statuses import return_units
from orders.statuses.return_units import (
    Receipt,
    Units,
)
from shopify_sync.mapping.returns import a_return
from tests.support.orders.snapshots import NOW, bag, line, order

MARK = "[ax:0123456789]"


def back(*, status: str = "OPEN", received: int = 0, total: int = 2, **changes: Any) -> Return:
    """Two units of line-1 on their way back; so many have arrived and are back in stock."""
    item = ReturnLine(
        line_gid="line-1",
        quantity=total,
        gid="item-1",
        part_gid="part-1",
        received=received,
        restocked=received,
    )
    reverse = ReverseLine(gid="rev-1", part_gid="part-1", quantity=total, booked=received)
    base = Return(
        gid="ret-1",
        name="#1-R1",
        status=status,
        total_quantity=total,
        received_quantity=received,
        lines=(item,),
        reverse_lines=(reverse,),
    )
    return replace(base, **changes)


def with_returns(*found: Return, quantity: int = 2, **changes: Any) -> OrderSnapshot:
    goods = line(
        gid="line-1",
        quantity=quantity,
        current_quantity=quantity,
        refundable_quantity=quantity,
        unfulfilled_quantity=0,
    )
    return order(lines=(goods,), returns=found, **changes)


def of(quantity: int) -> tuple[LineQuantity, ...]:
    return (LineQuantity(line_gid="line-1", quantity=quantity),)


@pytest.mark.parametrize(
    ("status", "received", "expected"),
    [
        ("REQUESTED", 0, Receipt.REQUESTED),
        ("OPEN", 0, Receipt.AWAITED),
        ("OPEN", 1, Receipt.PARTLY),
        ("OPEN", 2, Receipt.RECEIVED),
        ("CLOSED", 2, Receipt.OVER),
        ("CANCELED", 0, Receipt.OVER),
        ("ON_ICE", 2, Receipt.OVER),
    ],
)
def test_how_far_the_goods_have_come(status: str, received: int, expected: Receipt) -> None:
    assert return_units.receipt(back(status=status, received=received)) == expected


def test_a_return_of_no_units_is_not_received_whole() -> None:
    """Units can be taken off a return; more than nothing of them may be here all the same."""
    assert return_units.receipt(back(received=1, total=0)) == Receipt.PARTLY


def test_units_belong_to_a_return_or_to_none() -> None:
    snapshot = with_returns(back(received=1), quantity=5)
    assert return_units.beside(snapshot) == {"line-1": 3}
    assert return_units.limits(snapshot, "ret-1") == {"line-1": 2}
    assert return_units.limits(snapshot, "gone") == {}
    assert return_units.preselected(snapshot, "ret-1") == {"line-1": 1}
    assert return_units.preselected(snapshot, "") == {"line-1": 3}
    assert return_units.meant(snapshot, of(2)) == snapshot.returns[0]
    assert return_units.meant(snapshot, of(3)) is None
    assert not return_units.touches_open(snapshot, of(3))
    assert return_units.touches_open(snapshot, of(4))


def test_the_return_with_the_most_here_is_meant_first() -> None:
    one, two, three = (
        back(gid="a", name="#1-R1"),
        back(gid="b", name="#1-R2", received=2),
        back(gid="c", name="#1-R3", received=1),
    )
    snapshot = with_returns(one, two, three, quantity=6)
    assert return_units.suggested(snapshot) == two
    assert return_units.meant(snapshot, of(2)) == two
    done = replace(two, lines=(replace(two.lines[0], refunded=2),))
    assert return_units.suggested(with_returns(one, done, three)) == three
    assert return_units.suggested(with_returns()) is None


def test_only_ended_returns_leave_something_on_the_shelf() -> None:
    assert return_units.on_shelf(with_returns(back(received=2))) == {}
    closed = back(status="CLOSED", received=2)
    assert return_units.on_shelf(with_returns(closed)) == {"line-1": 2}
    paid = replace(closed, lines=(replace(closed.lines[0], refunded=2),))
    assert return_units.on_shelf(with_returns(paid)) == {}


@given(st.data())
def test_nothing_is_processed_or_booked_in_twice(data: st.DataObject) -> None:
    quantity = data.draw(st.integers(1, 9))
    processed = data.draw(st.integers(0, quantity))
    received = data.draw(st.integers(0, quantity))
    missing = data.draw(st.integers(0, quantity - received))
    refunded = data.draw(st.integers(0, quantity))
    item = ReturnLine(
        line_gid="line-1",
        quantity=quantity,
        gid="i",
        part_gid="p",
        processed=processed,
        received=received,
        missing=missing,
        refunded=refunded,
    )
    chosen = data.draw(st.integers(0, quantity - refunded))
    units = Units(item, chosen)
    assert 0 <= return_units.to_process(units) <= min(chosen, quantity - processed)
    assert 0 <= return_units.to_book(units) <= min(chosen, quantity - received - missing)
    if chosen == quantity - refunded and refunded == 0:
        # All of it: unprocessed units are processed, and those not booked in are booked in.
        assert return_units.to_process(units) == quantity - processed
        assert return_units.to_book(units) == quantity - received - missing


def booked(
    found: Return,
    quantity: int,
    *,
    returned: str = "received",
    restock: bool = True,
    **changes: Any,
) -> ThroughReturn:
    snapshot = with_returns(found, **changes)
    places = {"line-1": Place("loc-1", "Main")}
    return through(found, snapshot, of(quantity), returned=returned, restock=restock, places=places)


def test_only_received_units_that_are_not_booked_in_are_booked_in() -> None:
    found = booked(back(received=1), 2)
    [unit] = found.units
    assert (unit.gid, unit.quantity) == ("item-1", 2)
    assert [(b.reverse_gid, b.quantity, b.kind, b.location_gid) for b in unit.bookings] == [
        ("rev-1", 1, "RESTOCKED", "loc-1")
    ]
    assert (found.booked_before, found.restocked_before, found.left) == (1, 1, 0)

    assert booked(back(received=2), 2).bookings == ()
    assert booked(back(), 2, returned="not_needed").bookings == ()
    kept_out = booked(back(), 1, restock=False)
    assert [b.kind for b in kept_out.bookings] == ["NOT_RESTOCKED"]
    assert kept_out.left == 1


@pytest.mark.parametrize(("refunded", "restocked_before"), [(0, 1), (1, 1), (2, 0)])
def test_units_refunded_before_were_restocked_with_their_own_refund(
    refunded: int, restocked_before: int
) -> None:
    """Two units came back and were restocked; this refund is for one more of three."""
    here = back(received=2, total=3)
    item = replace(here.lines[0], refunded=refunded)
    assert booked(replace(here, lines=(item,)), 1).restocked_before == restocked_before


def test_units_processed_before_are_only_paid_for() -> None:
    item = replace(back().lines[0], processed=2)
    found = booked(back(lines=(item,), received_quantity=2), 2)
    assert found.units == ()
    assert found.left == 0


def test_lines_of_one_parcels_line_share_what_was_booked_in() -> None:
    """Shopify books in by fulfillment line, and a return may have two of them."""
    part = {"id": "part-1", "lineItem": {"id": "line-1"}}
    found = a_return(
        {
            "id": "ret-1",
            "status": "OPEN",
            "totalQuantity": 3,
            "returnLineItems": {
                "nodes": [
                    {"id": "a", "quantity": 1, "fulfillmentLineItem": part},
                    {"id": "b", "quantity": 2, "fulfillmentLineItem": part},
                    {"id": "unverified", "quantity": 1},
                ]
            },
            "reverseFulfillmentOrders": {
                "nodes": [
                    {
                        "lineItems": {
                            "nodes": [
                                {
                                    "id": "rev-1",
                                    "totalQuantity": 3,
                                    "fulfillmentLineItem": {"id": "part-1"},
                                    "dispositions": [
                                        {"type": "RESTOCKED", "quantity": 2},
                                        {"type": "MISSING", "quantity": 1},
                                    ],
                                }
                            ]
                        }
                    }
                ]
            },
        }
    )
    told = [(li.gid, li.received, li.restocked, li.missing) for li in found.lines]
    assert told == [("a", 1, 1, 0), ("b", 1, 1, 1)]
    assert (found.received_quantity, found.reverse_lines[0].booked) == (2, 3)


# --- the engine -----------------------------------------------------------------------------


def action(sent: str = "unsent", *, ago: timedelta = timedelta(seconds=5)) -> OrderAction:
    """20.00 through ret-1. `sent`: "unsent", "doubtful" or "accepted"."""
    at = None if sent == "unsent" else NOW - ago
    return OrderAction(
        kind=ActionKind.REFUND,
        amount=Decimal("20.00"),
        currency="EUR",
        marker=MARK[4:-1],
        steps=[{"goal": Goal.RETURN, "target": "ret-1"}],
        proposal={"facts": {"refunded": "0.00 EUR"}, "through": {"refunds_before": ["old"]}},
        step=0,
        accepted_steps=int(sent == "accepted"),
        step_first_sent_at=at,
        step_last_sent_at=at,
        maybe_applied=at is not None,
        is_doubtful=sent == "doubtful",
    )


def refund(gid: str = "new", note: str = f"Why {MARK}", **changes: Any) -> Refund:
    base = Refund(gid=gid, created_at=NOW, note=note, total=bag("20.00"), return_gid="ret-1")
    return replace(base, **changes)


def move(found: OrderAction, *refunds: Refund) -> Any:
    total = str(sum((r.total.presentment.amount for r in refunds), Decimal(0)))
    snapshot = with_returns(back(), paid="40.00", refunded=total, refunds=refunds)
    return next_move(found, snapshot, job=Job.NONE, now=NOW)


def test_it_is_sent_once_and_never_again_in_doubt() -> None:
    assert move(action()) == ToSend(0)
    waiting = move(action("doubtful"))
    assert isinstance(waiting, Waiting)
    assert waiting.is_in_doubt
    later = move(action("doubtful", ago=LATE_COMMIT))
    assert isinstance(later, Contradiction)
    assert "won’t be sent again" in later.message


def test_its_marker_is_proof_and_a_colleagues_refund_is_none() -> None:
    done = move(action("doubtful"), refund())
    assert done == Settled(ActionState.SUCCEEDED, refund_gid="new")
    assert isinstance(move(action("doubtful"), refund(note="")), Contradiction)
    rejected = move(action(), refund(note=""))
    assert isinstance(rejected, Settled)
    assert rejected.state == ActionState.REJECTED


@pytest.mark.parametrize(
    ("others", "is_found"),
    [
        ([refund(note="")], True),
        ([refund("old", note="")], False),
        ([refund(note="by [ax:ffffffffff]")], False),
        ([refund(note="", return_gid="")], False),
        ([refund(note="", return_gid="ret-2")], False),
        ([refund(note="", total=bag("5.00"))], False),
        ([refund(note=""), refund("newer", note="")], False),
    ],
)
def test_once_accepted_the_one_new_refund_through_the_return_is_its_own(
    others: list[Refund], is_found: bool
) -> None:
    snapshot = with_returns(back(), refunds=tuple(others))
    found = action("accepted")
    assert (refund_of(found, snapshot) is not None) == is_found
    assert is_evident(found, snapshot) == is_found
    if not is_found:
        assert isinstance(move(found, *others), Waiting)
    assert refund_of(action("doubtful"), snapshot) is None


def test_units_are_taken_from_lines_of_the_chosen_item_only() -> None:
    mine = ReturnLine(line_gid="line-1", quantity=2, gid="item-1", part_gid="part-1")
    # It is here, so it would come first if it counted.
    other = ReturnLine(line_gid="line-2", quantity=2, gid="item-2", part_gid="part-2", received=2)
    both = back(lines=(other, mine))
    assert return_units.take(both, of(1)) == (Units(mine, 1),)
