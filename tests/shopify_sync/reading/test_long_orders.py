"""Orders with more lines than one response holds are never judged by their first page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from orders import previews, rules
from orders.models import Order, Store
from shopify_sync import mapping
from shopify_sync.reading import orders
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
LINES = 120


def long_order(shop: Shop) -> Any:
    return shop.place(items=tuple((f"Item {n}", "1.00", 1 + n % 3) for n in range(LINES)))


def test_every_line_of_every_page_counts(shop: Shop, store: Store, seen: Seen) -> None:
    long_order(shop)
    order = seen()
    snapshot = order.snapshot
    assert [line.title for line in snapshot.lines] == [f"Item {n}" for n in range(LINES)]
    assert [line.quantity for line in snapshot.lines] == [1 + n % 3 for n in range(LINES)]
    assert len({line.gid for line in snapshot.lines}) == LINES
    assert sum(line.refundable_quantity for line in snapshot.lines) == 2 * LINES
    facts = previews.facts(snapshot)
    assert facts["lines"].count(",") == LINES - 1
    assert order.orderlines.count() == LINES


def test_a_line_of_the_last_page_keeps_an_order_undelivered(
    shop: Shop, store: Store, seen: Seen
) -> None:
    """All lines count toward delivery, and the last one here isn't shipped yet."""
    long_order(shop)
    snapshot = seen().snapshot
    last = snapshot.lines[-1]
    assert last.unfulfilled_quantity > 0
    assert not rules.is_delivered(snapshot, now=timezone.now())


def test_a_page_that_is_missing_ends_nothing_early() -> None:
    """Each page is asked for after the one before it, until Shopify says that there is none."""
    pages = {
        "a": {"nodes": [{"id": "3"}], "pageInfo": {"hasNextPage": True, "endCursor": "b"}},
        "b": {"nodes": [{"id": "4"}], "pageInfo": {"hasNextPage": False, "endCursor": "c"}},
    }
    first: dict[str, Any] = {
        "nodes": [{"id": "1"}, {"id": "2"}],
        "pageInfo": {"hasNextPage": True, "endCursor": "a"},
    }
    asked: list[tuple[str, dict[str, Any]]] = []
    made: list[Any] = []

    class Reader:
        extras: dict[str, bool] = {}
        kept_alive = 0

        def keep_alive(self) -> None:
            self.kept_alive += 1

        def read(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
            asked.append((name, variables))
            if name == "OrderForPanel":
                return {"order": {"lineItems": first, "updatedAt": "now"}}
            if name == "OrderVersion":
                return {"order": {"updatedAt": "now"}}
            return {"order": {"lineItems": pages[variables["after"]]}}

    def keep(data: dict[str, Any]) -> dict[str, Any]:
        made.append(data)
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping, "order_snapshot", keep)
        reader = Reader()
        orders.read_snapshot(reader, "gid")  # type: ignore[arg-type]
    assert asked == [
        ("OrderForPanel", {"id": "gid"}),
        ("OrderLines", {"id": "gid", "after": "a"}),
        ("OrderLines", {"id": "gid", "after": "b"}),
        ("OrderVersion", {"id": "gid"}),
    ]
    assert reader.kept_alive == 3
    assert [node["id"] for node in made[0]["lineItems"]["nodes"]] == ["1", "2", "3", "4"]
