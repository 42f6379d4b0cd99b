"""Refunds as store credit: who may get one, and how much.

The shapes come from Shopify's schema, which has error codes for orderCancel only. Messages are ours
unless a recording has Shopify's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.errors import UserError
from practice_store.state import Order


@dataclass(frozen=True)
class Credit:
    """A store credit refund, in the order's presentment currency."""

    amount: Decimal
    expires_at: datetime | None


def has_customer(context: Context, order: Order) -> bool:
    """Return whether the order has a customer to credit."""
    return order.customer_number in context.shop.customers


def of_refund(context: Context, order: Order, methods: list[JsonObject]) -> list[Credit]:
    """Check RefundInput.refundMethods. Raises UserError; the caller compares the sum with the
    order.
    """
    return [
        _of_method(
            context,
            order,
            method["storeCreditRefund"],
            ["refundMethods", str(index), "storeCreditRefund"],
        )
        for index, method in enumerate(methods)
    ]


def _of_method(context: Context, order: Order, data: JsonObject, where: list[str]) -> Credit:
    if not has_customer(context, order):
        raise UserError("Store credit can only be issued to a customer", where)
    amount = Decimal(str(data["amount"]["amount"]))
    # Shopify doesn't document which of an order's two currencies it credits. As in the rest of a
    # refund, use the one the customer paid in.
    if data["amount"]["currencyCode"] != order.presentment_currency:
        message = f"Currency must be {order.presentment_currency}"
        raise UserError(message, [*where, "amount", "currencyCode"])
    if amount <= 0 or amount != order_sums.rounded(amount, order.presentment_currency):
        raise UserError("Amount is invalid", [*where, "amount", "amount"])
    expires_at = data.get("expiresAt")
    if _is_past(context, expires_at):
        raise UserError("Expiration date must be in the future", [*where, "expiresAt"])
    return Credit(amount, expires_at)


def check_cancel(context: Context, order: Order, data: JsonObject) -> None:
    """Check OrderCancelRefundMethodInput.storeCreditRefund. Raises UserError with Shopify's codes."""
    where = ["refundMethod", "storeCreditRefund"]
    if not has_customer(context, order):
        message = "Store credit can only be issued to a customer"
        raise UserError(message, where, "STORE_CREDIT_REFUND_MISSING_CUSTOMER")
    if _is_past(context, data.get("expiresAt")):
        message = "Expiration date must be in the future"
        code = "STORE_CREDIT_REFUND_EXPIRATION_IN_PAST"
        raise UserError(message, [*where, "expiresAt"], code)


def _is_past(context: Context, expires_at: datetime | None) -> bool:
    return expires_at is not None and expires_at <= context.now()
