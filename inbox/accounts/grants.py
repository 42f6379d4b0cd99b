"""Roles that move or approve money are given by two administrators; taking one away needs one.

So a single stolen or bribed administrator's account can't make itself an accomplice. The first
installation has a single administrator: `manage.py grant_role` gives roles from the terminal, where
the person at the terminal could change the database as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils.translation import gettext as _

from inbox.accounts import notices, roles
from inbox.accounts.login import sessions
from inbox.accounts.models import GrantState, RoleGrant
from orders import audit
from orders.errors import Refusal
from orders.models import AuditKind

# Auditors only look.
_TAKING_TWO: Final = roles.WORKING | {roles.ADMINS}
MAY_NOT_MIX: Final = (
    "Administrators change limits; agents and supervisors move money. One person can't do "
    "both, so a single stolen account is never enough. Create a second account."
)


def needs_second(group: Group) -> bool:
    """Return whether this role is given by two administrators."""
    return group.name in _TAKING_TWO


def request(*, user: User, group: Group, by: User, now: datetime) -> RoleGrant:
    """Ask for a role; another administrator decides. Asking twice is asking once."""
    grant, is_new = RoleGrant.objects.get_or_create(
        user=user,
        group=group,
        state=GrantState.WAITING,
        defaults={"requested_by": by, "requested_at": now},
    )
    if is_new:
        _record(grant, by, "asked")
    return grant


def refusal(grant: RoleGrant, by: User) -> Refusal | None:
    """Why this administrator may not approve the request; None if they may."""
    if grant.state != GrantState.WAITING:
        return Refusal("decided", _("This has been decided already."))
    if grant.requested_by_id is None or grant.requested_by_id == by.pk:
        return Refusal("own_request", _("Another administrator has to approve your request."))
    if grant.user_id == by.pk:
        return Refusal("own_role", _("You can’t approve a role for yourself."))
    if roles.ADMINS not in roles.held(by):
        return Refusal("not_admin", _("Only an administrator can approve this."))
    if grant.requested_by is None or roles.ADMINS not in roles.held(grant.requested_by):
        return Refusal(
            "requester_gone",
            _("The person who asked is no longer an administrator. Decline this and ask again."),
        )
    return None


@transaction.atomic
def approve(*, grant_id: int, by: User, now: datetime) -> Refusal | None:
    """Give the role. Returns why not, if not."""
    grant = RoleGrant.objects.select_for_update().get(pk=grant_id)
    if (why := refusal(grant, by)) is not None:
        return why
    held = set(grant.user.groups.values_list("name", flat=True)) | {grant.group.name}
    if mixes(held):
        return Refusal("mixed", MAY_NOT_MIX)
    grant.user.groups.add(grant.group)
    _decide(grant, GrantState.APPROVED, by, now)
    # The new role begins with a new login, and with a second factor.
    sessions.end_all(grant.user)
    transaction.on_commit(lambda: notices.role_granted(grant.user, grant.group.name))
    return None


@transaction.atomic
def decline(*, grant_id: int, by: User, now: datetime) -> Refusal | None:
    """Decline or withdraw the request; any administrator may. Returns why not, if not."""
    grant = RoleGrant.objects.select_for_update().get(pk=grant_id)
    if grant.state != GrantState.WAITING:
        return Refusal("decided", _("This has been decided already."))
    _decide(grant, GrantState.DECLINED, by, now)
    return None


@transaction.atomic
def decline_all(*, user: User, by: User, now: datetime) -> None:
    """Decline everything that waits for this person.

    A request meant the person behind the account as it was then. After a new address or a
    reactivation, someone else may be behind it.
    """
    for grant in RoleGrant.objects.select_for_update().filter(user=user, state=GrantState.WAITING):
        _decide(grant, GrantState.DECLINED, by, now)


@transaction.atomic
def give_from_terminal(*, user: User, group: Group) -> None:
    """Give a role without a second administrator; the audit log says that it was done so."""
    user.groups.add(group)
    audit.record(
        AuditKind.PERMISSIONS,
        actor=None,
        user=user.pk,
        change="given from the terminal",
        role=group.name,
    )
    sessions.end_all(user)
    transaction.on_commit(lambda: notices.role_granted(user, group.name))


def mixes(names: set[str]) -> bool:
    """Return whether one person may not have these roles together."""
    return roles.ADMINS in names and bool(names & roles.WORKING)


def _decide(grant: RoleGrant, state: GrantState, by: User, now: datetime) -> None:
    grant.state, grant.decided_by, grant.decided_at = state, by, now
    grant.save(update_fields=["state", "decided_by", "decided_at"])
    _record(grant, by, state.value)


def _record(grant: RoleGrant, by: User, change: str) -> None:
    audit.record(
        AuditKind.PERMISSIONS,
        actor=by,
        user=grant.user_id,
        change=f"role {change}",
        role=grant.group.name,
        grant=grant.pk,
    )
