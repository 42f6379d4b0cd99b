"""Parcels on their way back: reverse deliveries, as recorded from a real shop."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.sales import lifecycle
from practice_store.state import (
    Order,
    Return,
    ReturnLine,
    ReverseDelivery,
    ReverseDeliveryLine,
)


def create(
    context: Context,
    order: Order,
    back: Return,
    wanted: list[JsonObject],
    tracking: JsonObject | None,
    label: JsonObject | None,
) -> ReverseDelivery:
    """Create a reverse delivery for these units, or for all that the return expects. Raises
    UserError.
    """
    items = _checked(back, wanted) or [(item, item.quantity) for item in back.lines]
    found = ReverseDelivery(
        number_id=context.shop.new_id(),
        return_number=back.number_id,
        created_at=context.now(),
        label_url=(label or {}).get("fileUrl"),
        lines=[
            ReverseDeliveryLine(
                number_id=context.shop.new_id(), item_number=item.number_id, quantity=quantity
            )
            for item, quantity in items
        ],
    )
    set_tracking(found, tracking)
    back.deliveries.append(found)
    lifecycle.touch(context, order)
    return found


def set_tracking(found: ReverseDelivery, tracking: JsonObject | None) -> None:
    """Replace the tracking; without input, keep it."""
    if tracking:
        found.tracking_number = tracking.get("number")
        found.tracking_url = tracking.get("url")


def holding(order: Order, delivery: ReverseDelivery) -> Return:
    """Return the return that a reverse delivery belongs to."""
    return next(back for back in order.returns if back.number_id == delivery.return_number)


def _checked(back: Return, wanted: list[JsonObject]) -> list[tuple[ReturnLine, int]]:
    by_number = {item.number_id: item for item in back.lines}
    left = {number: item.quantity for number, item in by_number.items()}
    found = []
    for index, entry in enumerate(wanted):
        where = ["reverseDeliveryLineItems", str(index)]
        tail = entry["reverseFulfillmentOrderLineItemId"].rsplit("/", 1)[-1]
        item = by_number.get(int(tail) if tail.isdigit() else 0)
        if item is None:
            raise UserError("must exist", [*where, "reverseFulfillmentOrderLineItemId"])
        left[item.number_id] -= entry["quantity"]
        if left[item.number_id] < 0:
            message = "cannot deliver more items than are returned"
            raise UserError(message, [*where, "quantity"])
        found.append((item, entry["quantity"]))
    return found
