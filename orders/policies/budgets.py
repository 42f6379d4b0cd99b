"""What a person has refunded on their own authority, for daily limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from orders.models import (
    ACTIVE_STATES,
    NOTHING_DONE_STATES,
    ActionState,
    OrderAction,
    OrderRefund,
    Store,
)
from orders.shopify_port import Goal

DAY: Final = timedelta(hours=24)
# Settled by what Shopify showed as done.
_PROVEN: Final = (
    ActionState.SUCCEEDED,
    ActionState.AWAITING_BANK,
    ActionState.PARTIAL,
    ActionState.REVERSED,
)


def spent_today(
    user: User, store: Store, *, now: datetime, besides: OrderAction | None = None
) -> Decimal:
    """Return what this person has refunded on their own authority in the 24 hours up to `now`.

    In the shop's currency. Counts what was sent in that time, plus every unfinished action however
    old, since it may be sent at any moment. Refunds that others approved count as theirs instead.
    `besides` is an action under review that must not count against itself. To rule out concurrent
    spending, hold the person's RefundBudget lock.
    """
    rows = spending(now=now).filter(requested_by_id=user.pk, order__store=store)
    if besides is not None:
        rows = rows.exclude(pk=besides.pk)
    return sum((spent_by(action) for action in rows), Decimal(0))


def spending(*, now: datetime) -> QuerySet[OrderAction]:
    """Return the actions that count against daily limits, each by `spent_by`. Spent means sent.

    Both the first and the last send count: an action that was throttled, or that canceled first and
    refunded hours later, moved its money with the last one. An action that Shopify shows as done
    although no send was recorded (after restoring a backup) counts from when that was discovered.
    """
    since = now - DAY
    sent = Q(sent_at__gt=since) | Q(step_last_sent_at__gt=since)
    found = Q(sent_at=None, state__in=_PROVEN, settled_at__gt=since)
    rows = OrderAction.objects.filter(
        sent | found | Q(state__in=ACTIVE_STATES),
        # Refunds that others approved count as the approvers'.
        approvals_needed=0,
        amount__isnull=False,
        order__is_test=False,
    )
    return rows.select_related("booked_refund")


def spent_by(action: OrderAction) -> Decimal:
    """Return what one action counts against a limit: what it moved and what it may still move.

    In the shop's currency. Reads `booked_refund`, which `spending` selects along with the action.
    """
    # getattr, because a missing reverse one-to-one raises a kind of AttributeError.
    refund: OrderRefund | None = getattr(action, "booked_refund", None)
    # A refund may still appear after a supervisor settled its action as not carried out.
    if action.state in NOTHING_DONE_STATES and refund is None:
        return Decimal(0)
    if action.is_active or refund is None:
        whole: Decimal = action.amount_shop
        return Decimal(0) if _ended_before_refund_request(action) else whole
    counted: Decimal = refund.moved_shop + refund.waiting_shop
    return counted


def _ended_before_refund_request(action: OrderAction) -> bool:
    """Whether it ended after canceling, before its refund request was accepted or left in doubt.

    If Shopify refunds as part of the cancellation, there is no separate request and the refund may
    be booked after our last read, so the full amount still counts.
    """
    goals = [str(step.get("goal")) for step in action.steps]
    if action.state != ActionState.PARTIAL or Goal.REFUND not in goals:
        return False
    index = goals.index(Goal.REFUND)
    in_doubt = action.is_doubtful and action.step == index
    return action.accepted_steps <= index and not in_doubt and not action.refund_gid
