"""Placing, archiving and deleting orders: what a shop does, no matter who asks for it.

GraphQL mutations, the staff page and the seeder all go through here, so that they book the same way
and send the same webhooks.
"""

from __future__ import annotations

from practice_store.context import Context
from practice_store.derived import order_sums, payloads, quantities
from practice_store.state import FulfillmentOrder, FulfillmentOrderLine, Order


def touch(context: Context, order: Order, *topics: str) -> None:
    """Mark the order as changed: stamp it and emit the topics, orders/updated last."""
    context.changed.add(order.number_id)
    order.updated_at = max(context.now(), order.updated_at)
    for topic in (*topics, "orders/updated"):
        context.emit(topic, payloads.order(context.shop, order))


def place(context: Context, order: Order) -> None:
    """Add a fully described order to the shop, with its fulfillment order and webhooks."""
    context.shop.orders[order.number_id] = order
    goods = [line for line in order.lines if line.requires_shipping]
    if goods and not order.fulfillment_orders:
        order.fulfillment_orders.append(_fulfillment_order(context, order))
    touch(context, order, "orders/create")
    if order_sums.financial_status(order) == "PAID":
        context.emit("orders/paid", payloads.order(context.shop, order))
    if customer := context.shop.customers.get(order.customer_number or 0):
        is_new = customer.created_at == customer.updated_at >= order.created_at
        customer.updated_at = max(context.now(), customer.updated_at)
        topic = "customers/create" if is_new else "customers/update"
        context.emit(topic, payloads.customer(customer))


def _fulfillment_order(context: Context, order: Order) -> FulfillmentOrder:
    return FulfillmentOrder(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        created_at=order.created_at,
        updated_at=order.created_at,
        lines=[
            FulfillmentOrderLine(
                number_id=context.shop.new_id(),
                line_number=line.number_id,
                total_quantity=line.quantity,
                remaining_quantity=line.quantity,
            )
            for line in order.lines
            if line.requires_shipping
        ],
    )


def close(context: Context, order: Order) -> None:
    """Archive the order; an archived one keeps its time."""
    order.closed_at = order.closed_at or context.now()
    touch(context, order)


def archive_if_done(context: Context, order: Order) -> None:
    """Archive an order that is paid and shipped, as Shopify does unless the shop turned that off."""
    is_done = (
        context.shop.auto_archive
        and order.closed_at is None
        and any(parcel.is_live for parcel in order.fulfillments)
        and quantities.fulfillment_status(order) == "FULFILLED"
        and order_sums.financial_status(order) in {"PAID", "PARTIALLY_REFUNDED", "REFUNDED"}
        and not any(back.status in {"OPEN", "REQUESTED"} for back in order.returns)
    )
    if is_done:
        order.closed_at = context.now()


def reopen(context: Context, order: Order) -> None:
    """Take the order out of the archive."""
    order.closed_at = None
    touch(context, order)


def delete(context: Context, order: Order) -> None:
    """Delete the order; the webhook only has its ID."""
    del context.shop.orders[order.number_id]
    context.changed.add(order.number_id)
    context.emit("orders/delete", {"id": order.number_id})
