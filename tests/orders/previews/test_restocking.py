"""How refunded units go back to stock: split by what was shipped, each with its location."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import ActionRefused
from orders.previews.restocking import Restock, restocks, sentences
from orders.shopify_port import (
    Place,
    SuggestedLine,
)
from orders.snapshot import LineQuantity
from tests.support.orders.snapshots import line, order
from tests.support.orders.stored import eur

SHELF, WAREHOUSE = Place("place-1", "Shelf"), Place("place-2", "Warehouse")


def part(quantity: int, restock: str, place: Place | None) -> SuggestedLine:
    zero = eur("0")
    return SuggestedLine(
        line_gid="line-1", quantity=quantity, subtotal=zero, tax=zero, restock=restock, place=place
    )


def split(units: int, unshipped: int, chosen: int, *parts: SuggestedLine, **more: Any) -> Any:
    tile = line(
        quantity=units,
        current_quantity=units,
        refundable_quantity=units,
        unfulfilled_quantity=unshipped,
        **more,
    )
    found = restocks(
        order(lines=(tile,)), (LineQuantity(line_gid="line-1", quantity=chosen),), parts
    )
    return [(r.quantity, r.kind, r.place_gid) for r in found]


def test_shopifys_own_split_is_taken() -> None:
    """Shopify's split is kept where it fits what was shipped."""
    found = split(5, 2, 4, part(2, "CANCEL", WAREHOUSE), part(2, "RETURN", SHELF))
    assert found == [(2, "CANCEL", "place-2"), (2, "RETURN", "place-1")]
    assert split(5, 2, 3, part(3, "RETURN", SHELF)) == [(3, "RETURN", "place-1")]


@pytest.mark.parametrize("said", ["RETURN", "CANCEL", "SOMETHING_NEW"])
def test_what_cannot_be_is_split_by_what_was_shipped(said: str) -> None:
    """Shipped units are never restocked as canceled, nor unshipped ones as returned."""
    assert split(5, 2, 5, part(5, said, SHELF)) == [
        (2, "CANCEL", "place-1"),
        (3, "RETURN", "place-1"),
    ]


def test_each_way_back_has_its_own_location() -> None:
    found = split(5, 1, 5, part(2, "CANCEL", WAREHOUSE), part(3, "RETURN", SHELF))
    assert found == [(1, "CANCEL", "place-2"), (4, "RETURN", "place-1")]


@pytest.mark.parametrize("more", [{"restockable": False}, {}])
def test_what_has_no_stock_is_not_restocked(more: dict[str, Any]) -> None:
    found = split(2, 0, 2, part(2, "RETURN" if more else "NO_RESTOCK", None), **more)
    assert found == [(2, "NO_RESTOCK", "")]


@pytest.mark.parametrize("parts", [(), (part(2, "RETURN", None),)])
def test_without_a_location_it_is_refused_before_anything_is_confirmed(parts: Any) -> None:
    with pytest.raises(ActionRefused) as refusal:
        split(2, 0, 2, *parts)
    assert refusal.value.refusal.code == "restock_place"


@given(st.data(), st.integers(1, 20))
def test_all_units_are_accounted_for_whatever_is_suggested(data: st.DataObject, units: int) -> None:
    unshipped = data.draw(st.integers(0, units))
    chosen = data.draw(st.integers(1, units))
    kinds = st.sampled_from(["RETURN", "CANCEL", "NO_RESTOCK", "LEGACY_RESTOCK", ""])
    parts = data.draw(
        st.lists(st.builds(part, st.integers(0, 20), kinds, st.just(SHELF)), min_size=1, max_size=4)
    )
    if all(p.quantity == 0 for p in parts):
        return
    found = split(units, unshipped, chosen, *parts)
    assert sum(quantity for quantity, _kind, _place in found) == chosen
    counts = dict.fromkeys(("RETURN", "CANCEL", "NO_RESTOCK"), 0)
    for quantity, kind, place in found:
        assert quantity > 0
        assert bool(place) == (kind != "NO_RESTOCK")
        counts[kind] += quantity
    assert counts["CANCEL"] <= unshipped
    assert counts["RETURN"] <= units - unshipped


def test_people_read_what_happens_to_the_stock() -> None:
    parts = [
        Restock(line_gid="a", quantity=1, kind="CANCEL", place_gid="p", place="Warehouse"),
        Restock(line_gid="a", quantity=2, kind="RETURN", place_gid="q", place="Shelf"),
        Restock(line_gid="b", quantity=1, kind="RETURN", place_gid="q", place="Shelf"),
        Restock(line_gid="c", quantity=1, kind="NO_RESTOCK"),
    ]
    assert sentences(parts) == [
        "1 unshipped item will be restocked at Warehouse",
        "3 items will be restocked at Shelf",
        "1 item won’t be restocked",
    ]
