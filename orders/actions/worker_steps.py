"""The worker's side of an OrderAction: claim it, begin its steps, settle it.

Every write is a compare-and-set on (id, state, fence), so a worker that lost its lease can no
longer write, however late it wakes up. Unless they say otherwise, functions run one short
transaction of their own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from core import queue
from core.database import sweeps
from orders.actions.eligibility import (
    Objection,
    objection_to,
)
from orders.actions.progress import (
    KEY_WINDOW,
    Move,
    Settled,
    Waiting,
)
from orders.actions.status_texts import default_outcome
from orders.actions.transitions import (
    lock_order,
    move,
    tell,
)
from orders.models import (
    SETTLED_STATES,
    ActionState,
    EventKind,
    EventSource,
    Order,
    OrderAction,
    OrderEvent,
    Outcome,
)
from orders.signals import event_recorded

# Longer than the longest call (2 s to connect, 10 s to answer), and renewed before each call: a
# live worker never loses it, and a dead worker's action is picked up soon.
LEASE: Final = timedelta(seconds=15)
# After this many crashes in a row, assume that the action itself kills its workers.
MAX_CRASHES: Final = 10
# An action that was not sent by then expires; the agent has to review the order again.
SEND_WITHIN: Final = timedelta(hours=24)
# How long to wait for a step that Shopify accepted but does not show; cancellations take minutes.
PENDING_FOR: Final = timedelta(hours=2)
# How long to look for an unknown outcome: while Shopify is sure to know the idempotency key.
UNKNOWN_FOR: Final = KEY_WINDOW
_BATCH_SIZE: Final = 100


def wake(action_id: int, *, after_s: float = 0) -> None:
    """Enqueue the action for a worker, after `after_s` seconds. May be lost: the sweep finds it."""
    queue.enqueue("orders.tasks.perform_action", action_id, delay_s=after_s)


def claim(*, action_id: int, now: datetime) -> OrderAction | None:
    """Claim a due action for this worker.

    None: it is not due, another worker has it, it has crashed too many workers (a supervisor gets
    it), or it was not sent in time. The last is checked here too, because a late task message may
    arrive before the sweep and must not send an expired action.
    """
    due = OrderAction.objects.due(now=now).select_related("order__store").filter(pk=action_id)
    action = due.first()
    if action is None:
        return None
    is_abandoned = action.state == ActionState.SENDING
    if is_abandoned and action.crashes >= MAX_CRASHES:
        human_needed(action, message=_("Processing failed %s times in a row.") % action.crashes)
        return None
    if not action.maybe_applied and action.expires_at and action.expires_at <= now:
        _expire(action, now)
        return None
    with transaction.atomic(durable=True):
        lock_order(action.order_id)
        # Compare the lease too, and re-read the row once it is ours: a slow worker may have begun
        # its step since the read above, and a step that was sent must not be taken for unsent.
        seen = {name: getattr(action, name) for name in ("state", "fence", "lease_until")}
        if not OrderAction.objects.filter(pk=action.pk, **seen).update(lease_until=now + LEASE):
            return None
        action = OrderAction.objects.select_related("order__store").get(pk=action.pk)
        claimed = move(
            action,
            ActionState.SENDING,
            lease_until=now + LEASE,
            fence=action.fence + 1,
            # Counted before the work, so that work which kills its worker counts too.
            attempts=action.attempts + 1,
            crashes=action.crashes + 1 if is_abandoned else action.crashes,
        )
    return action if claimed else None


def renew(action: OrderAction, *, now: datetime) -> bool:
    """Extend the lease before a call to Shopify. False: it was lost to another worker."""
    return _keep(action, lease_until=now + LEASE)


def begin_step(action: OrderAction, *, step: int, now: datetime) -> Objection | bool:
    """Record that a step is about to be sent; committed before any byte leaves.

    The full check and the compare-and-set share one transaction under the order's lock, so what is
    sent was allowed at that moment. Returns an Objection if it isn't allowed, and False if the
    lease was lost; either way nothing may be sent.
    """
    is_again = action.step == step and action.step_first_sent_at is not None
    changes: dict[str, object] = {
        "step": step,
        "step_first_sent_at": action.step_first_sent_at if is_again else now,
        "step_last_sent_at": now,
        "sent_at": action.sent_at or now,
        # Earlier steps were seen done and are never sent again.
        "accepted_steps": max(action.accepted_steps, step),
        "is_doubtful": True,
        "maybe_applied": True,
        "lease_until": now + LEASE,
    }
    with transaction.atomic(durable=True):
        orders = Order.objects.select_for_update(of=("self",)).select_related("store")
        order = orders.get(pk=action.order_id)
        if objection := check_before_sending(action, order, step=step, now=now):
            return objection
        return _keep(action, **changes)


def check_before_sending(
    action: OrderAction, order: Order, *, step: int, now: datetime
) -> Objection | None:
    """Why this step must not be sent now; None if it may be. Expects the order's lock."""
    # Re-read: people's rights may have changed since the action was claimed.
    people = OrderAction.objects.select_related("requested_by", "approved_by", "co_approved_by")
    fresh = people.get(pk=action.pk)
    return objection_to(fresh, order, step=step, now=now)


def keep(action: OrderAction, **changes: object) -> bool:
    """Write progress without giving up the claim. False: the lease was lost."""
    return _keep(action, **changes)


def release(
    action: OrderAction,
    *,
    state: ActionState,
    again_at: datetime,
    message: str = "",
    **changes: Any,
) -> bool:
    """Release an active action until `again_at`. False: the lease was lost."""
    with transaction.atomic(durable=True):
        moved = move(
            action,
            state,
            next_attempt_at=again_at,
            lease_until=None,
            message=message,
            crashes=0,
            **changes,
        )
        if moved:
            tell(action.order_id)
    return moved


def human_needed(action: OrderAction, *, message: str) -> bool:
    """Hand the action to a supervisor to compare with Shopify. False: it has moved on."""
    with transaction.atomic(durable=True):
        moved = move(action, ActionState.NEEDS_HUMAN, lease_until=None, message=message)
        if moved:
            tell(action.order_id)
    return moved


def settle(action: OrderAction, end: Settled, *, now: datetime, **changes: Any) -> bool:
    """End the action. False: the lease was lost, or something else has settled it."""
    with transaction.atomic(durable=True):
        moved = move(action, end.state, **ending(end, now=now), **changes)
        if moved:
            record_failure(action, end, now=now)
            tell(action.order_id)
    return moved


def end_overdue(*, now: datetime) -> int:
    """End overdue actions, so that no action waits forever; return how many.

    What was not sent in time expires; what was sent and still has no known outcome goes to a
    supervisor. Each action is handled on its own, so one that fails does not hold up the others.
    """
    unsent = OrderAction.objects.filter(
        state__in=(ActionState.QUEUED, ActionState.BLOCKED),
        maybe_applied=False,
        expires_at__lte=now,
    )
    long_ago = now - UNKNOWN_FOR
    # A step known not to have been sent has no times of its own; fall back to the action's.
    before = Coalesce("sent_at", "requested_at")
    times = {
        "last": Coalesce("step_last_sent_at", "step_first_sent_at", before),
        "first": Coalesce("step_first_sent_at", before),
    }
    sent = OrderAction.objects.filter(maybe_applied=True).alias(**times)
    sent = sent.filter(
        Q(state=ActionState.PENDING, last__lte=now - PENDING_FOR)
        | Q(
            state__in=(ActionState.UNKNOWN, ActionState.BLOCKED),
            last__lte=long_ago,
            first__lte=long_ago,
        )
        | Q(state=ActionState.SENDING, lease_until__lte=long_ago)
    )

    def hand_over(action: OrderAction) -> None:
        human_needed(action, message=action.message or _("Shopify has not shown the outcome."))

    ended = sweeps.each(
        unsent.select_related("order__store")[:_BATCH_SIZE], lambda action: _expire(action, now)
    )
    return ended + sweeps.each(sent.select_related("order__store")[:_BATCH_SIZE], hand_over)


def _expire(action: OrderAction, now: datetime) -> None:
    message = _("It was not sent within a day. Review the order again.")
    settle(action, Settled(ActionState.EXPIRED, message, outcome=Outcome.NOT_SENT), now=now)


def booked(move: Move) -> Settled | None:
    """The settled state a move amounts to; None if the action is not over.

    A refund that only its bank still has to confirm counts as over: it blocks no other action on
    the order, and the bank's answer later settles it for good.
    """
    match move:
        case Settled():
            return move
        case Waiting(refund_gid=refund_gid) if refund_gid:
            return Settled(ActionState.AWAITING_BANK, move.message, refund_gid)
    return None


class Ending(TypedDict, total=False):
    """The columns of an action that change when it is settled."""

    settled_at: datetime
    lease_until: None
    next_attempt_at: None
    is_doubtful: bool
    maybe_applied: bool
    message: str
    outcome: str
    refund_gid: str
    evidence_at: datetime


def ending(end: Settled, *, now: datetime) -> Ending:
    """The columns to write when an action is settled."""
    columns: Ending = {
        "settled_at": now,
        "lease_until": None,
        "next_attempt_at": None,
        "is_doubtful": False,
        "message": end.message,
        "outcome": end.outcome or default_outcome(end.state),
    }
    if end.refund_gid:
        columns["refund_gid"] = end.refund_gid
    if end.state in {ActionState.SUCCEEDED, ActionState.AWAITING_BANK}:
        columns["evidence_at"] = now
    return columns


def record_failure(action: OrderAction, end: Settled, *, now: datetime) -> None:
    """Add a timeline event for an action that was not fully carried out.

    What was carried out already gets its events from the projection, so successes add none here.
    Expects the caller's transaction.
    """
    happened = {ActionState.SUCCEEDED, ActionState.AWAITING_BANK}
    if end.state not in SETTLED_STATES or end.state in happened:
        return
    event, created = OrderEvent.objects.get_or_create(
        order_id=action.order_id,
        key=f"action:{action.pk}",
        defaults={
            "kind": EventKind.ACTION_FAILED,
            "occurred_at": now,
            "source": EventSource.AGENT,
            "actor_id": action.requested_by_id,
            "action_id": action.pk,
            "amount": action.amount,
            "currency": action.currency,
            "reason": action.reason,
            "detail": end.message,
        },
    )
    if created:
        transaction.on_commit(
            lambda: event_recorded.send(OrderEvent, event_id=event.pk), robust=True
        )


def _keep(action: OrderAction, **changes: object) -> bool:
    held = OrderAction.objects.filter(pk=action.pk, state=ActionState.SENDING, fence=action.fence)
    if not held.update(**changes):
        return False
    for name, value in changes.items():
        setattr(action, name, value)
    return True
