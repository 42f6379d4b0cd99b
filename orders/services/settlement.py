"""Actions settled by what Shopify shows, whichever way it was heard of: answer, poll or webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from orders.gateway import get_gateway
from orders.models import ACTIVE_STATES, ActionState, Order, OrderAction, OrderRefund
from orders.progress import Goal, Settled, canceled_by, is_evident, outcome, refund_of
from orders.services.moving import move
from orders.services.performing import ending, record_failure
from orders.snapshot import OrderSnapshot


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
        if action.state == ActionState.SUCCEEDED and action.refund_gid:
            changed |= _reverse(action, snapshot, now)
    if actions:
        _link_refunds(order, snapshot)
    return changed


def _settle_active(action: OrderAction, snapshot: OrderSnapshot, now: datetime) -> bool:
    if action.state == ActionState.AWAITING_APPROVAL:
        return False
    if is_evident(action, snapshot):
        end = outcome(action, snapshot)
        if not isinstance(end, Settled):
            return False
        if not move(action, end.state, **ending(end, now=now)):
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


def _reverse(action: OrderAction, snapshot: OrderSnapshot, now: datetime) -> bool:
    """A bank may refuse a refund days after Shopify booked it."""
    end = outcome(action, snapshot)
    if not isinstance(end, Settled) or end.state not in {ActionState.REVERSED, ActionState.PARTIAL}:
        return False
    if not move(action, end.state, settled_at=now, message=end.message):
        return False
    record_failure(action, end, now=now)
    return True


def _link_refunds(order: Order, snapshot: OrderSnapshot) -> None:
    for action in order.actions.filter(booked_refund=None):
        if refund := refund_of(action, snapshot):
            OrderRefund.objects.filter(order=order, gid=refund.gid, action=None).update(
                action=action
            )
