"""Canceling an order: a job that is accepted first and carried out a moment later."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from practice_store.context import Context
from practice_store.derived import order_sums, payloads
from practice_store.errors import UserError
from practice_store.sales import bank_refunds, lifecycle, payments
from practice_store.state import Job, Order, Refund, Transaction

JOB_SECONDS: Final = 1.0


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
        payments.void(context, order, held)
    for waiting in order_sums.pending_payments(order):
        payments.add_transaction(
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
    lifecycle.touch(context, order, "orders/cancelled")


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
    lifecycle.touch(context, order)


def _fail(job: Job, message: str) -> None:
    job.status = "FAILED"
    job.errors = [{"field": None, "message": message, "code": "INTERNAL_ERROR"}]


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
    return [payments.add_store_credit(context, order, amount=whole, expires_at=expires_at)]


def _pay_all_back(context: Context, order: Order) -> list[Transaction]:
    """Refund to each payment what wasn't returned to it.

    Shopify warns that canceling with a refund may pay twice if the order was refunded before. So
    does this store, if that refund went elsewhere (store credit) and there are several payments.
    """
    left = [(payment, order_sums.left_of(order, payment)) for payment in order_sums.payments(order)]
    moves = [(payment, amount) for payment, amount in left if amount > 0]
    return bank_refunds.give_back(context, order, moves, key=None)
