"""Returns: requested, approved, received, closed."""

from __future__ import annotations

from collections.abc import Iterable

from shopify_sync.practice_store import payloads, selling
from shopify_sync.practice_store.context import Context
from shopify_sync.practice_store.errors import UserError
from shopify_sync.practice_store.state import (
    Disposition,
    FulfillmentLine,
    Order,
    Return,
    ReturnLine,
)


def shipped_lines(order: Order) -> Iterable[FulfillmentLine]:
    for parcel in order.fulfillments:
        if parcel.is_live:
            yield from parcel.lines


def returned_quantity(order: Order, fulfillment_line_number: int) -> int:
    return sum(
        item.quantity
        for back in order.returns
        if back.status not in {"CANCELED", "DECLINED"}
        for item in back.lines
        if item.fulfillment_line_number == fulfillment_line_number
    )


def open_return(
    context: Context,
    order: Order,
    items: list[tuple[int, int, str, str]],
    *,
    status: str = "OPEN",
) -> Return:
    """`items`: (fulfillment line number, quantity, reason, note)."""
    shipped = {line.number_id: line for line in shipped_lines(order)}
    now = context.now()
    back = Return(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        name=f"{order.name}-R{len(order.returns) + 1}",
        status=status,
        created_at=now,
        approved_at=now if status == "OPEN" else None,
    )
    for index, (number, quantity, reason, note) in enumerate(items):
        where = ["returnInput", "returnLineItems", str(index)]
        line = shipped.get(number)
        if line is None:
            raise UserError("Return line item has an invalid fulfillment line item.",
                            [*where, "fulfillmentLineItemId"], "NOT_FOUND")  # fmt: skip
        if not 0 < quantity <= line.quantity - returned_quantity(order, number):
            raise UserError("Return line item has an invalid quantity.",
                            [*where, "quantity"], "INVALID")  # fmt: skip
        back.lines.append(
            ReturnLine(
                number_id=context.shop.new_id(),
                fulfillment_line_number=number,
                line_number=line.line_number,
                quantity=quantity,
                reason=reason,
                reason_note=note,
            )
        )
    if status == "OPEN":
        back.reverse_order_number = context.shop.new_id()
        order.closed_at = None
    order.returns.append(back)
    _tell(context, order, back, "returns/approve" if status == "OPEN" else "returns/request")
    return back


def approve(context: Context, order: Order, back: Return) -> None:
    if back.status != "REQUESTED":
        message = "Return is not approvable. Only returns with status REQUESTED can be approved."
        raise UserError(message, ["input", "id"], "INVALID_STATE")
    back.status, back.approved_at = "OPEN", context.now()
    back.reverse_order_number = context.shop.new_id()
    order.closed_at = None
    _tell(context, order, back, "returns/approve")


def decline(context: Context, order: Order, back: Return, reason: str, note: str | None) -> None:
    if back.status != "REQUESTED":
        message = "Return is not declinable. Only non-refunded returns with status REQUESTED can be declined."
        raise UserError(message, ["input", "id"], "INVALID_STATE")
    back.status, back.decline_reason, back.decline_note = "DECLINED", reason, note
    _tell(context, order, back, "returns/decline")


def cancel(context: Context, order: Order, back: Return) -> None:
    if back.status == "CLOSED" or any(item.processed for item in back.lines):
        raise UserError("Return is not cancelable.", ["id"], "INVALID_STATE")
    back.status = "CANCELED"
    _tell(context, order, back, "returns/cancel")


def close(context: Context, order: Order, back: Return) -> None:
    if back.status not in {"OPEN", "CLOSED"}:
        raise UserError("Return status is invalid.", ["id"], "INVALID_STATE")
    back.status, back.closed_at = "CLOSED", back.closed_at or context.now()
    _tell(context, order, back, "returns/close")


def reopen(context: Context, order: Order, back: Return) -> None:
    if back.status not in {"OPEN", "CLOSED"}:
        raise UserError("Return status is invalid.", ["id"], "INVALID_STATE")
    back.status, back.closed_at = "OPEN", None
    _tell(context, order, back, "returns/reopen")


def receive(
    context: Context, order: Order, item: ReturnLine, quantity: int, kind: str
) -> Disposition:
    """Goods arrived at the centre, or did not (MISSING)."""
    if quantity > item.quantity - sum(d.quantity for d in item.dispositions):
        raise UserError("DISPOSITION quantity is too high.",
                        ["dispositionInputs", "0", "quantity"], "INVALID")  # fmt: skip
    booked = Disposition(
        number_id=context.shop.new_id(), type=kind, quantity=quantity, created_at=context.now()
    )
    item.dispositions.append(booked)
    body = {"order_id": order.number_id, "id": item.number_id, "type": kind.lower()}
    context.emit("reverse_fulfillment_orders/dispose", body)
    selling.touch(context, order)
    return booked


def process(context: Context, order: Order, back: Return, quantities: dict[int, int]) -> None:
    for item in back.lines:
        item.processed += quantities.get(item.number_id, 0)
    if all(item.processed >= item.quantity for item in back.lines):
        back.status, back.closed_at = "CLOSED", context.now()
    _tell(context, order, back, "returns/process")


def return_status(order: Order) -> str:
    """OrderReturnStatus of the whole order."""
    states = {back.status for back in order.returns}
    if "OPEN" in states:
        inspected = all(
            sum(d.quantity for d in item.dispositions) >= item.quantity
            for back in order.returns
            if back.status == "OPEN"
            for item in back.lines
        )
        return "INSPECTION_COMPLETE" if inspected else "IN_PROGRESS"
    if "REQUESTED" in states:
        return "RETURN_REQUESTED"
    return "RETURNED" if "CLOSED" in states else "NO_RETURN"


def _tell(context: Context, order: Order, back: Return, topic: str) -> None:
    context.emit(topic, payloads.a_return(order, back))
    selling.touch(context, order)
