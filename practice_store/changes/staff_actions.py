"""What staff, customers and carriers do to an order: for the staff page, the seeder and tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from practice_store.changes import (
    processing,
    refunding,
    returning,
)
from practice_store.context import Context
from practice_store.derived import order_sums, payloads
from practice_store.errors import UserError
from practice_store.sales import (
    cancellation,
    lifecycle,
    order_input,
    payments,
    shipping,
)
from practice_store.state import (
    Order,
    Refund,
    Return,
    Tracking,
)


def order_by_name(context: Context, name: str) -> Order:
    """Return the order named "#1001". Raises UserError."""
    for order in context.shop.orders.values():
        if order.name == name:
            return order
    raise UserError(f"There is no order {name}.")


def place(context: Context, **data: object) -> Order:
    """Place an order from orderCreate's input."""
    order = order_input.from_input(context, data)
    lifecycle.place(context, order)
    return order


def pay(
    context: Context,
    order: Order,
    amount: Decimal | None = None,
    gateway: str = "shopify_payments",
    account_number: str | None = "•••• 4242",
) -> None:
    """Receive money: everything owed, or a part. Raises UserError if nothing is owed."""
    due = amount if amount is not None else order_sums.outstanding(order)
    if due <= 0:
        raise UserError("Nothing is owed.")
    order.pending = False
    for waiting in order_sums.pending_payments(order):
        waiting.status = "FAILURE"
    payments.add_transaction(
        context, order, kind="SALE", amount=due, gateway=gateway, account_number=account_number
    )
    paid = order_sums.financial_status(order) == "PAID"
    lifecycle.archive_if_done(context, order)
    lifecycle.touch(context, order, *(("orders/paid",) if paid else ()))


def authorize(context: Context, order: Order) -> None:
    """Authorize the whole total on a card."""
    payments.add_transaction(
        context,
        order,
        kind="AUTHORIZATION",
        amount=order_sums.total(order),
        gateway="shopify_payments",
        account_number="•••• 4242",
    )
    order.pending = False
    lifecycle.touch(context, order)


def capture(context: Context, order: Order) -> None:
    """Capture everything that is authorized."""
    for held in order_sums.open_authorizations(order):
        payments.capture(context, order, held.number_id, order_sums.capturable(order))


def ship(
    context: Context,
    order: Order,
    *,
    quantities: dict[int, int] | None = None,
    tracking: list[Tracking] | None = None,
) -> None:
    """Ship everything left, or some units by line number. Raises UserError."""
    work = next(
        (w for w in order.fulfillment_orders if w.status not in {"CLOSED", "CANCELLED"}), None
    )
    if work is None:
        raise UserError("Nothing is left to ship.")
    by_item = None
    if quantities is not None:
        by_item = {item.number_id: quantities.get(item.line_number, 0) for item in work.lines}
    shipping.ship(context, order, work, by_item, tracking or [])


def carrier_says(
    context: Context,
    order: Order,
    status: str,
    *,
    parcel: int = -1,
    arrives_in_days: int | None = None,
    at: datetime | None = None,
    city: str | None = None,
    country: str | None = None,
    message: str | None = None,
) -> None:
    """Report a tracking event for a parcel, by default the latest. Raises UserError without
    parcels.
    """
    if not order.fulfillments:
        raise UserError("Nothing was shipped yet.")
    due = context.now() + timedelta(days=arrives_in_days) if arrives_in_days is not None else None
    shipping.add_event(
        context,
        order,
        order.fulfillments[parcel],
        status=status,
        happened_at=at,
        estimated_delivery_at=due,
        city=city,
        country=country,
        message=message,
    )


def refund(context: Context, order: Order, amount: Decimal, note: str = "") -> Refund:
    """Refund an amount as staff in Shopify's own admin. Raises UserError if it is too much."""
    left, moves = amount, []
    for payment in order_sums.payments(order):
        part = min(left, order_sums.left_of(order, payment))
        if part > 0:
            moves.append(
                {
                    "orderId": order.id,
                    "parentId": payment.id,
                    "gateway": payment.gateway,
                    "kind": "REFUND",
                    "amount": part,
                }
            )
            left -= part
    data = {
        "orderId": order.id,
        "currency": order.presentment_currency,
        "note": note,
        "transactions": moves,
    }
    if left > 0 or not moves:
        raise UserError("That is more than was paid.")
    return refunding.create(context, data, None, made_by="staff")[1]


def cancel(context: Context, order: Order, *, reason: str, refund_all: bool) -> None:
    """Cancel as staff in Shopify's own admin. Raises UserError."""
    cancellation.check_cancelable(context, order, None)
    key = f"staff-{context.shop.new_id()}"
    cancellation.start_cancel(
        context, order, reason=reason, refund=refund_all, staff_note=None, key=key, made_by="staff"
    )


def open_return(context: Context, order: Order, *, requested: bool = False) -> Return:
    """Return everything shipped that isn't in a return yet. Raises UserError if nothing is."""
    items = [
        (line.number_id, left, "OTHER", "")
        for line in returning.shipped_lines(order)
        if (left := line.quantity - returning.returned_quantity(order, line.number_id)) > 0
    ]
    if not items:
        raise UserError("Nothing was shipped that could come back.")
    return returning.open_return(context, order, items, status="REQUESTED" if requested else "OPEN")


def approve_return(context: Context, order: Order) -> None:
    """Approve the requested return. Raises UserError if there is none."""
    returning.approve(context, order, _return(order, "REQUESTED"))


def receive_return(
    context: Context, order: Order, *, units: int | None = None, kind: str = "RESTOCKED"
) -> None:
    """Book in units of the open returns; None means all that are left."""
    for back in order.returns:
        if back.status == "OPEN":
            for item in back.lines:
                left = item.quantity - item.disposed
                part = left if units is None else min(left, units)
                if part > 0:
                    returning.receive(context, order, item, part, kind)
                units = None if units is None else units - part


def process_return(context: Context, order: Order) -> None:
    """Process the rest of the open return without a refund. Raises UserError if there is none."""
    back = _return(order, "OPEN")
    rows = [
        {"id": item.id, "quantity": left}
        for item in back.lines
        if (left := item.quantity - item.processed) > 0
    ]
    processing.process(context, order, back, {"returnLineItems": rows}, made_by="staff")


def close_return(context: Context, order: Order) -> None:
    """Close the open return. Raises UserError if there is none."""
    returning.close(context, order, _return(order, "OPEN"))


def _return(order: Order, status: str) -> Return:
    for back in order.returns:
        if back.status == status:
            return back
    raise UserError(f"There is no return that is {status.lower()}.")


def edit(
    context: Context, order: Order, *, note: str | None = None, tags: list[str] | None = None
) -> None:
    """Change the order's note or tags; None leaves them alone."""
    if note is not None:
        order.note = note
    if tags is not None:
        order.tags = sorted(tags)
    lifecycle.touch(context, order)


def fail_refund(context: Context, order: Order, refund_row: Refund, error_code: str) -> None:
    """Let the payment provider reject a booked refund, perhaps days later."""
    for transaction in order.transactions:
        if transaction.number_id in refund_row.transactions:
            transaction.status, transaction.error_code = "FAILURE", error_code
    lifecycle.touch(context, order)


def merge_customers(context: Context, *, kept: int, gone: int) -> None:
    """Merge two customers: `kept` gets the orders of `gone`, which is deleted."""
    customers = context.shop.customers
    context.emit("customers/merge", payloads.merged_customers(customers[kept], customers[gone]))
    del customers[gone]
    for order in [o for o in context.shop.orders.values() if o.customer_number == gone]:
        order.customer_number = kept
        lifecycle.touch(context, order)


def dispute(context: Context, order: Order, status: str) -> None:
    """Open a dispute of the payment by the customer's bank, or update its status."""
    topic = "disputes/update" if order.dispute else "disputes/create"
    order.dispute = status
    body = {
        "id": order.number_id,
        "order_id": order.number_id,
        "type": "chargeback",
        "amount": order_sums.wire(order_sums.received(order)),
        "currency": order.presentment_currency,
        "reason": "fraudulent",
        "status": status.lower(),
        "initiated_at": context.now().isoformat(),
    }
    context.emit(topic, body)
    context.changed.add(order.number_id)
    order.updated_at = max(context.now(), order.updated_at)
