"""Units put back on the shelves, per location: a journal of moves, not stock levels."""

from __future__ import annotations

from collections import Counter
from typing import Final

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import quantities
from practice_store.errors import UserError
from practice_store.state import LineItem, Order, Shop, StockMove, gid

_PUT_BACK: Final = frozenset({"RETURN", "CANCEL"})
Units = tuple[str, int, int | None]


def location_number(context: Context, value: str | None, field: list[str]) -> int:
    """Return the location of a global ID; without one, where orders ship from. Raises UserError."""
    if not value:
        return next(iter(context.shop.locations))
    tail = value.rsplit("/", 1)[-1]
    number = int(tail) if tail.isdigit() else 0
    if number not in context.shop.locations:
        raise UserError("Location not found.", field, "NOT_FOUND")
    return number


def split(order: Order, line: LineItem, quantity: int) -> list[Units]:
    """Return how Shopify suggests restocking refunded units, as (type, units, location).

    Unshipped units come first and go to where they wait; then shipped ones, to where they came
    from.
    """
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
        # Already booked in through a return.
        ("NO_RESTOCK", quantity - unshipped - shipped, None),
    ]
    return [part for part in found if part[1]]


def check_restock(
    context: Context, order: Order, lines: list[tuple[LineItem, int, JsonObject]]
) -> list[int]:
    """Return how many units of each line had been shipped. Raises UserError.

    CANCEL is for unshipped units and RETURN for shipped ones; both need a location. The messages
    are ours, not Shopify's.
    """
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
    """Record units that came back to a location; `why` is "refund", "return" or "cancel"."""
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
    context: Context, order: Order, line: LineItem, quantity: int, item: JsonObject
) -> int | None:
    """Restock a RefundLineItemInput; return its location, or None if nothing comes back."""
    if item.get("restockType") not in _PUT_BACK:
        return None
    location = location_number(context, item.get("locationId"), ["refundLineItems"])
    put_back(context, order, line, quantity, location, "refund")
    return location


def ledger(shop: Shop) -> list[JsonObject]:
    """Return, for each line and location, how many units came back and by which moves."""
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
