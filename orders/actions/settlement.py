"""Actions settled by what Shopify shows, whichever way it was heard of: answer, poll or webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from orders.actions.execution import (
    booked,
    ending,
    record_failure,
)
from orders.actions.transitions import move
from orders.models import (
    ACTIVE_STATES,
    NOTHING_DONE_STATES,
    TRANSITIONS,
    ActionState,
    Order,
    OrderAction,
    OrderRefund,
)
from orders.progress import Goal, canceled_by, is_evident, outcome, refund_of
from orders.shopify_port import get_gateway
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
    """Move the order's actions to where this snapshot proves them to be.

    Expects the transaction and order lock of record_snapshot, and all the order's actions, read
    under that lock. A state that was read a moment ago is no harm: `move` compares and sets.
    Proof needs no lease: it holds
    whatever the worker is doing, whose own late write then finds the action settled.
    Returns whether anything changed.
    """
    changed = False
    for action in actions:
        if action.state in ACTIVE_STATES:
            changed |= _settle_active(action, snapshot, now)
        elif action.state in _MAY_STILL_CHANGE:
            changed |= _settle_again(action, snapshot, now)
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
    # Canceled, and a refund is still to be sent: no need to wait for the next poll.
    next_is_due = canceled_by(action, snapshot) and any(
        step["goal"] == Goal.REFUND for step in action.steps
    )
    pending = OrderAction.objects.filter(pk=action.pk, state=ActionState.PENDING)
    if next_is_due and pending.update(next_attempt_at=now):
        transaction.on_commit(lambda: get_gateway().wake(action.pk), robust=True)
        return True
    return False


def _settle_again(action: OrderAction, snapshot: OrderSnapshot, now: datetime) -> bool:
    """A bank may confirm or refuse a refund days after Shopify booked it, and a cancellation's
    refund may be booked after it was given up. Only what Shopify shows changes a settled row:
    one that a person settled without a refund to look at stays as they said."""
    if not is_evident(action, snapshot):
        return False
    was_denied = action.state in NOTHING_DONE_STATES
    if was_denied and not _was_approved(action):
        return False
    if action.state != ActionState.PARTIAL and not was_denied and not action.refund_gid:
        return False
    end = booked(outcome(action, snapshot, now=now))
    if end is None or end.state not in TRANSITIONS[ActionState(action.state)]:
        return False
    columns = ending(end, now=now)
    if was_denied:
        columns["maybe_applied"] = True
    if not move(action, end.state, **columns):
        return False
    record_failure(action, end, now=now)
    return True


def _was_approved(action: OrderAction) -> bool:
    """Whether all who have to agree did: what nobody approved cannot be ours."""
    approvers = (action.approved_by_id, action.co_approved_by_id)
    return sum(who is not None for who in approvers) >= action.approvals_needed


def _link_refunds(order: Order, snapshot: OrderSnapshot) -> None:
    for action in order.actions.filter(booked_refund=None):
        if refund := refund_of(action, snapshot):
            OrderRefund.objects.filter(order=order, gid=refund.gid, action=None).update(
                action=action
            )
