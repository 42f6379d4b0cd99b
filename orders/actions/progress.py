"""How far an action has come, judged only by a read from Shopify. Pure.

Answers get lost, jobs report wrong results, and replicas lag. So the next step never follows from
what was sent, only from what an accepted read shows, plus what Shopify has already accepted: an
accepted step is never sent again, and what a read doesn't show is unknown, not undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from orders import rules
from orders.models import ActionKind, ActionState, OrderAction, Outcome, has_marker
from orders.money import Money, total
from orders.shopify_port import Goal, Job
from orders.snapshot import OrderSnapshot, Refund
from orders.statuses.money_moved import (
    any_failed,
    any_waiting,
    parts,
)
from orders.statuses.payment_labels import bank_reason

# Shopify keeps an idempotency key for 24 hours; after 20, nothing is resent automatically.
KEY_WINDOW: Final = timedelta(hours=20)
# How long after a send its effect may still appear: a late commit, or a lagging replica.
LATE_COMMIT: Final = timedelta(minutes=2)
# A cancellation books its own refund; one that appears later than this came from elsewhere.
_REFUND_FOLLOWS_WITHIN: Final = timedelta(hours=1)
# Shopify's times have whole seconds, and records of one cancellation differ by a few.
_CLOCK_LEEWAY: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Settled:
    """The action is over.

    `refund_gid` is the refund it made, if any. `outcome` says why it ended; "" if the state says it
    all.
    """

    state: ActionState
    message: str = ""
    refund_gid: str = ""
    # Only affects how the end is presented, so it doesn't count for equality.
    outcome: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Shopify or a bank is still working on it: look again later.

    With `refund_gid`, the refund is booked and only the bank's confirmation is missing.
    """

    message: str = ""
    refund_gid: str = ""
    # What we are waiting for is whether the send had any effect.
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class ToSend:
    """This step of the action must be sent now."""

    step: int


@dataclass(frozen=True, slots=True)
class Contradiction:
    """No read can settle it, and sending could move money twice: a person decides."""

    message: str


Move = Settled | Waiting | ToSend | Contradiction


def next_move(
    action: OrderAction, snapshot: OrderSnapshot, *, job: Job, job_message: str = "", now: datetime
) -> Move:
    """Decide what to do about an active action, given what Shopify shows now.

    `snapshot` is a read that the projection accepted. `job` must be read before it, so that
    (replica lag aside) the snapshot contains whatever a finished job did.
    """
    for index, step in enumerate(action.steps):
        match step["goal"]:
            case Goal.CANCEL_SHIPMENT:
                move = _shipment_move(index, action, step["target"], snapshot, now)
            case Goal.CANCEL_ORDER:
                move = _cancel_move(index, action, snapshot, job, job_message, now)
            case Goal.REFUND:
                move = _refund_move(index, action, snapshot, now)
            case Goal.RETURN:
                move = _return_move(index, action, snapshot, now)
            case _:
                move = Contradiction(
                    _("This version doesn’t recognize the step “%s”.") % step["goal"]
                )
        if move is not None:
            return move
    return outcome(action, snapshot, job=job, job_message=job_message, now=now)


def outcome(
    action: OrderAction,
    snapshot: OrderSnapshot,
    *,
    job: Job = Job.NONE,
    job_message: str = "",
    now: datetime | None = None,
) -> Move:
    """Return how an action ends, or what it waits for, once Shopify shows every step done.

    `now` None skips the grace period in which a refund may still follow its cancellation.
    """
    if action.kind == ActionKind.CANCEL:
        return Settled(ActionState.SUCCEEDED)
    refund = refund_of(action, snapshot, job=job)
    if refund is None:
        return _canceled_without_refund(action, snapshot, job, job_message, now)
    if any_failed(refund):
        # With a cancellation, that part still holds, so the action was only partly done.
        state = ActionState.REVERSED if action.kind == ActionKind.REFUND else ActionState.PARTIAL
        return Settled(state, _failure_text(refund), refund.gid, _failure(refund))
    if any_waiting(refund):
        return Waiting(_("Refund accepted; the bank has not confirmed it yet."), refund.gid)
    return Settled(ActionState.SUCCEEDED, refund_gid=refund.gid)


def is_evident(action: OrderAction, snapshot: OrderSnapshot) -> bool:
    """Whether the snapshot alone proves that this action's every step was done."""
    for step in action.steps:
        match step["goal"]:
            case Goal.CANCEL_ORDER if not canceled_by(action, snapshot):
                return False
            case Goal.REFUND | Goal.RETURN if refund_of(action, snapshot) is None:
                return False
    if action.kind == ActionKind.CANCEL_AND_REFUND:
        return refund_of(action, snapshot) is not None
    return True


def canceled_by(action: OrderAction, snapshot: OrderSnapshot, *, job: Job = Job.NONE) -> bool:
    """Whether this action canceled the order.

    It did if the cancellation's staff note ends with the action's marker, or if the action's job
    succeeded and the note carries no other action's marker. Staff may edit the note; the job ID is
    Shopify's own.
    """
    if not snapshot.cancelled_at:
        return False
    note = snapshot.cancel_staff_note
    is_by_job = job == Job.SUCCEEDED and bool(action.job_gid) and not has_marker(note)
    return is_by_job or _is_marked(action, note)


def refund_of(
    action: OrderAction, snapshot: OrderSnapshot, *, job: Job = Job.NONE
) -> Refund | None:
    """Return the refund this action made, or None.

    Found by the ID Shopify answered with; else, matching the action's amount, by the marker at the
    end of its note, as the money leg of the action's cancellation, or as the only new refund of the
    return it processed.
    """
    if action.refund_gid:
        return next((r for r in snapshot.refunds if r.gid == action.refund_gid), None)
    for refund in snapshot.refunds:
        if _is_marked(action, refund.note) and _matches_amount(action, refund):
            return refund
    by_canceling = (
        r for r in _refunds_of_canceling(action, snapshot, job) if _matches_amount(action, r)
    )
    return next(by_canceling, None) or _refund_through_return(action, snapshot)


def _refund_through_return(action: OrderAction, snapshot: OrderSnapshot) -> Refund | None:
    """Find the action's refund through a return, which may not carry the action's marker.

    Whether Shopify copies a return's note to its refund is undocumented. Once it has accepted the
    step, the only new refund through that return is the action's; before that, it might be a
    colleague's.
    """
    steps = action.steps[: action.accepted_steps]
    if not (targets := {step["target"] for step in steps if step["goal"] == Goal.RETURN}):
        return None
    before = set(action.proposal["through"]["refunds_before"])
    found = [
        refund
        for refund in snapshot.refunds
        if refund.return_gid in targets and refund.gid not in before
        if not has_marker(refund.note) and _matches_amount(action, refund)
    ]
    return found[0] if len(found) == 1 else None


def _is_marked(action: OrderAction, note: str) -> bool:
    # Only at the end, where we put it: a marker quoted inside a note proves nothing.
    return note.rstrip().endswith(action.note_marker)


def _matches_amount(action: OrderAction, refund: Refund) -> bool:
    """Whether the refund is for the action's amount, however much of it has moved so far."""
    currency = refund.total.presentment.currency
    amounts = [t.amount.presentment for t in refund.transactions]
    asked = total((amount for amount in amounts if amount.currency == currency), currency)
    return action.money in {refund.total.presentment, asked}


def _refunds_of_canceling(
    action: OrderAction, snapshot: OrderSnapshot, job: Job
) -> Iterator[Refund]:
    """Yield unmarked refunds that Shopify booked around the time this action canceled."""
    canceled_at = snapshot.cancelled_at
    if (
        canceled_at is None
        or not _refunds_by_canceling(action)
        or not canceled_by(action, snapshot, job=job)
    ):
        return
    first, last = canceled_at - _CLOCK_LEEWAY, canceled_at + _REFUND_FOLLOWS_WITHIN
    for refund in snapshot.refunds:
        is_then = refund.created_at is not None and first <= refund.created_at <= last
        if is_then and not has_marker(refund.note) and _moves_money(refund):
            yield refund


def _moves_money(refund: Refund) -> bool:
    """Whether the refund is for more than zero.

    A cancellation with "refund later" books a refund of zero. Transactions that are pending or
    failed may not be in the refund's total, so they are checked too.
    """
    asked = (t.amount.presentment.amount for t in refund.transactions)
    return refund.total.presentment.amount > 0 or any(amount > 0 for amount in asked)


def _refunds_by_canceling(action: OrderAction) -> bool:
    """Whether Shopify refunds as part of this action's cancellation, without a refund step."""
    goals = {step["goal"] for step in action.steps}
    return action.kind == ActionKind.CANCEL_AND_REFUND and Goal.REFUND not in goals


def _canceled_without_refund(
    action: OrderAction, snapshot: OrderSnapshot, job: Job, job_message: str, now: datetime | None
) -> Move:
    """Shopify cancels first and books the refund afterwards, or never does."""
    sent_at = action.step_last_sent_at
    is_early = now is not None and sent_at is not None and now - sent_at < LATE_COMMIT
    if job == Job.OPEN or is_early:
        return Waiting(_("Canceled; Shopify is still refunding."))
    if other := next(_refunds_of_canceling(action, snapshot, job), None):
        return Contradiction(
            _("Canceled, but Shopify shows a refund of %(sum)s instead of %(amount)s.")
            % {"sum": other.total.presentment.format(), "amount": _amount_text(action)}
        )
    return Settled(ActionState.PARTIAL, job_message, outcome=Outcome.NOT_BOOKED)


def _failure(refund: Refund) -> Outcome:
    moved = parts(refund).moved.presentment
    return Outcome.PARTLY_FAILED_AT_BANK if moved else Outcome.FAILED_AT_BANK


def _failure_text(refund: Refund) -> str:
    reasons = dict.fromkeys(bank_reason(t.error_code) for t in refund.transactions if t.error_code)
    text = _("The refund failed at the payment provider.")
    if reasons:
        text = _("The refund failed at the payment provider: %s.") % ", ".join(reasons)
    if moved := parts(refund).moved.presentment:
        text += " " + _("%(sum)s of it was returned.") % {"sum": moved.format()}
    return text


def _accepted_or_to_send(action: OrderAction, index: int, now: datetime) -> Move:
    """Send the step, unless Shopify has accepted it: then a read without it merely lags.

    A step that was tried without a known outcome is not sent again once its idempotency key may
    have expired.
    """
    if index < action.accepted_steps:
        return Waiting(_("Shopify accepted this; the order does not show it yet."))
    if _is_doubtful(action, index) and _is_long_ago(action, now):
        return Contradiction(_("Shopify has not shown the outcome."))
    return ToSend(index)


def _is_long_ago(action: OrderAction, now: datetime) -> bool:
    """Whether Shopify can no longer be relied on to know the step's idempotency key."""
    return action.step_first_sent_at is not None and now - action.step_first_sent_at > KEY_WINDOW


def _is_doubtful(action: OrderAction, index: int) -> bool:
    return action.is_doubtful and action.step == index


def _shipment_move(
    index: int, action: OrderAction, gid: str, snapshot: OrderSnapshot, now: datetime
) -> Move | None:
    for fulfillment in snapshot.fulfillments:
        if fulfillment.gid == gid and fulfillment.status != "CANCELLED":
            # Once the order is canceled, its shipment record is no longer in the way.
            return None if snapshot.cancelled_at else _accepted_or_to_send(action, index, now)
    return None


def _cancel_move(
    index: int,
    action: OrderAction,
    snapshot: OrderSnapshot,
    job: Job,
    job_message: str,
    now: datetime,
) -> Move | None:
    if canceled_by(action, snapshot, job=job):
        return None
    doubtful = _is_doubtful(action, index)
    if snapshot.cancelled_at:
        if doubtful or index < action.accepted_steps:
            return Contradiction(
                _("The order is canceled, but as far as Shopify shows, not by this request.")
            )
        text = _("The order has since been canceled in Shopify.")
        return Settled(ActionState.REJECTED, text, outcome=Outcome.STALE)
    if job == Job.OPEN:
        return Waiting()
    if job == Job.FAILED:
        text = job_message or _("Shopify couldn’t cancel the order.")
        sent_at = action.step_last_sent_at
        # A lagging replica may show a canceled order as not canceled.
        if sent_at and now - sent_at < LATE_COMMIT:
            return Waiting(text)
        return Settled(ActionState.REJECTED, text, outcome=Outcome.REFUSED_BY_SHOPIFY)
    if job == Job.SUCCEEDED:
        # The order is the evidence, not the job; it may lag a moment behind.
        return Waiting(_("Shopify says it is canceled; the order does not show it yet."))
    # Sending it again would also refund what the customer has paid since the agent confirmed.
    if doubtful and _refunds_by_canceling(action) and _would_return_more(action, snapshot):
        return Contradiction(
            _(
                "Sent, but no response arrived, and the customer has paid more since. Compare "
                "with Shopify."
            )
        )
    is_unsent = not action.is_doubtful and index >= action.accepted_steps
    if is_unsent and (changed := _refunded_elsewhere(action, snapshot)):
        return Settled(ActionState.REJECTED, changed, outcome=Outcome.STALE)
    return _accepted_or_to_send(action, index, now)


def _refund_move(
    index: int, action: OrderAction, snapshot: OrderSnapshot, now: datetime
) -> Move | None:
    if refund_of(action, snapshot) is not None:
        return None
    if index < action.accepted_steps:
        return _accepted_or_to_send(action, index, now)
    doubtful = _is_doubtful(action, index)
    if doubtful and _is_long_ago(action, now):
        return Contradiction(
            _("Sent more than 20 hours ago, and Shopify shows no refund. Compare with Shopify.")
        )
    if changed := _refunded_elsewhere(action, snapshot):
        if doubtful:
            # It may be our own refund in another shape; only a person can tell.
            return Contradiction(changed)
        after_cancel = action.kind == ActionKind.CANCEL_AND_REFUND
        state = ActionState.PARTIAL if after_cancel else ActionState.REJECTED
        return Settled(state, changed, outcome=Outcome.STALE)
    return ToSend(index)


def _return_move(
    index: int, action: OrderAction, snapshot: OrderSnapshot, now: datetime
) -> Move | None:
    """Like `_refund_move`, but Shopify takes no idempotency key for processing a return.

    So a request that was sent without an answer is looked for, and never sent again.
    """
    if refund_of(action, snapshot) is not None:
        return None
    doubtful = _is_doubtful(action, index)
    if doubtful and (changed := _refunded_elsewhere(action, snapshot)):
        return Contradiction(changed)
    if not doubtful:
        return _refund_move(index, action, snapshot, now)
    sent_at = action.step_last_sent_at
    if sent_at and now - sent_at < LATE_COMMIT:
        return Waiting(_("Sent, but no response arrived. Looking for it."), is_in_doubt=True)
    return Contradiction(
        _(
            "Sent, but no response arrived, and it won’t be sent again automatically. Compare with "
            "Shopify."
        )
    )


def _would_return_more(action: OrderAction, snapshot: OrderSnapshot) -> bool:
    """Shopify's cancellation refunds everything that is left, which may be more than confirmed."""
    return action.money is not None and rules.net_paid(snapshot) > action.money


def _refunded_elsewhere(action: OrderAction, snapshot: OrderSnapshot) -> str:
    """Return a sentence if someone else refunded since the preview was shown, else ""."""
    refunded = snapshot.money.refunded.presentment
    before = action.proposal["facts"]["refunded"]
    if f"{refunded.plain()} {refunded.currency}" == before:
        net, amount = rules.net_paid(snapshot), action.money
        if amount is None or amount <= net:
            return ""
    amount_before = Money.from_wire(before.split()[0], refunded.currency)
    return _("Since refunded in Shopify: %(sum)s. Review the order again.") % {
        "sum": (refunded - amount_before).format()
    }


def _amount_text(action: OrderAction) -> str:
    return action.money.format() if action.money else "–"
