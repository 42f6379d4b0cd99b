"""Returns: requested, approved, received and closed."""

from __future__ import annotations

from collections.abc import Iterable

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import payloads
from practice_store.errors import (
    UserError,
    all_of,
)
from practice_store.sales import (
    lifecycle,
    restocking,
)
from practice_store.state import (
    Disposition,
    FulfillmentLine,
    Order,
    Return,
    ReturnLine,
    Shop,
    gid,
)


def shipped_lines(order: Order) -> Iterable[FulfillmentLine]:
    """Yield the lines of all parcels that count as shipped."""
    for parcel in order.fulfillments:
        if parcel.is_live:
            yield from parcel.lines


def returned_quantity(order: Order, fulfillment_line_number: int) -> int:
    """Return how many units of a parcel's line are in returns, canceled and declined ones aside."""
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
    """Open or request a return. Raises UserError.

    `items` are (fulfillment line number, quantity, reason, note).
    """
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
        argument = "returnInput" if status == "OPEN" else "input"
        where = [argument, "returnLineItems", str(index)]
        line = shipped.get(number)
        if line is None:
            raise UserError(
                "Fulfillment Line Item was not found.",
                [*where, "fulfillmentLineItemId"],
                "NOT_FOUND",
            )
        if not 0 < quantity <= line.quantity - returned_quantity(order, number):
            raise UserError(
                "Return line item has an invalid quantity.", [*where, "quantity"], "INVALID"
            )
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
    _emit(context, order, back, "returns/approve" if status == "OPEN" else "returns/request")
    return back


def approve(context: Context, order: Order, back: Return) -> None:
    """Approve a requested return; the order leaves the archive. Raises UserError."""
    if back.status != "REQUESTED":
        message = "Return is not approvable. Only returns with status REQUESTED can be approved."
        raise UserError(message, ["input", "id"], "INVALID_STATE")
    back.status, back.approved_at = "OPEN", context.now()
    back.reverse_order_number = context.shop.new_id()
    order.closed_at = None
    _emit(context, order, back, "returns/approve")


def decline(context: Context, order: Order, back: Return, reason: str, note: str | None) -> None:
    """Decline a requested return. Raises UserError."""
    if back.status != "REQUESTED":
        message = "Return is not declinable. Only non-refunded returns with status REQUESTED can be declined."
        raise UserError(message, ["input", "id"], "INVALID_STATE")
    back.status, back.decline_reason, back.decline_note = "DECLINED", reason, note
    _emit(context, order, back, "returns/decline")


def cancel(context: Context, order: Order, back: Return) -> None:
    """Cancel a return that has no processed units. Raises UserError."""
    if back.status == "CLOSED" or any(item.processed for item in back.lines):
        raise UserError("Return is not cancelable.", ["id"], "INVALID_STATE")
    back.status = "CANCELED"
    _emit(context, order, back, "returns/cancel")


def close(context: Context, order: Order, back: Return) -> None:
    """Close an open return; closing it again succeeds. Raises UserError."""
    if back.status not in {"OPEN", "CLOSED"}:
        raise UserError("Return status is invalid.", ["id"], "INVALID_STATE")
    back.status, back.closed_at = "CLOSED", back.closed_at or context.now()
    _emit(context, order, back, "returns/close")


def reopen(context: Context, order: Order, back: Return) -> None:
    """Reopen a closed return; reopening an open one succeeds. Raises UserError."""
    if back.status not in {"OPEN", "CLOSED"}:
        raise UserError("Return status is invalid.", ["id"], "INVALID_STATE")
    back.status, back.closed_at = "OPEN", None
    _emit(context, order, back, "returns/reopen")


def receive(
    context: Context, order: Order, item: ReturnLine, quantity: int, kind: str
) -> Disposition:
    """Book in goods that arrived at the center, or are MISSING. Raises UserError."""
    if quantity > item.quantity - item.disposed:
        raise UserError(
            "Invalid disposition quantity.", ["dispositionInputs", "0", "quantity"], "INVALID"
        )
    location = None if kind == "MISSING" else next(iter(context.shop.locations))
    booked = book_in(context, order, item, quantity, kind, location)
    lifecycle.touch(context, order)
    return booked


def _no_place(context: Context, given: str | None, where: list[str]) -> UserError | None:
    """Return the problem with a given location, or None."""
    try:
        if given:
            restocking.location_number(context, given, [*where, "locationId"])
    except UserError as error:
        return error
    return None


def book_in(
    context: Context,
    order: Order,
    item: ReturnLine,
    quantity: int,
    kind: str,
    location: int | None,
) -> Disposition:
    """Record a checked disposition; RESTOCKED units go back to the stock."""
    booked = Disposition(
        number_id=context.shop.new_id(),
        type=kind,
        quantity=quantity,
        created_at=context.now(),
        location_number=location,
    )
    item.dispositions.append(booked)
    if kind == "RESTOCKED" and location is not None:
        line = order.line(item.line_number)
        restocking.put_back(context, order, line, quantity, location, "return")
    body = {"order_id": order.number_id, "id": item.number_id, "type": kind.lower()}
    context.emit("reverse_fulfillment_orders/dispose", body)
    return booked


def check_dispositions(
    context: Context, order: Order, back: Return, wanted: list[JsonObject], field: list[str]
) -> list[tuple[ReturnLine, int, str, int | None]]:
    """Check ReverseFulfillmentOrderDisposeInputs of one return; return (item, units, kind,
    location).

    A reverse fulfillment order line has the number of its return line. Raises UserError.
    """
    by_number = {item.number_id: item for item in back.lines if back.reverse_order_number}
    left = {number: item.quantity - item.disposed for number, item in by_number.items()}
    found: list[tuple[ReturnLine, int, str, int | None]] = []
    for index, entry in enumerate(wanted):
        where, kind = [*field, str(index)], entry["dispositionType"]
        tail = entry["reverseFulfillmentOrderLineItemId"].rsplit("/", 1)[-1]
        item = by_number.get(int(tail) if tail.isdigit() else 0)
        if item is None:
            message = "Reverse fulfillment order line item could not be found."
            raise UserError(message, [*where, "reverseFulfillmentOrderLineItemId"], "NOT_FOUND")
        if kind == "RESTOCKED" and order.line(item.line_number).is_custom:
            message = "RESTOCKED is an invalid disposition type for a custom line item."
            wrong = UserError(message, [*where, "dispositionType"], "INVALID")
            all_of(wrong, _no_place(context, entry.get("locationId"), where))
        if not 0 < entry["quantity"] <= left[item.number_id]:
            raise UserError("Invalid disposition quantity.", [*where, "quantity"], "INVALID")
        left[item.number_id] -= entry["quantity"]
        if entry.get("locationId") or kind == "RESTOCKED":
            given = entry.get("locationId")
            location = restocking.location_number(context, given, [*where, "locationId"])
        else:
            location = None
        found.append((item, entry["quantity"], kind, location))
    return found


def dispose(context: Context, wanted: list[JsonObject]) -> list[tuple[Order, ReturnLine]]:
    """reverseFulfillmentOrderDispose: all inputs or none, and only for a single reverse order."""
    if not wanted:
        raise UserError("The array cannot be empty.", ["dispositionInputs"], "BLANK")
    tails = {entry["reverseFulfillmentOrderLineItemId"].rsplit("/", 1)[-1] for entry in wanted}
    holders = [
        (order, back)
        for order in context.shop.orders.values()
        for back in order.returns
        if back.reverse_order_number and tails & {str(item.number_id) for item in back.lines}
    ]
    if len(holders) != 1:
        message = "Cannot dispose items from more than one reverse fulfillment order."
        raise UserError(message, ["dispositionInputs"], "INVALID")
    order, back = holders[0]
    checked = check_dispositions(context, order, back, wanted, ["dispositionInputs"])
    for item, quantity, kind, location in checked:
        book_in(context, order, item, quantity, kind, location)
    lifecycle.touch(context, order)
    return [(order, item) for item, *_ in checked]


def return_status(order: Order) -> str:
    """Return the order's OrderReturnStatus; a request outranks returns in progress."""
    states = {back.status for back in order.returns}
    if "REQUESTED" in states:
        return "RETURN_REQUESTED"
    if "OPEN" in states:
        inspected = all(
            item.disposed >= item.quantity
            for back in order.returns
            if back.status == "OPEN"
            for item in back.lines
        )
        return "INSPECTION_COMPLETE" if inspected else "IN_PROGRESS"
    return "RETURNED" if "CLOSED" in states else "NO_RETURN"


def _emit(context: Context, order: Order, back: Return, topic: str) -> None:
    context.emit(topic, payloads.a_return(order, back))
    lifecycle.touch(context, order)


def ledger(shop: Shop) -> list[JsonObject]:
    """Return what happened to every unit to be returned, for tests to compare the product with."""
    return [
        {
            "id": back.id,
            "order": order.id,
            "status": back.status,
            "lines": [
                {
                    "line": gid("LineItem", item.line_number),
                    "quantity": item.quantity,
                    "processed": item.processed,
                    "refunded": item.refunded,
                    "dispositions": [
                        {"type": d.type, "quantity": d.quantity} for d in item.dispositions
                    ],
                }
                for item in back.lines
            ],
        }
        for order in shop.orders.values()
        for back in order.returns
    ]
