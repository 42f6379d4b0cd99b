"""Refunds to the payments they came from, at the speed of their banks."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial

from practice_store.context import Context
from practice_store.derived import payloads
from practice_store.sales import lifecycle, payments
from practice_store.state import Order, Transaction


def bank_statuses(context: Context, gateways: list[str]) -> list[tuple[str, str | None]]:
    """Return each transaction's first status for a new refund, and what a PENDING one becomes."""
    course = context.dice.choice(context.conditions.refunds)
    statuses: dict[str, tuple[str, str | None]] = {
        "pending_success": ("PENDING", "SUCCESS"),
        "pending_failure": ("PENDING", "FAILURE"),
        "failure": ("FAILURE", None),
    }
    found = [statuses.get(course, ("SUCCESS", None))] * len(gateways)
    if course == "half_failure" and len(gateways) > 1:
        found[-1] = statuses["failure"]
    return [
        ("SUCCESS", None) if gateway == payments.STORE_CREDIT_GATEWAY else status
        for gateway, status in zip(gateways, found, strict=True)
    ]


def give_back(
    context: Context, order: Order, moves: list[tuple[Transaction, Decimal]], *, key: str | None
) -> list[Transaction]:
    """Book refunds to the payments they came from, as fast as their banks are."""
    moved = []
    statuses = bank_statuses(context, [parent.gateway for parent, _amount in moves])
    for (parent, amount), (status, bank_says) in zip(moves, statuses, strict=True):
        back = payments.add_transaction(
            context,
            order,
            kind="REFUND",
            amount=amount,
            gateway=parent.gateway,
            parent=parent,
            key=key,
            status=status,
            error_code="PROCESSING_ERROR" if status == "FAILURE" else None,
        )
        if bank_says:
            wait_s = context.conditions.bank_s
            back.bank_says, back.bank_at = bank_says, context.now() + timedelta(seconds=wait_s)
            await_bank(context, order, back, wait_s)
        moved.append(back)
    return moved


def await_bank(context: Context, order: Order, transaction: Transaction, wait_s: float) -> None:
    """Schedule the bank's answer to a pending refund."""
    answers = partial(
        bank_answers, order_number=order.number_id, transaction_number=transaction.number_id
    )
    context.later(wait_s, answers)


def bank_answers(context: Context, order_number: int, transaction_number: int) -> None:
    """Let a pending refund succeed or fail; a second answer changes nothing."""
    order = context.shop.orders.get(order_number)
    for transaction in order.transactions if order else ():
        if transaction.number_id == transaction_number and order and transaction.bank_says:
            transaction.status, transaction.bank_says = transaction.bank_says, None
            if transaction.status == "FAILURE":
                transaction.error_code = "PROCESSING_ERROR"
            transaction.processed_at = context.now()
            body = payloads.transaction(context.shop, order, transaction)
            context.emit("order_transactions/create", body)
            lifecycle.touch(context, order)
