"""Carry out an OrderAction at Shopify: claim it, read, decide, send, and write down the answer.

Three things keep anything from happening twice: the row with its frozen request and idempotency
key, a fresh read before every send, and compare-and-set state changes (orders.actions.worker_steps).
"""

from __future__ import annotations

import dataclasses
import random
from datetime import datetime, timedelta
from typing import Final, Self

from django.utils import timezone
from django.utils.translation import gettext as _

from core.failpoints import failpoint
from core.json_types import JsonObject
from orders.actions import progress, worker_steps
from orders.actions.eligibility import Objection
from orders.actions.progress import (
    Contradiction,
    Settled,
    ToSend,
    Waiting,
)
from orders.models import ActionState, OrderAction, Outcome
from orders.projection.record import record_snapshot
from orders.shopify_port import (
    Accepted,
    ActionSession,
    Goal,
    NoOutcome,
    NotDone,
    Obstacle,
    Rejected,
    get_gateway,
)

_BACKOFF_S: Final = (1, 2, 5, 10, 30, 60, 120, 300)
_POLL_S: Final = (1, 1, 2, 3, 5, 8, 13, 30, 60)
# Before anything was sent, an order missing for less than this may just be a hiccup.
_MISSING_BELIEVED_AFTER: Final = timedelta(minutes=10)
_HELD_S: Final = 30
_MAX_SENDS_A_CLAIM: Final = 10


def perform(action_id: int) -> None:
    """Take a due action as far as it goes now. Safe to call any number of times, concurrently."""
    if not _may_try(action_id):
        return
    action = worker_steps.claim(action_id=action_id, now=timezone.now())
    if action is None:
        return
    failpoint("claimed")
    session = get_gateway().action_session(
        action, renew=lambda: worker_steps.renew(action, now=timezone.now())
    )
    for _send in range(_MAX_SENDS_A_CLAIM):
        if not _advance(action, session):
            return
    _release(action, ActionState.PENDING, wait_s=1)


def _may_try(action_id: int) -> bool:
    """Return whether the action is due and its shop isn't being left alone.

    If it is, postpone the action, unless it was left while being sent.
    """
    now = timezone.now()
    due = OrderAction.objects.due(now=now).filter(pk=action_id)
    store_id = due.values_list("order__store_id", flat=True).first()
    if store_id is None:
        return False
    wait_s = get_gateway().wait_s(store_id)
    if wait_s:
        rested = OrderAction.objects.filter(pk__in=due.values("pk")).exclude(
            state=ActionState.SENDING
        )
        rested.update(next_attempt_at=now + timedelta(seconds=wait_s))
    return not wait_s


def _advance(action: OrderAction, session: ActionSession) -> bool:
    """Read from Shopify, then send at most one step. True: call again at once."""
    seq = action.order.dirty_seq
    read = session.read()
    if read is None:
        return False
    if isinstance(read, NotDone):
        _not_read(action, read)
        return False
    now = timezone.now()
    failpoint("read")
    snapshot = read.snapshot
    if snapshot is None:
        return _missing(action, now)
    if not record_snapshot(
        order=action.order,
        snapshot=snapshot,
        seq=seq,
        read_started_at=read.read_started_at,
        now=now,
    ):
        # A snapshot too old to be stored is too old to decide by.
        text = _("Shopify’s response is older than an earlier one. Reading it again.")
        _release(action, _resting(action), wait_s=_POLL_S[0], message=text)
        return False
    move = progress.next_move(action, snapshot, job=read.job, job_message=read.job_message, now=now)
    match move:
        case Settled():
            _settle(action, move, now)
        case Waiting():
            if end := worker_steps.booked(move):
                _settle(action, end, now)
            else:
                _wait(action, move)
        case Contradiction():
            worker_steps.human_needed(action, message=move.message)
        case ToSend():
            return _send(action, move.step, session)
    return False


def _not_read(action: OrderAction, read: NotDone) -> None:
    """Wait after a read that failed: for an administrator, as long as Shopify asks, or a while."""
    match read.obstacle:
        case Obstacle.NEEDS_ADMIN:
            state = _resting(action, ActionState.BLOCKED)
            _release(action, state, wait_s=60, message=read.message)
        case Obstacle.THROTTLED:
            _release(action, _resting(action), wait_s=_retry_after_s(read))
        case _:
            _release(action, _resting(action), message=_("Shopify can’t be read right now."))


def _missing(action: OrderAction, now: datetime) -> bool:
    """Handle an order Shopify doesn't return: deleted, older than 60 days, or a hiccup.

    If something may have been sent, this proves nothing about it. If not, the action ends once
    the order has been missing for a while.
    """
    text = _("Shopify doesn’t show this order.")
    if action.maybe_applied:
        _release(action, ActionState.UNKNOWN, message=text)
        return False
    queued_at = action.expires_at - worker_steps.SEND_WITHIN if action.expires_at else None
    if queued_at and now - queued_at < _MISSING_BELIEVED_AFTER:
        _release(action, ActionState.QUEUED, message=text)
        return False
    text = _("Shopify no longer shows this order. Nothing was sent.")
    end = Settled(ActionState.REJECTED, text, outcome=Outcome.ORDER_GONE)
    worker_steps.settle(action, end, now=now)
    return False


def _settle(action: OrderAction, end: Settled, now: datetime) -> None:
    if end.state != ActionState.REJECTED:
        worker_steps.settle(action, end, now=now)
        return
    if action.accepted_steps and action.steps[0]["goal"] == Goal.CANCEL_SHIPMENT:
        text = _("%(reason)s The shipment record was already canceled.")
        end = dataclasses.replace(end, message=text % {"reason": end.message})
    # Only this, Shopify showing that it didn't happen, takes back maybe_applied.
    worker_steps.settle(action, end, now=now, maybe_applied=False)


def _send(action: OrderAction, index: int, session: ActionSession) -> bool:
    """Send one step. True: it was accepted, so look at what it did."""
    before = _Before.of(action, index)
    begun = worker_steps.begin_step(action, step=index, now=timezone.now())
    if isinstance(begun, Objection):
        return _held_back(action, begun, index)
    if not begun:
        return False
    failpoint("begun")
    answer = session.send(index)
    match answer:
        case NoOutcome():
            _release(action, ActionState.UNKNOWN, message=answer.message)
            return False
        case NotDone():
            return _not_done(action, index, answer, before)
        case Rejected():
            return _rejected(action, index, answer, before)
        case Accepted():
            return _accepted(action, index, answer)


@dataclasses.dataclass(frozen=True, slots=True)
class _Before:
    """What was known of an action before a send; restored if the send proves to have failed."""

    is_doubtful: bool
    maybe_applied: bool
    step_first_sent_at: datetime | None
    step_last_sent_at: datetime | None
    sent_at: datetime | None

    @classmethod
    def of(cls, action: OrderAction, index: int) -> Self:
        is_again = action.step == index
        return cls(
            is_doubtful=action.is_doubtful and is_again,
            maybe_applied=action.maybe_applied,
            step_first_sent_at=action.step_first_sent_at if is_again else None,
            step_last_sent_at=action.step_last_sent_at if is_again else None,
            sent_at=action.sent_at,
        )


def _held_back(action: OrderAction, objection: Objection, index: int) -> bool:
    """Handle a confirmed step that is no longer allowed: wait, ask a human, or end the action."""
    reason = objection.refusal.reason
    if objection.can_pass:
        _release(action, _resting(action), wait_s=_HELD_S, message=reason)
    elif action.is_doubtful:
        # It must not be sent again, and whether the first attempt worked is unknown.
        worker_steps.human_needed(action, message=reason)
    else:
        _end_unsent(action, index, reason, objection.outcome)
    return False


def _end_unsent(action: OrderAction, index: int, reason: str, outcome: Outcome) -> None:
    """End an action whose step `index` was certainly not carried out."""
    earlier = {step["goal"] for step in action.steps[:index]}
    state = ActionState.PARTIAL if Goal.CANCEL_ORDER in earlier else ActionState.REJECTED
    _settle(action, Settled(state, reason, outcome=outcome), timezone.now())


def _accepted(action: OrderAction, index: int, answer: Accepted) -> bool:
    """Record that a step was accepted: it's never sent again, and its result is looked for."""
    accepted: JsonObject = {"is_doubtful": False, "accepted_steps": index + 1}
    match action.steps[index]["goal"]:
        case Goal.CANCEL_ORDER:
            # Accepted isn't done: Shopify cancels in a job, and the order will show the result.
            _release(
                action, ActionState.PENDING, wait_s=_POLL_S[0], job_gid=answer.job_gid, **accepted
            )
            return False
        case Goal.REFUND | Goal.RETURN:
            return worker_steps.keep(action, refund_gid=answer.refund_gid, **accepted)
        case _:
            return worker_steps.keep(action, **accepted)


def _rejected(action: OrderAction, index: int, answer: Rejected, before: _Before) -> bool:
    """Handle userErrors.

    On a first send they simply mean no. After a send without an answer they say nothing about
    that send: keep looking for its effect while a late commit may still show, then ask a human to
    compare with Shopify.
    """
    text = " ".join(answer.errors)
    now = timezone.now()
    if not before.is_doubtful:
        _end_unsent(action, index, text, Outcome.REFUSED_BY_SHOPIFY)
    elif before.step_last_sent_at and now - before.step_last_sent_at < progress.LATE_COMMIT:
        # The wait for a late commit counts from the send that had no answer, not from this one.
        _release(
            action, ActionState.UNKNOWN, message=text, step_last_sent_at=before.step_last_sent_at
        )
    else:
        message = _("Sent, but no response arrived, then refused: %s Compare with Shopify.") % text
        worker_steps.human_needed(action, message=message)
    return False


def _not_done(action: OrderAction, index: int, answer: NotDone, before: _Before) -> bool:
    """Undo the bookkeeping of a send that provably did nothing, then retry, block or end."""
    undone = dataclasses.asdict(before)
    for name, value in undone.items():
        setattr(action, name, value)
    if answer.obstacle == Obstacle.NEEDS_ADMIN:
        state = ActionState.UNKNOWN if before.is_doubtful else ActionState.BLOCKED
        _release(action, state, wait_s=60, message=answer.message, **undone)
    elif answer.obstacle == Obstacle.THROTTLED:
        _release(action, _resting(action), wait_s=_retry_after_s(answer), **undone)
    elif answer.obstacle == Obstacle.BAD_REQUEST and not before.is_doubtful:
        # The same bytes would be refused every time.
        if worker_steps.keep(action, **undone):
            text = _("Shopify didn’t accept the request: %s") % answer.message
            _end_unsent(action, index, text, Outcome.REFUSED_BY_SHOPIFY)
    else:
        _release(action, _resting(action), message=answer.message, **undone)
    return False


def _wait(action: OrderAction, move: Waiting) -> None:
    wait_s = _POLL_S[min(action.attempts, len(_POLL_S) - 1)]
    state = ActionState.UNKNOWN if move.is_in_doubt else ActionState.PENDING
    _release(action, state, wait_s=wait_s, message=move.message)


def _retry_after_s(answer: NotDone) -> float:
    """Return how long Shopify asks us to wait, capped.

    A time too far in the future would be taken for one that a wrong clock wrote (core.database.leases).
    """
    return min(max(answer.retry_after_s, 0.1), _BACKOFF_S[-1])


def _resting(action: OrderAction, undecided: ActionState = ActionState.QUEUED) -> ActionState:
    """Return the state in which an undecided action waits, by what is known of its sends."""
    if action.is_doubtful:
        return ActionState.UNKNOWN
    return ActionState.PENDING if action.maybe_applied else undecided


def _release(
    action: OrderAction,
    state: ActionState,
    *,
    wait_s: float | None = None,
    message: str = "",
    **changes: object,
) -> None:
    """Give up the claim, save `changes` and wake a worker in `wait_s`, by default with back-off."""
    if wait_s is None:
        ceiling = _BACKOFF_S[min(action.attempts, len(_BACKOFF_S) - 1)]
        wait_s = random.uniform(ceiling / 2, ceiling)  # noqa: S311  jitter, not a secret
    again_at: datetime = timezone.now() + timedelta(seconds=wait_s)
    if worker_steps.release(action, state=state, again_at=again_at, message=message, **changes):
        # A little late, because a message that arrives before the action is due does nothing.
        worker_steps.wake(action.pk, after_s=max(wait_s, 0.0) + 0.05)
