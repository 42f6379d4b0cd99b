"""Actions that nobody can carry out any more: they end, or a person is asked to look.

Without this an action of a shop that left would wait for ever, and with it its order and every
legal deletion. What was never sent is withdrawn. Of what may have reached Shopify, only the shop's
own admin tells, so it goes to a supervisor. What is being sent at this moment is left to its
worker's lease; the next sweep finds where it was put down.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from core import sweeps
from orders.actions.requests import locked
from orders.actions.transitions import (
    move,
    tell,
)
from orders.models import ActionState, OrderAction, Outcome, Store

_UNSENT: Final = frozenset({ActionState.AWAITING_APPROVAL, ActionState.QUEUED, ActionState.BLOCKED})
_IN_DOUBT: Final = frozenset({ActionState.PENDING, ActionState.UNKNOWN, ActionState.BLOCKED})
_ROWS: Final = 500


def hand_over(store: Store, *, now: datetime) -> int:
    """End what a shop that uninstalled the app leaves behind; returns how many actions moved.
    May run any number of times."""
    ids = OrderAction.objects.filter(order__store=store, state__in=_UNSENT | _IN_DOUBT)
    return _end(
        ids.order_by("pk").values_list("pk", flat=True)[:_ROWS],
        unsent=_("The app was uninstalled from the shop; nothing was sent."),
        outcome=Outcome.UNINSTALLED,
        in_doubt=_(
            "The app was uninstalled before Shopify's answer was known. Compare with Shopify."
        ),
        now=now,
    )


def hand_over_uninstalled(*, now: datetime) -> int:
    """`hand_over` for every shop that left: what was being sent then has been put down since."""
    gone = Store.objects.filter(uninstalled_at__isnull=False)
    busy = gone.filter(orders__actions__state__in=_UNSENT | _IN_DOUBT).distinct()
    return sum(hand_over(store, now=now) for store in busy)


def make_way(orders: Iterable[int], *, now: datetime) -> int:
    """End what still waits on these orders (ids), because the law wants their personal data gone
    and its day is near; returns how many actions moved."""
    ids = OrderAction.objects.filter(order__in=orders, state__in=_UNSENT | _IN_DOUBT)
    return _end(
        ids.order_by("pk").values_list("pk", flat=True)[:_ROWS],
        unsent=_("The customer's data had to be deleted; nothing was sent."),
        outcome=Outcome.ERASED,
        in_doubt=_(
            "The customer's data had to be deleted before Shopify's answer was known. "
            "Compare with Shopify."
        ),
        now=now,
    )


def _end(ids: Iterable[int], *, unsent: str, outcome: Outcome, in_doubt: str, now: datetime) -> int:
    moved = 0

    def end(action_id: int) -> None:
        nonlocal moved
        moved += _end_one(action_id, unsent=unsent, outcome=outcome, in_doubt=in_doubt, now=now)

    # One that cannot be ended must not keep the others.
    sweeps.each(list(ids), end)
    return moved


def _end_one(
    action_id: int, *, unsent: str, outcome: Outcome, in_doubt: str, now: datetime
) -> bool:
    with transaction.atomic(durable=True):
        action = locked(action_id)
        if action.state in _UNSENT and not action.maybe_applied:
            moved = move(
                action,
                ActionState.WITHDRAWN,
                settled_at=now,
                next_attempt_at=None,
                lease_until=None,
                message=unsent,
                outcome=outcome,
            )
        elif action.state in _IN_DOUBT:
            moved = move(action, ActionState.NEEDS_HUMAN, lease_until=None, message=in_doubt)
        else:
            return False
        if moved:
            tell(action.order_id)
    return moved
