"""Settle actions by what Shopify shows, whether it arrived by response, poll or webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from orders.actions import worker_steps
from orders.actions.progress import (
    canceled_by,
    is_evident,
    outcome,
    refund_of,
)
from orders.actions.transitions import move
from orders.actions.worker_steps import (
    booked,
    ending,
    record_failure,
)
from orders.models import (
    ACTIVE_STATES,
    NOTHING_DONE_STATES,
    TRANSITIONS,
    ActionState,
    Order,
    OrderAction,
    OrderRefund,
)
from orders.shopify_port import Goal
from orders.snapshot import OrderSnapshot

_MAY_STILL_CHANGE: Final = (
    ActionState.SUCCEEDED,
    ActionState.AWAITING_BANK,
    ActionState.PARTIAL,
    *NOTHING_DONE_STATES,
)


def settle_by_evidence(
    order: Order, snapshot: OrderSnapshot, actions: Sequence[OrderAction], *, now: datetime
) -> bool:
    """Move the order's actions to the states this snapshot proves; return whether any changed.

    Expects the transaction and order lock of record_snapshot, and all of the order's actions read
    under that lock. A slightly stale state does no harm, since `move` compares and sets. Proof
    needs no lease: it holds whatever a worker is doing, and the worker's own late write then finds
    the action settled.
    """
    changed = False
    for action in actions:
        if action.state in ACTIVE_STATES:
            changed |= _settle_active(action, snapshot, now)
        elif action.state in _MAY_STILL_CHANGE:
            changed |= _correct_settled(action, snapshot, now)
    if actions:
        _link_refunds(order, snapshot)
    return changed


def _settle_active(action: OrderAction, snapshot: OrderSnapshot, now: datetime) -> bool:
    if action.state == ActionState.AWAITING_APPROVAL:
        return False
    if is_evident(action, snapshot):
        end = booked(outcome(action, snapshot, now=now))
        if end is None or not move(action, end.state, **ending(end, now=now)):
            return False
        record_failure(action, end, now=now)
        return True
    # Canceled, with the refund step still to be sent: wake a worker instead of waiting for a poll.
    next_is_due = canceled_by(action, snapshot) and any(
        step["goal"] == Goal.REFUND for step in action.steps
    )
    pending = OrderAction.objects.filter(pk=action.pk, state=ActionState.PENDING)
    if next_is_due and pending.update(next_attempt_at=now):
        transaction.on_commit(lambda: worker_steps.wake(action.pk), robust=True)
        return True
    return False


def _correct_settled(action: OrderAction, snapshot: OrderSnapshot, now: datetime) -> bool:
    """Correct a settled action that Shopify now shows differently.

    A bank may confirm or refuse a refund days after Shopify booked it, and Shopify may book a
    cancellation's refund after we stopped waiting for it. Only evidence changes a settled action:
    one that a supervisor settled without a refund to point to stays as they decided.
    """
    if not is_evident(action, snapshot):
        return False
    had_done_nothing = action.state in NOTHING_DONE_STATES
    if had_done_nothing and not _was_approved(action):
        return False
    if action.state != ActionState.PARTIAL and not had_done_nothing and not action.refund_gid:
        return False
    end = booked(outcome(action, snapshot, now=now))
    if end is None or end.state not in TRANSITIONS[ActionState(action.state)]:
        return False
    columns = ending(end, now=now)
    if had_done_nothing:
        columns["maybe_applied"] = True
    if not move(action, end.state, **columns):
        return False
    record_failure(action, end, now=now)
    return True


def _was_approved(action: OrderAction) -> bool:
    """Whether all required approvals were given; if not, what Shopify shows cannot be ours."""
    approvers = (action.approved_by_id, action.co_approved_by_id)
    return sum(who is not None for who in approvers) >= action.approvals_needed


def _link_refunds(order: Order, snapshot: OrderSnapshot) -> None:
    for action in order.actions.filter(booked_refund=None):
        if refund := refund_of(action, snapshot):
            OrderRefund.objects.filter(order=order, gid=refund.gid, action=None).update(
                action=action
            )
