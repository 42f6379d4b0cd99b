"""Refunds as Shopify suggests, checks and books them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.json_types import JsonObject
from practice_store.changes import crediting
from practice_store.context import Context
from practice_store.derived import order_sums, payloads, quantities
from practice_store.errors import UserError
from practice_store.sales import (
    bank_refunds,
    lifecycle,
    payments,
    restocking,
)
from practice_store.state import (
    ZERO,
    Adjustment,
    LineItem,
    Order,
    Refund,
    RefundDuty,
    RefundLine,
    Transaction,
    gid,
)


@dataclass(frozen=True)
class SuggestedLine:
    """Units of a line to refund; a line whose units restock differently has several."""

    line: LineItem
    quantity: int
    restock_type: str
    location_number: int | None
    subtotal: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Suggestion:
    """A SuggestedRefund; `transactions` are (payment, amount, maximum), `duties` (line, amount)."""

    order: Order
    lines: tuple[SuggestedLine, ...]
    shipping: Decimal
    shipping_maximum: Decimal
    subtotal: Decimal
    tax: Decimal
    amount: Decimal
    maximum: Decimal
    duties: tuple[tuple[LineItem, Decimal], ...]
    transactions: tuple[tuple[Transaction, Decimal, Decimal], ...]
    # Refund the whole amount as store credit instead of through transactions.
    as_store_credit: bool = False


def line_share(
    order: Order, line: LineItem, quantity: int, *, skip: int = 0
) -> tuple[Decimal, Decimal]:
    """Return price and tax of the next `quantity` units to refund, after skipping `skip`.

    Cent rounding is spread so that the shares of all units add up to the line.
    """
    before = line.refunded + line.removed + skip
    whole = order_sums.line_total(line)

    def part(sum_of_line: Decimal) -> Decimal:
        after = order_sums.share(order, sum_of_line, before + quantity, line.quantity)
        return after - order_sums.share(order, sum_of_line, before, line.quantity)

    return part(whole), part(line.tax)


def suggest(
    order: Order,
    *,
    lines: list[JsonObject] | None,
    shipping: Decimal | None,
    full: bool,
    duties: list[JsonObject] | None = None,
    as_store_credit: bool = False,
    less: Decimal = ZERO,
) -> Suggestion:
    """Return what Shopify would refund.

    Without `shipping` none is, unless `full`. `less` are the fees of a return.
    """
    if full:
        chosen = [
            (line, quantities.refundable_quantity(order, line.number_id)) for line in order.lines
        ]
    else:
        by_id = {line.id: line for line in order.lines}
        chosen = [
            (by_id[item["lineItemId"]], item["quantity"])
            for item in lines or ()
            if item["lineItemId"] in by_id
        ]
    suggested = []
    for line, quantity in chosen:
        seen = 0
        for kind, units, location in (
            restocking.split(order, line, quantity) if quantity > 0 else ()
        ):
            price, tax = line_share(order, line, units, skip=seen)
            suggested.append(SuggestedLine(line, units, kind, location, price, tax))
            seen += units
    maximum = max(ZERO, order_sums.net(order))
    shipping_maximum = order_sums.shipping(order) - order_sums.refunded_shipping(order)
    carriage = shipping_maximum if full else min(shipping or ZERO, shipping_maximum)
    price = sum((line.subtotal for line in suggested), ZERO)
    tax = sum((line.tax for line in suggested), ZERO)
    carriage_tax = ZERO
    if carriage and carriage == shipping_maximum:
        carriage_tax = sum((s.tax for s in order.shipping_lines), ZERO)
    tax += carriage_tax
    chosen_units = {s.line.number_id: s.quantity for s in suggested}
    every = [{"dutyId": duty_id(line)} for line in order.lines if full and line.duty]
    tolls = _duties(order, every or duties or [], chosen_units)
    wanted = price + carriage + (ZERO if order.taxes_included else tax)
    wanted += ZERO if order.duties_included else sum((amount for _, amount in tolls), ZERO)
    if full and order.cancelled_at:
        wanted = maximum
    amount = max(ZERO, min(wanted - less, maximum))
    return Suggestion(
        order=order,
        lines=tuple(suggested),
        shipping=carriage,
        shipping_maximum=shipping_maximum,
        subtotal=price,
        tax=tax,
        amount=amount,
        maximum=maximum,
        duties=tuple(tolls),
        transactions=() if as_store_credit else _spread(order, amount),
        as_store_credit=as_store_credit,
    )


def duty_id(line: LineItem) -> str:
    """Return the global ID of a line's duty."""
    return gid("Duty", line.number_id)


def _duties(
    order: Order, chosen: list[JsonObject], quantities: dict[int, int]
) -> list[tuple[LineItem, Decimal]]:
    """Return the duties to refund: FULL is the rest of each, PROPORTIONAL the refunded units'
    share.
    """
    by_id = {duty_id(line): line for line in order.lines if line.duty}
    found = []
    for index, item in enumerate(chosen):
        line = by_id.get(item["dutyId"])
        if line is None:
            raise UserError("Duty does not exist", ["refundDuties", str(index), "dutyId"])
        left = order_sums.duty_left(order, line)
        if item.get("refundType") == "PROPORTIONAL":
            units = quantities.get(line.number_id, 0)
            left = min(left, order_sums.share(order, line.duty, units, line.quantity))
        if left > 0:
            found.append((line, left))
    return found


def _spread(order: Order, amount: Decimal) -> tuple[tuple[Transaction, Decimal, Decimal], ...]:
    """Spread the amount over the payments, gift cards last, and return each one's maximum too."""
    left = amount
    found = []
    for payment in sorted(order_sums.payments(order), key=lambda t: t.gateway == "gift_card"):
        maximum = order_sums.left_of(order, payment)
        if maximum > 0:
            part = min(left, maximum)
            found.append((payment, part, maximum))
            left -= part
    return tuple(found)


def create(
    context: Context, data: JsonObject, key: str | None, *, made_by: str = "app"
) -> tuple[Order, Refund]:
    """Create a refund for refundCreate or for staff. Raises UserError in Shopify's words, with
    nothing written.
    """
    shop = context.shop
    number = int(data["orderId"].rsplit("/", 1)[-1])
    order = shop.orders.get(number)
    if order is None:
        raise UserError("Order does not exist", ["orderId"])
    if order.presentment_currency != order.currency and not data.get("currency"):
        raise UserError("Currency is required for multi-currency orders", ["currency"])
    lines = _check_lines(order, data.get("refundLineItems") or [])
    quantities: dict[int, int] = {}
    for line, quantity, _item in lines:
        quantities[line.number_id] = quantities.get(line.number_id, 0) + quantity
    tolls = _duties(order, data.get("refundDuties") or [], quantities)
    shipped = restocking.check_restock(context, order, lines)
    shipping_part(order, data.get("shipping") or {})
    moves = check_transactions(order, data.get("transactions") or [])
    credits = crediting.of_refund(context, order, data.get("refundMethods") or [])
    moved = sum((amount for _, amount in moves), ZERO)
    moved += sum((credit.amount for credit in credits), ZERO)
    if moved > order_sums.net(order):
        raise UserError(too_much(order, moved, order_sums.net(order)))
    for (line, _quantity, _item), units in zip(lines, shipped, strict=True):
        line.refunded_shipped += units
    refund = book(context, order, data, lines, moves, credits, key, tolls)
    refund.made_by = made_by
    return order, refund


def too_much(order: Order, amount: Decimal, limit: Decimal) -> str:
    """Return Shopify's message for refunding more than was received."""
    currency = order.presentment_currency
    sign = {"EUR": "€", "GBP": "£", "JPY": "¥"}.get(currency, "$")
    asked, most = (str(order_sums.rounded(sum_, currency)) for sum_ in (amount, limit))
    return f"Refund amount {sign}{asked} is greater than net payment received {sign}{most}"


def _check_lines(order: Order, chosen: list[JsonObject]) -> list[tuple[LineItem, int, JsonObject]]:
    by_id = {line.id: line for line in order.lines}
    found: list[tuple[LineItem, int, JsonObject]] = []
    for index, item in enumerate(chosen):
        line = by_id.get(item["lineItemId"])
        if line is None:
            raise UserError(
                "Line item does not exist", ["refundLineItems", str(index), "lineItemId"]
            )
        asked = item["quantity"] + sum(units for other, units, _ in found if other is line)
        # Removed units may still be refunded: canceling takes lines off an order but not its money.
        if asked > line.quantity - line.refunded:
            raise UserError(
                "Quantity cannot refund more items than were purchased",
                ["refundLineItems", str(index), "quantity"],
            )
        found.append((line, item["quantity"], item))
    return found


def check_transactions(order: Order, wanted: list[JsonObject]) -> list[tuple[Transaction, Decimal]]:
    """Return (payment, amount) of the requested transactions. Raises UserError."""
    by_id = {t.id: t for t in order.transactions}
    found = []
    for item in wanted:
        if item["kind"] != "REFUND":
            raise UserError(f"Kind {item['kind'].lower()} is not a valid transaction")
        parent = by_id.get(item.get("parentId") or "")
        if parent is None or parent.kind not in {"SALE", "CAPTURE"}:
            raise UserError(
                "Transactions require a parent_id associated with the order", ["transactions"]
            )
        amount = Decimal(str(item["amount"]))
        if amount > order_sums.left_of(order, parent) and amount <= order_sums.net(order):
            raise UserError(too_much(order, amount, order_sums.left_of(order, parent)))
        found.append((parent, amount))
    return found


def book(
    context: Context,
    order: Order,
    data: JsonObject,
    lines: list[tuple[LineItem, int, JsonObject]],
    moves: list[tuple[Transaction, Decimal]],
    credits: list[crediting.Credit],
    key: str | None,
    tolls: Sequence[tuple[LineItem, Decimal]] = (),
) -> Refund:
    """Book a refund whose parts were checked.

    `lines` are (line, units, RefundLineItemInput); `tolls` are the duties to refund.
    """
    shop, now = context.shop, context.now()
    refund = Refund(
        number_id=shop.new_id(),
        order_number=order.number_id,
        created_at=now,
        processed_at=now,
        note=data.get("note"),
        key=key,
    )
    booked = ZERO
    for line, quantity, item in lines:
        price, tax = line_share(order, line, quantity)
        booked += price + (ZERO if order.taxes_included else tax)
        refund.lines.append(
            RefundLine(
                number_id=shop.new_id(),
                line_number=line.number_id,
                quantity=quantity,
                restock_type=item.get("restockType") or "NO_RESTOCK",
                subtotal=price,
                tax=tax,
                location_number=restocking.put_back_by_refund(context, order, line, quantity, item),
            )
        )
        _take_off(order, line, quantity)
    refund.duties = [RefundDuty(line_number=li.number_id, amount=toll) for li, toll in tolls]
    booked += ZERO if order.duties_included else sum((toll for _, toll in tolls), ZERO)
    refund.shipping = shipping_part(order, data.get("shipping") or {})
    booked += refund.shipping
    back = bank_refunds.give_back(context, order, moves, key=key)
    refund.transactions += [transaction.number_id for transaction in back]
    for credit in credits:
        moved = payments.add_store_credit(
            context, order, amount=credit.amount, expires_at=credit.expires_at, key=key
        )
        refund.transactions.append(moved.number_id)
    difference = booked - sum((amount for _, amount in moves), ZERO)
    difference -= sum((credit.amount for credit in credits), ZERO)
    if difference:
        refund.adjustments.append(
            Adjustment(number_id=shop.new_id(), kind=_discrepancy(data), amount=difference)
        )
    order.refunds.append(refund)
    context.emit("refunds/create", payloads.refund(shop, order, refund))
    lifecycle.touch(context, order)
    return refund


def _discrepancy(data: JsonObject) -> str:
    """Return the reason for refunding other than the calculated amount.

    OTHER has no counterpart among the values that are stored.
    """
    given = data.get("discrepancyReason")
    return given if given in {"CUSTOMER", "DAMAGE", "RESTOCK"} else "REFUND_DISCREPANCY"


def _take_off(order: Order, line: LineItem, quantity: int) -> None:
    line.refunded += quantity
    line.removed = max(0, min(line.removed, line.quantity - line.refunded))
    unshipped = max(0, line.current_quantity - quantities.kept_quantity(order, line.number_id))
    for work in order.fulfillment_orders:
        for item in work.lines:
            if item.line_number == line.number_id:
                item.remaining_quantity = min(item.remaining_quantity, unshipped)


def shipping_part(order: Order, data: JsonObject) -> Decimal:
    """Return how much shipping a ShippingRefundInput refunds. Raises UserError if too much."""
    left = order_sums.shipping(order) - order_sums.refunded_shipping(order)
    if data.get("fullRefund"):
        return left
    amount = Decimal(str(data.get("amount") or 0))
    if amount > left:
        raise UserError("Shipping amount exceeds the refundable amount", ["shipping", "amount"])
    return amount
