"""Amounts as Shopify books them, as Decimals in the order's presentment currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final

from core.json_types import JsonObject
from practice_store.state import (
    ZERO,
    LineItem,
    Order,
    Transaction,
)

# ISO 4217's minor units where they are not 2. A table of its own, because an error in one shared
# with the product would go unnoticed.
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
    """Return a currency's smallest unit by ISO 4217, as Shopify does: RSD has 2 decimals, although
    cash doesn't.
    """
    return Decimal(1).scaleb(-_MINOR_UNITS.get(currency, 2))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's smallest unit."""
    return amount.quantize(quantum(currency), rounding=ROUND_HALF_UP)


def wire(amount: Decimal) -> str:
    """Format as Shopify's Decimal, "15.0": at least one decimal, no other trailing zeros, no
    exponent.
    """
    text = f"{amount:f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0") or "0"
    return f"{'0' if whole in {'-0', ''} and fraction == '0' else whole}.{fraction}"


def money(amount: Decimal, currency: str) -> JsonObject:
    """Return a MoneyV2."""
    return {"amount": amount, "currencyCode": currency}


def bag(order: Order, amount: Decimal) -> JsonObject:
    """Return the MoneyBag of a presentment amount."""
    shop = rounded(amount * order.rate, order.currency)
    return {
        "shopMoney": money(shop, order.currency),
        "presentmentMoney": money(amount, order.presentment_currency),
    }


def line_total(line: LineItem) -> Decimal:
    """Return the line's price after its discount, without tax."""
    return line.unit_price * line.quantity - line.discount


def share(order: Order, whole: Decimal, part: int, of: int) -> Decimal:
    """Return what the first `part` of `of` units cost, rounded so that all shares add up to
    `whole`.
    """
    return rounded(whole * part / of, order.presentment_currency) if of else ZERO


def subtotal(order: Order) -> Decimal:
    """Return the total of all lines as sold, after discounts, without added tax."""
    return sum((line_total(line) for line in order.lines), ZERO)


def tax(order: Order) -> Decimal:
    """Return the tax of lines and shipping, whether included in the prices or not."""
    own = sum((line.tax for line in order.lines), ZERO)
    return own + sum((line.tax for line in order.shipping_lines), ZERO)


def shipping(order: Order) -> Decimal:
    """Return the shipping price as sold, before refunds."""
    return sum((line.price for line in order.shipping_lines), ZERO)


def discounts(order: Order) -> Decimal:
    """Return the discounts of all lines."""
    return sum((line.discount for line in order.lines), ZERO)


def added_tax(order: Order) -> Decimal:
    """Return the tax on top of the prices; zero if they include it."""
    return ZERO if order.taxes_included else tax(order)


def duties(order: Order) -> Decimal:
    """Return the duties of all lines, before refunds."""
    return sum((line.duty for line in order.lines), ZERO)


def added_duties(order: Order) -> Decimal:
    """Return the duties on top of the prices; zero if they include them."""
    return ZERO if order.duties_included else duties(order)


def fees(order: Order) -> Decimal:
    """Return the additional fees."""
    return sum((fee.price for fee in order.fees), ZERO)


def total(order: Order) -> Decimal:
    """Return the order's total, edits and exchanges included, before refunds."""
    own = subtotal(order) + shipping(order) + added_tax(order) + order.tip
    return own + added_duties(order) + fees(order)


def original_total(order: Order) -> Decimal:
    """Return the total as the order was placed, without what edits and exchanges added."""
    later = (line for line in order.lines if line.added)
    extra = sum((line_total(li) + (ZERO if order.taxes_included else li.tax) for li in later), ZERO)
    return total(order) - extra


def current(order: Order) -> dict[str, Decimal]:
    """Return the totals after refunds of lines; all zero once the order is canceled."""
    if order.cancelled_at:
        nothing = ("subtotal", "tax", "shipping", "total", "discounts", "duties")
        return dict.fromkeys(nothing, ZERO)
    lines = taxes = discount = duty = ZERO
    for line in order.lines:
        left = line.current_quantity
        lines += share(order, line_total(line), left, line.quantity)
        taxes += share(order, line.tax, left, line.quantity)
        discount += share(order, line.discount, left, line.quantity)
        duty += duty_left(order, line) if left else ZERO
    shipping_left = shipping(order) - refunded_shipping(order)
    taxes += sum((s.tax for s in order.shipping_lines), ZERO)
    extra = ZERO if order.taxes_included else taxes
    return {
        "subtotal": lines,
        "tax": taxes,
        "shipping": shipping_left,
        "discounts": discount,
        "duties": duty,
        "total": lines
        + extra
        + shipping_left
        + order.tip
        + fees(order)
        + (ZERO if order.duties_included else duty),
    }


def duty_left(order: Order, line: LineItem) -> Decimal:
    """Return the part of a line's duty that hasn't been refunded."""
    back = (d.amount for r in order.refunds for d in r.duties if d.line_number == line.number_id)
    return line.duty - sum(back, ZERO)


def refunded_shipping(order: Order) -> Decimal:
    """Return how much of the shipping price was refunded."""
    return sum((refund.shipping for refund in order.refunds), ZERO)


def payments(order: Order) -> list[Transaction]:
    """Return the successful sales and captures."""
    return [
        t for t in order.transactions if t.kind in {"SALE", "CAPTURE"} and t.status == "SUCCESS"
    ]


def pending_payments(order: Order) -> list[Transaction]:
    """Return transactions that may still bring money in; a refund pending at its bank doesn't
    count.
    """
    return [t for t in order.transactions if t.status == "PENDING" and t.kind != "REFUND"]


def received(order: Order) -> Decimal:
    """Return the sum of the successful payments, before refunds."""
    return sum((t.amount for t in payments(order)), ZERO)


def refund_transactions(order: Order) -> list[Transaction]:
    """Return the refunds that moved money or still may."""
    dead = {"FAILURE", "ERROR"}
    return [t for t in order.transactions if t.kind == "REFUND" and t.status not in dead]


def refunded(order: Order) -> Decimal:
    """Return the sum of all refunds that haven't failed, pending ones included."""
    return sum((t.amount for t in refund_transactions(order)), ZERO)


def net(order: Order) -> Decimal:
    """Return what was received less what was refunded."""
    return received(order) - refunded(order)


def left_of(order: Order, payment: Transaction) -> Decimal:
    """Return how much can still be refunded to this payment."""
    back = [t for t in refund_transactions(order) if t.parent_number == payment.number_id]
    # A store credit refund has no parent payment, but its amount can't go back to a card as well.
    return min(payment.amount - sum((t.amount for t in back), ZERO), max(ZERO, net(order)))


def outstanding(order: Order) -> Decimal:
    """Return what the customer still owes; negative if the shop owes money."""
    if order.cancelled_at:
        return ZERO
    # An authorized amount is no longer owed.
    return current(order)["total"] + order.cash_rounding - net(order) - capturable(order)


def capturable(order: Order) -> Decimal:
    """Return the authorized amount that hasn't been captured; zero once canceled."""
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
    """Return the successful authorizations that weren't voided."""
    voided = {
        t.parent_number for t in order.transactions if t.kind == "VOID" and t.status == "SUCCESS"
    }
    return [
        t
        for t in order.transactions
        if t.kind == "AUTHORIZATION" and t.status == "SUCCESS" and t.number_id not in voided
    ]


def voidable(order: Order) -> list[Transaction]:
    """Return authorizations without captures; money that was captured is refunded instead."""
    captured = {t.parent_number for t in order.transactions if t.kind == "CAPTURE"}
    return [held for held in open_authorizations(order) if held.number_id not in captured]


def financial_status(order: Order) -> str | None:
    """Return Shopify's displayFinancialStatus; None for an order without transactions."""
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
