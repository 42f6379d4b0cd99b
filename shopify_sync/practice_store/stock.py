"""What comes back to a shop's shelves, location by location: a journal, not a level."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shopify_sync.practice_store.context import Context
from shopify_sync.practice_store.errors import UserError
from shopify_sync.practice_store.state import LineItem, Order, Shop, StockMove, gid

_PUT_BACK = frozenset({"RETURN", "CANCEL"})


def location_number(context: Context, value: str | None, field: list[str]) -> int:
    """The location of an id; of none, the one that orders are shipped from. Raises UserError."""
    if not value:
        return next(iter(context.shop.locations))
    tail = value.rsplit("/", 1)[-1]
    number = int(tail) if tail.isdigit() else 0
    if number not in context.shop.locations:
        raise UserError("Location not found.", field, "NOT_FOUND")
    return number


def put_back(
    context: Context, order: Order, line: LineItem, quantity: int, location: int, why: str
) -> None:
    context.shop.stock_moves.append(
        StockMove(
            order_number=order.number_id,
            line_number=line.number_id,
            location_number=location,
            quantity=quantity,
            why=why,
            at=context.now(),
        )
    )


def put_back_by_refund(
    context: Context, order: Order, line: LineItem, quantity: int, item: dict[str, Any]
) -> int | None:
    """A RefundLineItemInput's share of the stock; its location, None where nothing comes back."""
    if item.get("restockType") not in _PUT_BACK:
        return None
    location = location_number(context, item.get("locationId"), ["refundLineItems"])
    put_back(context, order, line, quantity, location, "refund")
    return location


def ledger(shop: Shop) -> list[dict[str, Any]]:
    """Every move, and for each line of an order how many units came back to which location."""
    sums: Counter[tuple[int, int, int]] = Counter()
    for move in shop.stock_moves:
        sums[move.order_number, move.line_number, move.location_number] += move.quantity
    return [
        {
            "order": gid("Order", order),
            "line": gid("LineItem", line),
            "location": gid("Location", location),
            "quantity": quantity,
            "by": [
                move.why
                for move in shop.stock_moves
                if (move.order_number, move.line_number) == (order, line)
                and move.location_number == location
            ],
        }
        for (order, line, location), quantity in sums.items()
    ]
