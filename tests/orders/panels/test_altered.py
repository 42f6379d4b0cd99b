"""Each unit that is gone from an order has exactly one reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.panels import line_changes
from orders.panels.line_changes import Gone
from orders.snapshot import ExchangeItem, LineQuantity, OrderSnapshot, Refund, Return, ReturnLine
from tests.support.orders.snapshots import NOW, bag, line, order


def refund(units: int, return_gid: str = "") -> Refund:
    lines = (LineQuantity(line_gid="line-1", quantity=units),) if units else ()
    return Refund(gid="r", created_at=NOW, total=bag("1"), lines=lines, return_gid=return_gid)


def a_return(units: int, status: str = "OPEN", refunded: int = 0, **more: Any) -> Return:
    """Processed, all of it."""
    back = ReturnLine(line_gid="line-1", quantity=units, processed=units, refunded=refunded)
    return Return(
        gid="ret",
        name="#1001-R1",
        status=status,
        total_quantity=units,
        received_quantity=0,
        lines=(back,),
        **more,
    )


def of(left: int, all_: int = 3, **more: Any) -> OrderSnapshot:
    return order(lines=(line(quantity=all_, current_quantity=left),), **more)


CASES = [
    (of(3), Gone(), ()),
    (of(1, refunds=(refund(2),)), Gone(refunded=2), ("2 of 3 refunded",)),
    (of(0), Gone(removed=3), ("Removed",)),
    (of(2), Gone(removed=1), ("1 of 3 removed",)),
    (
        of(0, refunds=(refund(1),)),
        Gone(refunded=1, removed=2),
        ("1 of 3 refunded", "2 of 3 removed"),
    ),
    (of(2, returns=(a_return(1),)), Gone(returned=1), ("1 of 3 returned",)),
    (of(2, returns=(a_return(1, "DECLINED"),)), Gone(removed=1), ("1 of 3 removed",)),
    # Refunded through its return: told once.
    (
        of(2, returns=(a_return(1, refunded=1),), refunds=(refund(1, "ret"),)),
        Gone(refunded=1),
        ("1 of 3 refunded",),
    ),
    (of(0, refunds=(refund(3),)), Gone(refunded=3), ("Refunded",)),
    # The cancellation took the rest.
    (
        of(0, cancelled_at=NOW, refunds=(refund(1),)),
        Gone(refunded=1, removed=2),
        ("1 of 3 refunded", "Canceled"),
    ),
    # More came back than is gone: Shopify's count of what is left is the truth.
    (of(3, refunds=(refund(2),)), Gone(), ()),
]


@pytest.mark.parametrize(("snapshot", "gone", "words"), CASES)
def test_why_units_are_gone(snapshot: OrderSnapshot, gone: Gone, words: tuple[str, ...]) -> None:
    only = snapshot.lines[0]
    assert line_changes.gone(snapshot, only) == gone
    assert line_changes.describe(snapshot, only, is_partial=False) == words


@given(
    all_=st.integers(0, 9),
    left=st.integers(0, 9),
    refunded=st.integers(0, 12),
    back=st.integers(0, 12),
    through=st.booleans(),
)
def test_every_unit_has_one_reason(
    all_: int, left: int, refunded: int, back: int, through: bool
) -> None:
    snapshot = of(
        left, all_, refunds=(refund(refunded, "ret" if through else ""),), returns=(a_return(back),)
    )
    found = line_changes.gone(snapshot, snapshot.lines[0])
    assert min(found.refunded, found.returned, found.removed) >= 0
    assert found.refunded + found.returned + found.removed == max(0, all_ - left)


def test_a_back_fill_does_not_tell_why() -> None:
    snapshot = of(1)
    assert line_changes.describe(snapshot, snapshot.lines[0], is_partial=True) == ("1 of 3 left",)


def test_a_line_that_was_swapped_by_an_edit() -> None:
    old = line(gid="old", title="Coat", quantity=1, current_quantity=0)
    new = line(gid="new", title="Jacket", quantity=2, current_quantity=2)
    snapshot = order(
        lines=(old, new), is_edited=True, added=(LineQuantity(line_gid="new", quantity=2),)
    )
    assert line_changes.swaps(snapshot) == ("Swapped: 2 × Jacket instead of Coat",)
    assert line_changes.describe(snapshot, old, is_partial=False) == ("Removed",)
    assert line_changes.describe(snapshot, new, is_partial=False) == ("Added later",)
    assert line_changes.was_altered(snapshot)
    # Added alone, or removed alone, is no swap.
    assert line_changes.swaps(replace(snapshot, added=())) == ()


def test_an_exchange_names_both_sides() -> None:
    old = line(title="Shoes", quantity=1, current_quantity=0)
    new = line(gid="new", title="Boots", quantity=1, current_quantity=1)
    given_ = (ExchangeItem(title="Boots · 42", quantity=1, line_gids=("new",)),)
    snapshot = order(
        lines=(old, new),
        returns=(a_return(1, exchanges=given_),),
        added=(LineQuantity(line_gid="new", quantity=1),),
    )
    assert line_changes.swaps(snapshot) == ("Exchange: Boots · 42 instead of Shoes",)
    assert line_changes.describe(snapshot, old, is_partial=False) == ("Returned",)
    assert line_changes.describe(snapshot, new, is_partial=False) == ("Exchange item",)
    assert line_changes.was_altered(snapshot)
    declined = replace(snapshot, returns=(a_return(1, "DECLINED", exchanges=given_),))
    assert line_changes.swaps(declined) == ()
