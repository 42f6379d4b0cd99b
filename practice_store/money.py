"""Sums as Shopify books them. Decimals in the order's presentment currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, Final

from practice_store.state import (
    ZERO,
    LineItem,
    Order,
    Transaction,
)

# ISO 4217's minor units where they are not 2. The store has its own table: with the product's,
# an error in it would agree with itself.
_MINOR_UNITS: Final = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


@lru_cache(maxsize=256)
def quantum(currency: str) -> Decimal:
    """By ISO 4217, as Shopify writes them: RSD has 2 decimals, whatever people show."""
    return Decimal(1).scaleb(-_MINOR_UNITS.get(currency, 2))


def rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(quantum(currency), rounding=ROUND_HALF_UP)


def wire(amount: Decimal) -> str:
    """ "15.0": at least one decimal, no more zeros than needed, never an exponent."""
    text = f"{amount:f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0") or "0"
    return f"{'0' if whole in {'-0', ''} and fraction == '0' else whole}.{fraction}"


def money(amount: Decimal, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currencyCode": currency}


def bag(order: Order, amount: Decimal) -> dict[str, Any]:
    """A MoneyBag of a presentment amount."""
    shop = rounded(amount * order.rate, order.currency)
    return {
        "shopMoney": money(shop, order.currency),
        "presentmentMoney": money(amount, order.presentment_currency),
    }


def line_total(line: LineItem) -> Decimal:
    return line.unit_price * line.quantity - line.discount


def share(order: Order, whole: Decimal, part: int, of: int) -> Decimal:
    """The first `part` of `of` units' share of a sum, so that all shares add up to it."""
    return rounded(whole * part / of, order.presentment_currency) if of else ZERO


def subtotal(order: Order) -> Decimal:
    return sum((line_total(line) for line in order.lines), ZERO)


def tax(order: Order) -> Decimal:
    own = sum((line.tax for line in order.lines), ZERO)
    return own + sum((line.tax for line in order.shipping_lines), ZERO)


def shipping(order: Order) -> Decimal:
    return sum((line.price for line in order.shipping_lines), ZERO)


def discounts(order: Order) -> Decimal:
    return sum((line.discount for line in order.lines), ZERO)


def added_tax(order: Order) -> Decimal:
    return ZERO if order.taxes_included else tax(order)


def duties(order: Order) -> Decimal:
    return sum((line.duty for line in order.lines), ZERO)


def added_duties(order: Order) -> Decimal:
    return ZERO if order.duties_included else duties(order)


def fees(order: Order) -> Decimal:
    return sum((fee.price for fee in order.fees), ZERO)


def total(order: Order) -> Decimal:
    own = subtotal(order) + shipping(order) + added_tax(order) + order.tip
    return own + added_duties(order) + fees(order)


def original_total(order: Order) -> Decimal:
    """As it was placed: without what edits and exchanges put on."""
    later = (line for line in order.lines if line.added)
    extra = sum((line_total(li) + (ZERO if order.taxes_included else li.tax) for li in later), ZERO)
    return total(order) - extra


def current(order: Order) -> dict[str, Decimal]:
    """Totals after refunds of lines, and nothing left after a cancellation."""
    if order.cancelled_at:
        nothing = ("subtotal", "tax", "shipping", "total", "discounts", "duties")
        return dict.fromkeys(nothing, ZERO)
    lines = taxes = cut = toll = ZERO
    for line in order.lines:
        left = line.current_quantity
        lines += share(order, line_total(line), left, line.quantity)
        taxes += share(order, line.tax, left, line.quantity)
        cut += share(order, line.discount, left, line.quantity)
        toll += duty_left(order, line) if left else ZERO
    carriage = shipping(order) - refunded_shipping(order)
    taxes += sum((s.tax for s in order.shipping_lines), ZERO)
    extra = ZERO if order.taxes_included else taxes
    return {
        "subtotal": lines,
        "tax": taxes,
        "shipping": carriage,
        "discounts": cut,
        "duties": toll,
        "total": lines
        + extra
        + carriage
        + order.tip
        + fees(order)
        + (ZERO if order.duties_included else toll),
    }


def duty_left(order: Order, line: LineItem) -> Decimal:
    """What of a line's duty was not given back yet."""
    back = (d.amount for r in order.refunds for d in r.duties if d.line_number == line.number_id)
    return line.duty - sum(back, ZERO)


def refunded_shipping(order: Order) -> Decimal:
    return sum((refund.shipping for refund in order.refunds), ZERO)


def payments(order: Order) -> list[Transaction]:
    return [
        t for t in order.transactions if t.kind in {"SALE", "CAPTURE"} and t.status == "SUCCESS"
    ]


def pending_payments(order: Order) -> list[Transaction]:
    """Money that may still come in; a refund that waits for its bank is none."""
    return [t for t in order.transactions if t.status == "PENDING" and t.kind != "REFUND"]


def received(order: Order) -> Decimal:
    return sum((t.amount for t in payments(order)), ZERO)


def refund_transactions(order: Order) -> list[Transaction]:
    """Refunds that moved money or still may."""
    dead = {"FAILURE", "ERROR"}
    return [t for t in order.transactions if t.kind == "REFUND" and t.status not in dead]


def refunded(order: Order) -> Decimal:
    return sum((t.amount for t in refund_transactions(order)), ZERO)


def net(order: Order) -> Decimal:
    return received(order) - refunded(order)


def left_of(order: Order, payment: Transaction) -> Decimal:
    """What can still be refunded to one payment."""
    back = [t for t in refund_transactions(order) if t.parent_number == payment.number_id]
    # Store credit has no parent, and yet what was credited cannot go back to a card as well.
    return min(payment.amount - sum((t.amount for t in back), ZERO), max(ZERO, net(order)))


def outstanding(order: Order) -> Decimal:
    if order.cancelled_at:
        return ZERO
    # What is authorized is not owed any more.
    return current(order)["total"] + order.cash_rounding - net(order) - capturable(order)


def capturable(order: Order) -> Decimal:
    if order.cancelled_at:
        return ZERO
    result = ZERO
    for held in open_authorizations(order):
        taken = [
            t
            for t in order.transactions
            if t.parent_number == held.number_id and t.kind == "CAPTURE" and t.status == "SUCCESS"
        ]
        result += held.amount - sum((t.amount for t in taken), ZERO)
    return result


def open_authorizations(order: Order) -> list[Transaction]:
    voided = {
        t.parent_number for t in order.transactions if t.kind == "VOID" and t.status == "SUCCESS"
    }
    return [
        t
        for t in order.transactions
        if t.kind == "AUTHORIZATION" and t.status == "SUCCESS" and t.number_id not in voided
    ]


def voidable(order: Order) -> list[Transaction]:
    """Authorizations of which nothing was taken; of the others the money goes back instead."""
    captured = {t.parent_number for t in order.transactions if t.kind == "CAPTURE"}
    return [held for held in open_authorizations(order) if held.number_id not in captured]


def financial_status(order: Order) -> str | None:
    """Shopify's word for where the money stands; None for an order without transactions."""
    if order.status_override:
        return order.status_override
    if order.expired:
        return "EXPIRED"
    paid, back = received(order), refunded(order)
    if paid > 0:
        if back >= paid:
            return "REFUNDED"
        if back > 0:
            return "PARTIALLY_REFUNDED"
        return "PAID" if paid >= total(order) + order.cash_rounding else "PARTIALLY_PAID"
    kinds = {t.kind for t in order.transactions if t.status == "SUCCESS"}
    if "VOID" in kinds:
        return "VOIDED"
    if "AUTHORIZATION" in kinds:
        return "AUTHORIZED"
    if total(order) == 0 and order.lines:
        return "PAID"
    return "PENDING" if pending_payments(order) or order.pending else None
