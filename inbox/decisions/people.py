"""Who asked, and who may decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User

from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.visibility import scope_of
from orders import policies, services
from orders.models import ActionState, OrderAction

COUNTED_AT_MOST: Final = 99
# What a row of the decisions page needs, but counting doesn't.
_LARGE: Final = ("order__document", "proposal", "steps")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The requests that wait for one person's decision; `newest` is None if there are none."""

    count: int
    newest: OrderAction | None = None

    @property
    def shown(self) -> str:
        """The count as it is shown: "3", "99+"."""
        return str(self.count) if self.count <= COUNTED_AT_MOST else f"{COUNTED_AT_MOST}+"


def name(user: User) -> str:
    """Return a colleague's name as rows show it."""
    return user.get_full_name() or user.get_username()


def waiting_for(user: Agent) -> Waiting | None:
    """Count what this person may decide now, up to one more than COUNTED_AT_MOST.

    None for those whose policies let them approve nothing. Looked up once per request, in two
    queries; requests expire within hours, so there are never many.
    """
    if not isinstance(user, User) or not roles.may_work(user):
        return None
    known: dict[str, Waiting | None] = user.__dict__
    if "_waiting_for" not in known:
        known["_waiting_for"] = _look_up(user)
    return known["_waiting_for"]


def _look_up(user: User) -> Waiting | None:
    held = policies.policies_of(user)
    if all(policy.may_approve_up_to == 0 for policy in held):
        return None
    rows = (
        scope_of(user)
        .actions()
        .filter(state=ActionState.AWAITING_APPROVAL)
        .exclude(requested_by=user.pk)
        .select_related("order__store", "requested_by")
        .defer(*_LARGE)
        .order_by("-pk")[: COUNTED_AT_MOST + 1]
    )
    found = [row for row in rows if services.approval_refusal(row, user, held=held) is None]
    return Waiting(len(found), found[0] if found else None)
