"""How far an action has come, told by a read of Shopify alone. Pure.

Answers get lost and jobs lie; the order does not. So what happens next never follows from
what was sent, but from what a fresh snapshot shows (reliability: read before every send).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext as _

from orders import rules
from orders.models import ActionKind, ActionState, OrderAction
from orders.money import Money
from orders.snapshot import OrderSnapshot, Refund

# Shopify keeps an idempotency key 24 h; after 20 nothing is sent by itself any more.
KEY_WINDOW: Final = timedelta(hours=20)
_FAILED: Final = frozenset({"FAILURE", "ERROR"})
_WAITING: Final = frozenset({"PENDING", "AWAITING_RESPONSE", "UNKNOWN"})


class Goal(StrEnum):
    """What a step is to bring about."""

    CANCEL_SHIPMENT = "cancel_shipment"
    CANCEL_ORDER = "cancel_order"
    REFUND = "refund"


class Job(StrEnum):
    """What Shopify says of the cancelation it runs by itself."""

    NONE = "none"
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Settled:
    """The action is over. `refund_gid` is the refund it made, if any."""

    state: ActionState
    message: str = ""
    refund_gid: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Shopify or a bank is still at it: look again later."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class ToSend:
    """This step of the action is to be sent now."""

    step: int


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Reading cannot settle it, and sending could move money twice: a person decides."""

    message: str


Move = Settled | Waiting | ToSend | Contradiction


def next_move(
    action: OrderAction, snapshot: OrderSnapshot, *, job: Job, job_message: str = "", now: datetime
) -> Move:
    """What to do about an active action, given what Shopify shows now."""
    for index, step in enumerate(action.steps):
        match step["goal"]:
            case Goal.CANCEL_SHIPMENT:
                move = _shipment_move(index, step["target"], snapshot)
            case Goal.CANCEL_ORDER:
                move = _cancel_move(index, action, snapshot, job, job_message)
            case Goal.REFUND:
                move = _refund_move(index, action, snapshot, now)
            case _:
                move = Contradiction(_("This version does not know the step “%s”.") % step["goal"])
        if move is not None:
            return move
    return outcome(action, snapshot, job=job)


def outcome(action: OrderAction, snapshot: OrderSnapshot, *, job: Job = Job.NONE) -> Move:
    """The end of an action whose every step Shopify shows done."""
    refund = refund_of(action, snapshot)
    if action.kind == ActionKind.CANCEL:
        return Settled(ActionState.SUCCEEDED)
    if refund is None:
        # One orderCancel was to return everything; money left means that half is missing.
        if job == Job.OPEN:
            return Waiting(_("Canceled; Shopify is still refunding."))
        return Settled(ActionState.PARTIAL, _("Canceled, but Shopify booked no refund."))
    if any(t.status in _FAILED for t in refund.transactions):
        codes = ", ".join(t.error_code for t in refund.transactions if t.error_code)
        text = _("The refund failed at the payment provider.") + (f" ({codes})" if codes else "")
        failed = ActionState.REVERSED if action.kind == ActionKind.REFUND else ActionState.PARTIAL
        return Settled(failed, text, refund.gid)
    if any(t.status in _WAITING for t in refund.transactions):
        return Waiting(_("Refund accepted; the bank has not confirmed it yet."))
    return Settled(ActionState.SUCCEEDED, refund_gid=refund.gid)


def is_evident(action: OrderAction, snapshot: OrderSnapshot) -> bool:
    """The snapshot alone proves every step done, whoever tells of it."""
    for step in action.steps:
        match step["goal"]:
            case Goal.CANCEL_ORDER if not canceled_by(action, snapshot):
                return False
            case Goal.REFUND if refund_of(action, snapshot) is None:
                return False
    if action.kind == ActionKind.CANCEL_AND_REFUND:
        return refund_of(action, snapshot) is not None
    return True


def canceled_by(action: OrderAction, snapshot: OrderSnapshot) -> bool:
    return bool(snapshot.cancelled_at) and action.note_marker in snapshot.cancel_staff_note


def refund_of(action: OrderAction, snapshot: OrderSnapshot) -> Refund | None:
    """The refund this action made: by its marker, or as the money leg of its cancelation."""
    for refund in snapshot.refunds:
        if action.note_marker in refund.note:
            return refund
    if not _refunds_by_canceling(action) or not canceled_by(action, snapshot):
        return None
    if snapshot.cancelled_at is None:
        return None
    since = snapshot.cancelled_at - timedelta(seconds=60)
    candidates = [
        refund
        for refund in snapshot.refunds
        if "[ax:" not in refund.note
        and refund.total.presentment.amount > 0
        and refund.created_at is not None
        and refund.created_at >= since
    ]
    return candidates[0] if candidates else None


def _refunds_by_canceling(action: OrderAction) -> bool:
    goals = {step["goal"] for step in action.steps}
    return action.kind == ActionKind.CANCEL_AND_REFUND and Goal.REFUND not in goals


def _shipment_move(index: int, gid: str, snapshot: OrderSnapshot) -> Move | None:
    for fulfillment in snapshot.fulfillments:
        if fulfillment.gid == gid and fulfillment.status != "CANCELLED":
            return None if snapshot.cancelled_at else ToSend(index)
    return None


def _cancel_move(
    index: int, action: OrderAction, snapshot: OrderSnapshot, job: Job, job_message: str
) -> Move | None:
    if canceled_by(action, snapshot):
        return None
    if snapshot.cancelled_at:
        return Settled(ActionState.REJECTED, _("The order was canceled in Shopify meanwhile."))
    if job == Job.OPEN:
        return Waiting()
    if job == Job.FAILED:
        text = job_message or _("Shopify could not cancel the order.")
        return Settled(ActionState.REJECTED, text)
    if job == Job.SUCCEEDED:
        # Evidence is the order, not the job: it may be a moment behind.
        return Waiting(_("Shopify says it is canceled; the order does not show it yet."))
    if not action.is_doubtful and (changed := _foreign_refund(action, snapshot)):
        return Settled(ActionState.REJECTED, changed)
    return ToSend(index)


def _refund_move(
    index: int, action: OrderAction, snapshot: OrderSnapshot, now: datetime
) -> Move | None:
    if refund_of(action, snapshot) is not None:
        return None
    doubtful = action.is_doubtful and action.step == index
    if doubtful and action.step_first_sent_at and now - action.step_first_sent_at > KEY_WINDOW:
        return Contradiction(
            _("Sent more than 20 hours ago, and Shopify shows no refund. Compare with Shopify.")
        )
    if changed := _foreign_refund(action, snapshot):
        if doubtful:
            return Contradiction(changed)
        after_cancel = action.kind == ActionKind.CANCEL_AND_REFUND
        state = ActionState.PARTIAL if after_cancel else ActionState.REJECTED
        return Settled(state, changed)
    return ToSend(index)


def _foreign_refund(action: OrderAction, snapshot: OrderSnapshot) -> str:
    """A sentence when somebody else refunded since the summary was shown, else ""."""
    refunded = snapshot.money.refunded.presentment
    before = action.proposal["facts"]["refunded"]
    if f"{refunded.plain()} {refunded.currency}" == before:
        net, amount = rules.net_paid(snapshot), action.money
        if amount is None or amount <= net:
            return ""
    amount_before = Money.from_wire(before.split()[0], refunded.currency)
    return _("Refunded in Shopify meanwhile: %(sum)s. Review the order again.") % {
        "sum": (refunded - amount_before).format()
    }
