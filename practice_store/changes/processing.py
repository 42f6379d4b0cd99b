"""returnProcess: take returned goods off an order, book them in, and refund them. Not idempotent.

As recorded from a real shop, processing needs no disposition, leaves the return open, and may come
before or after the goods are booked in (reverseFulfillmentOrderDispose). Error messages are ours
unless a recording has Shopify's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.json_types import JsonObject
from practice_store.changes import (
    crediting,
    refunding,
    returning,
)
from practice_store.context import Context
from practice_store.derived import order_sums, payloads
from practice_store.errors import UserError
from practice_store.sales import lifecycle
from practice_store.state import (
    ZERO,
    LineItem,
    Order,
    Refund,
    Return,
    ReturnLine,
    Transaction,
)


@dataclass
class Booking:
    """A requested disposition that passed the checks."""

    item: ReturnLine
    quantity: int
    kind: str
    location: int | None


@dataclass
class Money:
    """A requested refund that passed the checks."""

    moves: list[tuple[Transaction, Decimal]] = field(default_factory=list)
    credits: list[crediting.Credit] = field(default_factory=list)
    shipping: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """What is paid out, through transactions and as store credit."""
        moved = sum((amount for _, amount in self.moves), ZERO)
        return moved + sum((credit.amount for credit in self.credits), ZERO)


def process(
    context: Context, order: Order, back: Return, data: JsonObject, *, made_by: str = "app"
) -> Refund | None:
    """Process a return, all of it or nothing; return the refund made, if any. Raises UserError."""
    if back.status != "OPEN":
        message = "Return is not processable. Only returns with status OPEN can be processed."
        raise UserError(message, ["input", "returnId"], "INVALID_STATE")
    units, bookings = _check_lines(context, back, order, data.get("returnLineItems") or [])
    paid = _check_money(context, order, data)
    for booking in bookings:
        returning.book_in(
            context, order, booking.item, booking.quantity, booking.kind, booking.location
        )
    for item, quantity in units:
        item.processed += quantity
        order.line(item.line_number).returned += quantity
    refund = None
    if paid.total or paid.shipping:
        refund = _refund(context, order, back, units, paid, data.get("note"))
        refund.made_by = made_by
    context.emit("returns/process", payloads.a_return(order, back))
    lifecycle.touch(context, order)
    return refund


def _check_lines(
    context: Context, back: Return, order: Order, wanted: list[JsonObject]
) -> tuple[list[tuple[ReturnLine, int]], list[Booking]]:
    by_id = {item.id: item for item in back.lines}
    left = {item.number_id: item.quantity - item.processed for item in back.lines}
    units, bookings = [], []
    for index, entry in enumerate(wanted):
        where = ["input", "returnLineItems", str(index)]
        item = by_id.get(entry["id"])
        if item is None:
            raise UserError("Return line item does not exist.", [*where, "id"], "NOT_FOUND")
        if not 0 < entry["quantity"] <= left[item.number_id]:
            message = "Return line item has an invalid quantity."
            raise UserError(message, [*where, "quantity"], "INVALID")
        left[item.number_id] -= entry["quantity"]
        units.append((item, entry["quantity"]))
        found = returning.check_dispositions(
            context, order, back, entry.get("dispositions") or [], [*where, "dispositions"]
        )
        for booked in found:
            if booked[0] is not item or sum(b[1] for b in found) > entry["quantity"]:
                message = "Dispositions must match the return line item and its quantity."
                raise UserError(message, [*where, "dispositions"], "INVALID")
        bookings += [Booking(*booked) for booked in found]
    return units, bookings


def _check_money(context: Context, order: Order, data: JsonObject) -> Money:
    found = Money()
    asked = (data.get("financialTransfer") or {}).get("issueRefund")
    if asked is not None:
        where = ["input", "financialTransfer", "issueRefund", "orderTransactions"]
        for index, entry in enumerate(asked["orderTransactions"]):
            sum_of = entry["transactionAmount"]
            if sum_of["currencyCode"] != order.presentment_currency:
                message = f"Currency must be {order.presentment_currency}"
                raise UserError(message, [*where, str(index), "transactionAmount"], "INVALID")
            row = {"parentId": entry["parentId"], "kind": "REFUND", "amount": sum_of["amount"]}
            found.moves += refunding.check_transactions(order, [row])
        found.credits = crediting.of_refund(context, order, asked.get("refundMethods") or [])
    if carriage := data.get("refundShipping"):
        amount = (carriage.get("shippingRefundAmount") or {}).get("amount")
        found.shipping = refunding.shipping_part(
            order, {"fullRefund": carriage.get("fullRefund"), "amount": amount}
        )
    if found.total > order_sums.net(order):
        message = refunding.too_much(order, found.total, order_sums.net(order))
        raise UserError(message, ["input", "financialTransfer"], "INVALID")
    return found


def _refund(
    context: Context,
    order: Order,
    back: Return,
    units: list[tuple[ReturnLine, int]],
    paid: Money,
    note: str | None,
) -> Refund:
    if not units:
        units = _processed_before(order, back, paid.total)
    lines: list[tuple[LineItem, int, JsonObject]] = []
    for item, quantity in units:
        item.refunded += quantity
        line = order.line(item.line_number)
        line.returned = max(0, line.returned - quantity)
        # Dispositions change the stock; the refund must not do so again.
        lines.append((line, quantity, {"restockType": "NO_RESTOCK"}))
    note = note if context.conditions.keeps_return_notes else None
    data = {"note": note, "shipping": {"amount": paid.shipping}}
    refund = refunding.book(context, order, data, lines, paid.moves, paid.credits, None)
    refund.return_number = back.number_id
    back.shipping_fee = ZERO
    return refund


def _processed_before(order: Order, back: Return, amount: Decimal) -> list[tuple[ReturnLine, int]]:
    """Return the units that a refund without units covers: processed ones, while the money lasts.

    How Shopify books a refund of money alone is not known.
    """
    found = []
    for item in back.lines:
        line, open_units = order.line(item.line_number), item.processed - item.refunded
        for quantity in range(open_units, 0, -1):
            price, tax = refunding.line_share(order, line, quantity)
            worth = price + (ZERO if order.taxes_included else tax)
            if worth <= amount:
                found.append((item, quantity))
                amount -= worth
                break
    return found


def outcome(
    order: Order, back: Return, wanted: list[JsonObject], shipping: JsonObject | None
) -> refunding.Suggestion:
    """Return.suggestedFinancialOutcome: what the units are worth, less the return's fees."""
    by_id = {item.id: item for item in back.lines}
    lines: dict[int, int] = {}
    fees = back.shipping_fee
    for entry in wanted:
        item = by_id.get(entry["id"])
        if item is not None:
            lines[item.line_number] = lines.get(item.line_number, 0) + entry["quantity"]
            fees += restocking_fee(order, item, entry["quantity"])
    carriage = shipping or {}
    sent = (carriage.get("shippingRefundAmount") or {}).get("amount")
    whole = refunding.shipping_part(
        order, {"fullRefund": carriage.get("fullRefund"), "amount": sent}
    )
    chosen = [
        {"lineItemId": order.line(number).id, "quantity": quantity}
        for number, quantity in lines.items()
    ]
    return refunding.suggest(order, lines=chosen, shipping=whole, full=False, less=fees)


def restocking_fee(order: Order, item: ReturnLine, quantity: int) -> Decimal:
    """Return the restocking fee of these units, a percentage of their price."""
    price, _tax = refunding.line_share(order, order.line(item.line_number), quantity)
    return order_sums.rounded(price * item.restocking_fee_percent / 100, order.presentment_currency)
