"""End actions that can no longer be carried out, or hand them to a supervisor.

Otherwise the actions of a shop that uninstalled the app would wait forever, and block their orders
and every legally required deletion. What was never sent is withdrawn. What may have reached
Shopify goes to a supervisor, because only the shop's own admin can now show the outcome. An action
that is being sent right now keeps its worker; a later sweep picks it up once it is released.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from core.database import sweeps
from orders.actions.requests import locked
from orders.actions.transitions import (
    move,
    tell,
)
from orders.models import WITHDRAWABLE_STATES, ActionState, OrderAction, Outcome, Store

_IN_DOUBT: Final = frozenset({ActionState.PENDING, ActionState.UNKNOWN, ActionState.BLOCKED})
_OPEN: Final = _IN_DOUBT.union(WITHDRAWABLE_STATES)
_BATCH_SIZE: Final = 500


def hand_over(store: Store, *, now: datetime) -> int:
    """End the open actions of a shop that uninstalled the app; return how many moved.

    Safe to repeat.
    """
    ids = OrderAction.objects.filter(order__store=store, state__in=_OPEN)
    return _end(
        ids.order_by("pk").values_list("pk", flat=True)[:_BATCH_SIZE],
        unsent=_("The app was uninstalled from the shop; nothing was sent."),
        outcome=Outcome.UNINSTALLED,
        in_doubt=_(
            "The app was uninstalled before Shopify’s response was known. Compare with Shopify."
        ),
        now=now,
    )


def hand_over_uninstalled(*, now: datetime) -> int:
    """Run `hand_over` again for every uninstalled shop: actions being sent then are free by now."""
    gone = Store.objects.filter(uninstalled_at__isnull=False)
    busy = gone.filter(orders__actions__state__in=_OPEN).distinct()
    return sum(hand_over(store, now=now) for store in busy)


def make_way(orders: Iterable[int], *, now: datetime) -> int:
    """End the open actions on these orders (ids); return how many moved.

    For orders whose personal data has to be deleted by law, when the deadline is near.
    """
    ids = OrderAction.objects.filter(order__in=orders, state__in=_OPEN)
    return _end(
        ids.order_by("pk").values_list("pk", flat=True)[:_BATCH_SIZE],
        unsent=_("The customer’s data had to be deleted; nothing was sent."),
        outcome=Outcome.ERASED,
        in_doubt=_(
            "The customer’s data had to be deleted before Shopify’s response was known. "
            "Compare with Shopify."
        ),
        now=now,
    )


def _end(ids: Iterable[int], *, unsent: str, outcome: Outcome, in_doubt: str, now: datetime) -> int:
    moved = 0

    def end(action_id: int) -> None:
        nonlocal moved
        moved += _end_one(action_id, unsent=unsent, outcome=outcome, in_doubt=in_doubt, now=now)

    # One action that fails to end must not hold up the others.
    sweeps.each(list(ids), end)
    return moved


def _end_one(
    action_id: int, *, unsent: str, outcome: Outcome, in_doubt: str, now: datetime
) -> bool:
    with transaction.atomic(durable=True):
        action = locked(action_id)
        if action.can_be_withdrawn:
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
