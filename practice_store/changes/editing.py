"""Order edits and exchanges: what staff remove from a placed order and add to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from practice_store.changes import returning
from practice_store.context import Context
from practice_store.derived import payloads, quantities
from practice_store.errors import UserError
from practice_store.sales import lifecycle
from practice_store.state import (
    Edit,
    ExchangeLine,
    FulfillmentOrder,
    FulfillmentOrderLine,
    LineItem,
    Order,
    Return,
)

ORDER_EDIT: Final = "ORDER_EDIT"
RETURN: Final = "RETURN"
New = tuple[str, Decimal, int]


def edit(
    context: Context,
    order: Order,
    *,
    remove: dict[int, int] | None = None,
    add: list[New] | None = None,
) -> list[LineItem]:
    """Commit an edit and return the new lines. Raises UserError for units that can't be removed.

    `remove` has units by line number, `add` has (title, unit price, quantity). Money is settled
    separately, by a refund or an invoice.
    """
    lost = remove or {}
    for number, units in lost.items():
        line = order.line(number)
        unsent = line.current_quantity - quantities.shipped_quantity(order, number)
        if not 0 < units <= unsent:
            raise UserError("The line item can't be edited.", ["lineItemId"])
    for number, units in lost.items():
        _take_off(order, order.line(number), units)
    added = [_put_on(context, order, *new) for new in add or ()]
    _note(context, order, ORDER_EDIT, lost, added)
    lifecycle.touch(context, order, "orders/edited")
    return added


def exchange(
    context: Context, order: Order, items: list[tuple[int, int, str, str]], add: list[New]
) -> Return:
    """Open a return and send other items instead; both sides are processed at once.

    `items` are as in returning.open_return. What comes back is off the order, and what goes out is
    on it.
    """
    back = returning.open_return(context, order, items)
    lost: dict[int, int] = {}
    for item in back.lines:
        item.processed = item.quantity
        _take_off(order, order.line(item.line_number), item.quantity)
        lost[item.line_number] = lost.get(item.line_number, 0) + item.quantity
    added = [_put_on(context, order, *new) for new in add]
    back.exchange_lines = [
        ExchangeLine(
            number_id=context.shop.new_id(),
            title=line.title,
            quantity=line.quantity,
            added_line=line.number_id,
        )
        for line in added
    ]
    _note(context, order, RETURN, lost, added)
    context.emit("returns/process", payloads.a_return(order, back))
    lifecycle.touch(context, order)
    return back


def _note(
    context: Context, order: Order, reason: str, lost: dict[int, int], added: list[LineItem]
) -> None:
    quantities = {number: -units for number, units in lost.items()}
    quantities |= {line.number_id: line.quantity for line in added}
    order.edits.append(
        Edit(
            number_id=context.shop.new_id(),
            reason=reason,
            happened_at=context.now(),
            quantities=quantities,
        )
    )


def _take_off(order: Order, line: LineItem, units: int) -> None:
    line.removed += units
    for work in order.fulfillment_orders:
        for item in work.lines:
            if item.line_number == line.number_id:
                item.remaining_quantity = max(0, item.remaining_quantity - units)
        if work.status == "OPEN" and not any(item.remaining_quantity for item in work.lines):
            work.status = "CLOSED"


def _put_on(context: Context, order: Order, title: str, price: Decimal, quantity: int) -> LineItem:
    line = LineItem(
        number_id=context.shop.new_id(),
        title=title,
        quantity=quantity,
        unit_price=price,
        added=True,
    )
    order.lines.append(line)
    work = FulfillmentOrder(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        created_at=context.now(),
        updated_at=context.now(),
        lines=[
            FulfillmentOrderLine(
                number_id=context.shop.new_id(),
                line_number=line.number_id,
                total_quantity=quantity,
                remaining_quantity=quantity,
            )
        ],
    )
    order.fulfillment_orders.append(work)
    return line
