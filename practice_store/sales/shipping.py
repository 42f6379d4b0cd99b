"""Parcels: fulfillments, their tracking, and carrier events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import payloads
from practice_store.derived.quantities import fulfillment_status
from practice_store.errors import UserError
from practice_store.sales import lifecycle
from practice_store.state import (
    Fulfillment,
    FulfillmentEvent,
    FulfillmentLine,
    FulfillmentOrder,
    Order,
    Tracking,
)


def ship(
    context: Context,
    order: Order,
    work: FulfillmentOrder,
    quantities: dict[int, int] | None,
    tracking: list[Tracking],
) -> Fulfillment:
    """Ship a parcel of a fulfillment order. Raises UserError.

    `quantities` go by the fulfillment order line's ID; None ships all that is left.
    """
    chosen = []
    for item in work.lines:
        quantity = (
            item.remaining_quantity if quantities is None else quantities.get(item.number_id, 0)
        )
        if quantity > item.remaining_quantity:
            raise UserError(
                "Invalid fulfillment order line item quantity requested.", ["fulfillment"]
            )
        if quantity:
            chosen.append((item, quantity))
    if work.status in {"CLOSED", "CANCELLED"} or not chosen:
        message = f"Fulfillment order {work.number_id} has an unfulfillable status= {work.status.lower()}."
        raise UserError(message, ["fulfillment"])
    now = context.now()
    parcel = Fulfillment(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        name=f"{order.name}-F{len(order.fulfillments) + 1}",
        created_at=now,
        updated_at=now,
        tracking=tracking,
        location_number=work.location_number,
    )
    for item, quantity in chosen:
        item.remaining_quantity -= quantity
        parcel.lines.append(
            FulfillmentLine(
                number_id=context.shop.new_id(), line_number=item.line_number, quantity=quantity
            )
        )
    work.status = "IN_PROGRESS" if any(i.remaining_quantity for i in work.lines) else "CLOSED"
    order.fulfillments.append(parcel)
    context.emit("fulfillments/create", payloads.fulfillment(order, parcel))
    whole = fulfillment_status(order) == "FULFILLED"
    lifecycle.archive_if_done(context, order)
    lifecycle.touch(context, order, "orders/fulfilled" if whole else "orders/partially_fulfilled")
    return parcel


def cancel(context: Context, order: Order, parcel: Fulfillment) -> None:
    """Undo a shipment; its goods count as unshipped again. Repeating it changes nothing."""
    if parcel.status == "CANCELLED":
        return  # a repeat succeeds and changes nothing
    parcel.status, parcel.display_status = "CANCELLED", "CANCELED"
    parcel.updated_at = context.now()
    for work in order.fulfillment_orders:
        for item in work.lines:
            for part in parcel.lines:
                if part.line_number == item.line_number:
                    item.remaining_quantity += part.quantity
        if work.status == "CLOSED" and any(i.remaining_quantity for i in work.lines):
            work.status = "OPEN"
    context.emit("fulfillments/update", payloads.fulfillment(order, parcel))
    lifecycle.touch(context, order)


def set_tracking(
    context: Context, order: Order, parcel: Fulfillment, tracking: list[Tracking]
) -> None:
    """Replace a parcel's tracking."""
    parcel.tracking = tracking
    parcel.updated_at = context.now()
    context.emit("fulfillments/update", payloads.fulfillment(order, parcel))


def add_event(
    context: Context,
    order: Order,
    parcel: Fulfillment,
    *,
    status: str,
    happened_at: datetime | None = None,
    estimated_delivery_at: datetime | None = None,
    **details: Any,
) -> FulfillmentEvent:
    """Record a carrier's report. Canceled parcels accept events too, but ignore them."""
    now = context.now()
    event = FulfillmentEvent(
        number_id=context.shop.new_id(),
        fulfillment_number=parcel.number_id,
        status=status,
        happened_at=happened_at or now,
        created_at=now,
        estimated_delivery_at=estimated_delivery_at,
        **details,
    )
    parcel.events.append(event)
    parcel.updated_at = now
    if parcel.is_live:
        parcel.display_status = status
        parcel.estimated_delivery_at = estimated_delivery_at or parcel.estimated_delivery_at
        if status == "IN_TRANSIT":
            parcel.in_transit_at = event.happened_at
        parcel.delivered_at = (
            event.happened_at if status in {"DELIVERED", "PICKED_UP"} else parcel.delivered_at
        )
    context.emit("fulfillment_events/create", payloads.fulfillment_event(order, event))
    context.emit("fulfillments/update", payloads.fulfillment(order, parcel))
    return event


def tracking_of(data: JsonObject | None) -> list[Tracking]:
    """Return the tracking list of a FulfillmentTrackingInput."""
    data = data or {}
    numbers = data.get("numbers") or ([data["number"]] if data.get("number") else [])
    urls = data.get("urls") or ([data["url"]] if data.get("url") else [])
    count = max(len(numbers), len(urls))
    return [
        Tracking(
            number=numbers[i] if i < len(numbers) else None,
            url=urls[i] if i < len(urls) else None,
            company=data.get("company"),
        )
        for i in range(count)
    ]
