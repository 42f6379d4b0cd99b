"""Transactions: paying, authorizing, capturing and voiding, and store credit."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from practice_store.context import Context
from practice_store.derived import order_sums, payloads
from practice_store.errors import UserError
from practice_store.sales import lifecycle
from practice_store.state import ZERO, Order, Transaction

STORE_CREDIT_GATEWAY: Final = "shopify_store_credit"
SHOPIFY_PAYMENTS: Final = "shopify_payments"

MANUAL_GATEWAYS: Final = frozenset(
    {"manual", "Cash on Delivery (COD)", "Bank Deposit", "Money Order"}
)


def add_transaction(
    context: Context,
    order: Order,
    *,
    kind: str,
    amount: Decimal,
    gateway: str,
    status: str = "SUCCESS",
    parent: Transaction | None = None,
    account_number: str | None = None,
    at: datetime | None = None,
    key: str | None = None,
    error_code: str | None = None,
) -> Transaction:
    """Book a transaction, and report it unless it is pending."""
    moment = at or context.now()
    transaction = Transaction(
        number_id=context.shop.new_id(),
        kind=kind,
        status=status,
        gateway=gateway,
        amount=amount,
        created_at=moment,
        processed_at=moment,
        parent_number=parent.number_id if parent else None,
        manual=gateway in MANUAL_GATEWAYS,
        account_number=account_number or (parent.account_number if parent else None),
        test=order.test,
        key=key,
        error_code=error_code,
    )
    order.transactions.append(transaction)
    if status in {"SUCCESS", "FAILURE", "ERROR"}:
        body = payloads.transaction(context.shop, order, transaction)
        context.emit("order_transactions/create", body)
    return transaction


def acquirer_reference(context: Context, refund: Transaction) -> str | None:
    """Return the number under which the cardholder's bank finds a refund to a card.

    None until the acquirer has booked it, which takes `conditions.reference_s` from the refund on.
    """
    due = refund.processed_at + timedelta(seconds=context.conditions.reference_s)
    if refund.status != "SUCCESS" or not refund.account_number or context.now() < due:
        return None
    # 23 digits: a format, the acquirer, and its own number of the booking.
    return f"74537604{refund.number_id % 10**15:015d}"


def add_store_credit(
    context: Context,
    order: Order,
    *,
    amount: Decimal,
    expires_at: datetime | None,
    key: str | None = None,
) -> Transaction:
    """Refund to store credit: settled at once, and not tied to a particular payment."""
    credit = add_transaction(
        context, order, kind="REFUND", amount=amount, gateway=STORE_CREDIT_GATEWAY, key=key
    )
    credit.expires_at = expires_at
    return credit


def mark_as_paid(context: Context, order: Order) -> None:
    """Book everything outstanding as paid outside Shopify. Raises UserError if nothing is owed."""
    owed = order_sums.outstanding(order)
    if order.cancelled_at or owed <= 0 or order_sums.open_authorizations(order):
        raise UserError("Order cannot be marked as paid.", ["id"])
    pending = next(iter(order_sums.pending_payments(order)), None)
    gateway = pending.gateway if pending else "manual"
    order.pending = False
    add_transaction(
        context, order, kind="SALE", amount=owed, gateway=gateway, parent=pending
    ).manual = True
    lifecycle.touch(context, order, "orders/paid")


def capture(context: Context, order: Order, parent_number: int, amount: Decimal) -> Transaction:
    """Capture part of an authorization. Raises UserError with Shopify's message."""
    parent = next((t for t in order.transactions if t.number_id == parent_number), None)
    if parent is None:
        raise UserError("Transaction does not exist", ["parentTransactionId"])
    if parent.kind != "AUTHORIZATION" or parent.status != "SUCCESS":
        raise UserError("Parent transaction should be a successful authorization")
    if order_sums.capturable(order) <= 0 or parent not in order_sums.open_authorizations(order):
        raise UserError("Can only capture successful authorizations")
    if amount <= 0 or amount > order_sums.capturable(order):
        raise UserError("Amount exceeds the capturable amount.", ["amount"])
    taken = add_transaction(
        context, order, kind="CAPTURE", amount=amount, gateway=parent.gateway, parent=parent
    )
    paid = order_sums.financial_status(order) == "PAID"
    lifecycle.touch(context, order, *(("orders/paid",) if paid else ()))
    return taken


def void(context: Context, order: Order, held: Transaction) -> Transaction:
    """Release an authorization; the caller has checked that it is voidable."""
    gone = add_transaction(
        context, order, kind="VOID", amount=ZERO, gateway=held.gateway, parent=held
    )
    lifecycle.touch(context, order)
    return gone
