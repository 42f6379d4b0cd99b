"""What comes back to a shop's shelves, location by location: a journal, not a level."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from practice_store import quantities
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.state import (
    LineItem,
    Order,
    Shop,
    StockMove,
    gid,
)

_PUT_BACK: Final = frozenset({"RETURN", "CANCEL"})
Units = tuple[str, int, int | None]


def location_number(context: Context, value: str | None, field: list[str]) -> int:
    """The location of an id; of none, the one that orders are shipped from. Raises UserError."""
    if not value:
        return next(iter(context.shop.locations))
    tail = value.rsplit("/", 1)[-1]
    number = int(tail) if tail.isdigit() else 0
    if number not in context.shop.locations:
        raise UserError("Location not found.", field, "NOT_FOUND")
    return number


def split(order: Order, line: LineItem, quantity: int) -> list[Units]:
    """How Shopify suggests to restock units of a line that are refunded: what was not shipped
    first, to where it waits, then what was, to where it came from; (type, units, location)."""
    if not line.requires_shipping or line.is_custom:
        return [("NO_RESTOCK", quantity, None)]
    unshipped = min(quantity, quantities.unfulfilled_quantity(order, line.number_id))
    shipped = min(quantity - unshipped, quantities.kept_quantity(order, line.number_id))
    waits = [
        w.location_number
        for w in order.fulfillment_orders
        for item in w.lines
        if item.line_number == line.number_id and item.remaining_quantity
    ]
    came = [
        f.location_number
        for f in order.fulfillments
        if f.is_live
        for part in f.lines
        if part.line_number == line.number_id
    ]
    found = [
        ("CANCEL", unshipped, next(iter(waits), None)),
        ("RETURN", shipped, next(iter(came), None)),
        # Booked in through a return already.
        ("NO_RESTOCK", quantity - unshipped - shipped, None),
    ]
    return [part for part in found if part[1]]


def check_restock(
    context: Context, order: Order, lines: list[tuple[LineItem, int, dict[str, Any]]]
) -> list[int]:
    """How many units of each were shipped. Raises UserError: CANCEL is for what was not shipped,
    RETURN for what was, each with a location (the sentences are ours)."""
    unshipped = {
        li.number_id: quantities.unfulfilled_quantity(order, li.number_id) for li in order.lines
    }
    shipped = {li.number_id: quantities.kept_quantity(order, li.number_id) for li in order.lines}
    found = []
    for index, (line, quantity, item) in enumerate(lines):
        where, kind = ["refundLineItems", str(index)], item.get("restockType") or "NO_RESTOCK"
        if kind == "LEGACY_RESTOCK":
            raise UserError("Restock type is not supported", [*where, "restockType"])
        if kind in _PUT_BACK:
            if not item.get("locationId"):
                raise UserError("Location is required to restock items", [*where, "locationId"])
            location_number(context, item["locationId"], [*where, "locationId"])
        out = quantity if kind == "RETURN" else max(0, quantity - unshipped[line.number_id])
        if kind == "CANCEL" and out:
            message = "Cannot restock fulfilled items as canceled"
            raise UserError(message, [*where, "restockType"])
        if kind == "RETURN" and out > shipped[line.number_id]:
            message = "Cannot return items that have not been fulfilled"
            raise UserError(message, [*where, "restockType"])
        unshipped[line.number_id] -= quantity - out
        out = min(out, shipped[line.number_id])
        shipped[line.number_id] -= out
        found.append(out)
    return found


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
