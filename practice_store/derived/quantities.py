"""Pure functions: how many units are shipped, unfulfilled, kept by the customer, and refundable."""

from __future__ import annotations

from typing import Final

from practice_store.derived import order_sums
from practice_store.state import (
    Fulfillment,
    Order,
)

# The first API version that reports FULFILLMENT_NOT_REQUIRED for an order canceled unshipped.
_NOT_REQUIRED_SINCE: Final = "2026-10"


def fulfillment_status(order: Order, api_version: str = _NOT_REQUIRED_SINCE) -> str:
    """Return Shopify's displayFulfillmentStatus, as this API version reports it."""
    if (
        order.cancelled_at
        and api_version >= _NOT_REQUIRED_SINCE
        and not any(f.is_live for f in order.fulfillments)
    ):
        return "FULFILLMENT_NOT_REQUIRED"
    for work in order.fulfillment_orders:
        if work.status in {"ON_HOLD", "SCHEDULED"}:
            return work.status
    goods = [line for line in order.lines if line.requires_shipping]
    if not goods:
        done = any(f.is_live for f in order.fulfillments)
        digital = order.lines and order_sums.received(order) > 0
        return "FULFILLED" if done or digital else "UNFULFILLED"
    shipped = sum(shipped_quantity(order, line.number_id) for line in goods)
    open_quantity = sum(unfulfilled_quantity(order, line.number_id) for line in goods)
    if shipped == 0:
        busy = any(work.status == "IN_PROGRESS" for work in order.fulfillment_orders)
        return "IN_PROGRESS" if busy else "UNFULFILLED"
    return "PARTIALLY_FULFILLED" if open_quantity else "FULFILLED"


def shipped_quantity(order: Order, line_number: int) -> int:
    """Return the units in parcels that weren't canceled and haven't failed."""
    return sum(
        part.quantity
        for fulfillment in order.fulfillments
        if fulfillment.is_live
        for part in fulfillment.lines
        if part.line_number == line_number
    )


def unfulfilled_quantity(order: Order, line_number: int) -> int:
    """Return the units still to ship; zero for canceled orders and digital goods."""
    line = order.line(line_number)
    if order.cancelled_at:
        return 0
    if not line.requires_shipping:
        return 0
    return max(0, line.current_quantity - kept_quantity(order, line_number))


def kept_quantity(order: Order, line_number: int) -> int:
    """Return shipped units that were neither refunded nor taken back by processing a return."""
    back = sum(
        item.processed
        for found in order.returns
        for item in found.lines
        if item.line_number == line_number
    )
    back += order.line(line_number).refunded_shipped
    return max(0, shipped_quantity(order, line_number) - back)


def refundable_quantity(order: Order, line_number: int) -> int:
    """Return the units that can be refunded.

    Includes units processed through a return without a refund: they are off the order, but their
    money isn't.
    """
    line = order.line(line_number)
    return max(0, line.current_quantity + line.returned)


def is_delivered(fulfillment: Fulfillment) -> bool:
    """Return whether the carrier reported the delivery or pickup."""
    return fulfillment.delivered_at is not None
