"""Placing, paying and ending orders: what a shop does, no matter who asks for it.

GraphQL mutations, the staff page and the seeder all go through here, so that they book the same way
and send the same webhooks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from practice_store import (
    order_sums,
    payloads,
    quantities,
)
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.state import (
    ZERO,
    FulfillmentOrder,
    FulfillmentOrderLine,
    Job,
    Order,
    Refund,
    Transaction,
)

JOB_SECONDS: Final = 1.0
STORE_CREDIT_GATEWAY: Final = "shopify_store_credit"
MANUAL_GATEWAYS: Final = frozenset(
    {"manual", "Cash on Delivery (COD)", "Bank Deposit", "Money Order"}
)


def touch(context: Context, order: Order, *topics: str) -> None:
    """Mark the order as changed: stamp it and emit the topics, orders/updated last."""
    context.changed.add(order.number_id)
    order.updated_at = max(context.now(), order.updated_at)
    for topic in (*topics, "orders/updated"):
        context.emit(topic, payloads.order(context.shop, order))


def place(context: Context, order: Order) -> None:
    """Add a fully described order to the shop, with its fulfillment order and webhooks."""
    context.shop.orders[order.number_id] = order
    goods = [line for line in order.lines if line.requires_shipping]
    if goods and not order.fulfillment_orders:
        order.fulfillment_orders.append(_fulfillment_order(context, order))
    touch(context, order, "orders/create")
    if order_sums.financial_status(order) == "PAID":
        context.emit("orders/paid", payloads.order(context.shop, order))
    if customer := context.shop.customers.get(order.customer_number or 0):
        is_new = customer.created_at == customer.updated_at >= order.created_at
        customer.updated_at = max(context.now(), customer.updated_at)
        topic = "customers/create" if is_new else "customers/update"
        context.emit(topic, payloads.customer(customer))


def _fulfillment_order(context: Context, order: Order) -> FulfillmentOrder:
    return FulfillmentOrder(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        created_at=order.created_at,
        updated_at=order.created_at,
        lines=[
            FulfillmentOrderLine(
                number_id=context.shop.new_id(),
                line_number=line.number_id,
                total_quantity=line.quantity,
                remaining_quantity=line.quantity,
            )
            for line in order.lines
            if line.requires_shipping
        ],
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
    touch(context, order, "orders/paid")


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
    touch(context, order, *(("orders/paid",) if paid else ()))
    return taken


def void(context: Context, order: Order, held: Transaction) -> Transaction:
    """Release an authorization; the caller has checked that it is voidable."""
    gone = add_transaction(
        context, order, kind="VOID", amount=ZERO, gateway=held.gateway, parent=held
    )
    touch(context, order)
    return gone


def close(context: Context, order: Order) -> None:
    """Archive the order; an archived one keeps its time."""
    order.closed_at = order.closed_at or context.now()
    touch(context, order)


def archive_if_done(context: Context, order: Order) -> None:
    """Archive an order that is paid and shipped, as Shopify does unless the shop turned that off."""
    is_done = (
        context.shop.auto_archive
        and order.closed_at is None
        and any(parcel.is_live for parcel in order.fulfillments)
        and quantities.fulfillment_status(order) == "FULFILLED"
        and order_sums.financial_status(order) in {"PAID", "PARTIALLY_REFUNDED", "REFUNDED"}
        and not any(back.status in {"OPEN", "REQUESTED"} for back in order.returns)
    )
    if is_done:
        order.closed_at = context.now()


def reopen(context: Context, order: Order) -> None:
    """Take the order out of the archive."""
    order.closed_at = None
    touch(context, order)


def delete(context: Context, order: Order) -> None:
    """Delete the order; the webhook only has its ID."""
    del context.shop.orders[order.number_id]
    context.changed.add(order.number_id)
    context.emit("orders/delete", {"id": order.number_id})


def check_cancelable(context: Context, order: Order, staff_note: str | None) -> None:
    """Raise UserError with Shopify's exact message if the order can't be canceled."""

    def refused(message: str, field: list[str] | None) -> UserError:
        return UserError(message, field, "INVALID")

    if order.cancelled_at:
        raise refused("Cannot cancel an order that has already been canceled", ["orderId"])
    if any(
        j.order_number == order.number_id and j.status == "STARTED"
        for j in context.shop.jobs.values()
    ):
        raise refused("Cancellation is already in progress", None)
    if staff_note and len(staff_note) > 255:
        message = "Staff note is too long. Maximum length is 255 characters."
        raise refused(message, ["staffNote"])
    if any(t.kind == "AUTHORIZATION" and t.status == "PENDING" for t in order.transactions):
        message = "Cannot cancel an order that has pending payment authorizations"
        raise refused(message, ["orderId"])
    if not order_sums.received(order):
        return
    if any(r.status in {"OPEN", "REQUESTED"} for r in order.returns):
        raise refused("Cannot cancel an order that has returns", ["orderId"])
    if any(f.is_live for f in order.fulfillments):
        raise refused("Cannot cancel an order that has outstanding fulfillments", ["orderId"])


def start_cancel(
    context: Context,
    order: Order,
    *,
    reason: str,
    refund: bool,
    staff_note: str | None,
    key: str,
    store_credit: bool = False,
    credit_expires_at: datetime | None = None,
    made_by: str = "app",
) -> Job:
    """Accept a cancellation; it is carried out a moment later, as a job."""
    job = Job(
        key=key,
        order_number=order.number_id,
        reason=reason,
        refund=refund,
        store_credit=store_credit,
        credit_expires_at=credit_expires_at,
        staff_note=staff_note,
        made_by=made_by,
        accepted_at=context.now(),
        course=context.dice.choice(context.conditions.cancels),
    )
    context.shop.jobs[key] = job
    context.later(JOB_SECONDS, lambda later: run_job(later, key))
    return job


def run_job(context: Context, key: str) -> None:
    """Carry out what is left of an accepted cancellation; running it again changes nothing."""
    job = context.shop.jobs.get(key)
    order = context.shop.orders.get(job.order_number) if job else None
    if not job or not order:
        return
    if job.owes_refund:
        _refund_late(context, order, job)
    elif job.status == "STARTED":
        finish_cancel(context, order, job)


def finish_cancel(
    context: Context,
    order: Order,
    job: Job,
) -> None:
    """Cancel as Shopify does: void authorizations, drop unshipped work, archive; then refund as the
    job says.
    """
    if job.course == "failed":
        _fail(job, "The order could not be canceled.")
        context.changed.add(order.number_id)
        return
    now = context.now()
    for held in order_sums.voidable(order):
        void(context, order, held)
    for waiting in order_sums.pending_payments(order):
        add_transaction(
            context,
            order,
            kind="VOID",
            amount=waiting.amount,
            gateway=waiting.gateway,
            parent=waiting,
        )
        waiting.status = "FAILURE"
    had_money = order_sums.net(order) > 0
    order.cancelled_at = now
    # An order that was archived before keeps that time.
    order.closed_at = order.closed_at or now
    order.cancel_reason = job.reason
    order.cancel_staff_note = job.staff_note
    order.cancel_key = job.key
    if order.pending:
        # Payment pending without a transaction: there is nothing to void, but Shopify shows VOIDED.
        order.pending, order.status_override = False, "VOIDED"
    for line in order.lines:
        line.removed = line.quantity - line.refunded - line.returned
    for work in order.fulfillment_orders:
        work.status = "CLOSED"
        for item in work.lines:
            item.total_quantity = item.remaining_quantity = 0
    job.status = "SUCCEEDED"
    if job.refund and had_money:
        _begin_refund(context, order, job)
    touch(context, order, "orders/cancelled")


def _begin_refund(context: Context, order: Order, job: Job) -> None:
    """Refund now, later or never, depending on the job's course."""
    if job.course in {"job_open", "job_done"}:
        job.owes_refund = True
        if job.course == "job_open":
            job.status = "STARTED"
        context.later(context.conditions.refund_after_s, partial(run_job, key=job.key))
    elif job.course == "no_refund_failed":
        _fail(job, "The order was canceled, but the refund could not be created.")
    elif job.course != "no_refund":
        _refund_everything(context, order, job, context.now())


def _refund_late(context: Context, order: Order, job: Job) -> None:
    job.owes_refund, job.status = False, "SUCCEEDED"
    if order_sums.net(order) > 0:
        _refund_everything(context, order, job, context.now())
    touch(context, order)


def _fail(job: Job, message: str) -> None:
    job.status = "FAILED"
    job.errors = [{"field": None, "message": message, "code": "INTERNAL_ERROR"}]


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
        ("SUCCESS", None) if gateway == STORE_CREDIT_GATEWAY else status
        for gateway, status in zip(gateways, found, strict=True)
    ]


def give_back(
    context: Context, order: Order, moves: list[tuple[Transaction, Decimal]], *, key: str | None
) -> list[Transaction]:
    """Book refunds to the payments they came from, as fast as their banks are."""
    moved = []
    statuses = bank_statuses(context, [parent.gateway for parent, _amount in moves])
    for (parent, amount), (status, bank_says) in zip(moves, statuses, strict=True):
        back = add_transaction(
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
            touch(context, order)


def _refund_everything(context: Context, order: Order, job: Job, now: datetime) -> Refund:
    back = Refund(
        number_id=context.shop.new_id(),
        order_number=order.number_id,
        created_at=now,
        processed_at=now,
        made_by=job.made_by,
        job_key=job.key,
    )
    moved = _credit_all(context, order, job) if job.store_credit else _pay_all_back(context, order)
    back.transactions += [transaction.number_id for transaction in moved]
    order.refunds.append(back)
    context.emit("refunds/create", payloads.refund(context.shop, order, back))
    return back


def _credit_all(context: Context, order: Order, job: Job) -> list[Transaction]:
    whole, expires_at = order_sums.net(order), job.credit_expires_at
    return [add_store_credit(context, order, amount=whole, expires_at=expires_at)]


def _pay_all_back(context: Context, order: Order) -> list[Transaction]:
    """Refund to each payment what wasn't returned to it.

    Shopify warns that canceling with a refund may pay twice if the order was refunded before. So
    does this store, if that refund went elsewhere (store credit) and there are several payments.
    """
    left = [(payment, order_sums.left_of(order, payment)) for payment in order_sums.payments(order)]
    moves = [(payment, amount) for payment, amount in left if amount > 0]
    return give_back(context, order, moves, key=None)
