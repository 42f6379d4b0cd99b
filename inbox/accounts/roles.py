"""Who may do what. Agents are Django users, and their groups are their roles."""

from __future__ import annotations

from typing import Final

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, QuerySet

from orders import policies

AGENTS: Final = policies.AGENTS
SUPERVISORS: Final = policies.SUPERVISORS
ADMINS: Final = "admins"
AUDITORS: Final = "auditors"
# For the admin, which is in English.
EXPLAINED: Final = {
    AGENTS: "answers customers; cancels and refunds within the limits of the policies",
    SUPERVISORS: "the same with higher limits; approves requests, settles uncertain outcomes, and can "
    "act in every conversation",
    ADMINS: "connects stores and channels, sets limits, and manages people and teams; can't open the "
    "inbox or move money. Requires “Staff status”",
    AUDITORS: "views limits, refunds, and the audit log; can't open the inbox or change anything. "
    "Requires “Staff status”",
}

Agent = User | AnonymousUser
# Recovery codes alone are no second factor: they only stand in for a lost one.
FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# The roles that open the inbox. Administrators and auditors aren't among them: to configure or to
# audit, no one has to read what customers write.
WORKING: Final = frozenset({AGENTS, SUPERVISORS})


def held(user: Agent) -> frozenset[str]:
    """Return the roles of an active account, looked up once per request.

    Anonymous and inactive users have none. A superuser counts as an administrator.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    return _looked_up(user)[0]


def has_factor(user: Agent) -> bool:
    """Return whether an active account had a second factor at the request's beginning.

    Looked up together with the roles, because almost every request asks for both.
    """
    return isinstance(user, User) and user.is_active and _looked_up(user)[1]


def _looked_up(user: User) -> tuple[frozenset[str], bool]:
    # Cached on the user object, which every request loads again.
    known: tuple[frozenset[str], bool] | None = user.__dict__.get("_looked_up")
    if known is None:
        factors = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=FACTORS)
        # A row for each group, and one without a group for someone who has none.
        rows = list(User.objects.filter(pk=user.pk).values_list("groups__name", Exists(factors)))
        names = {name for name, _ in rows if name is not None}
        held = frozenset(names | ({ADMINS} if user.is_superuser else set()))
        known = held, any(has for _, has in rows)
        user.__dict__["_looked_up"] = known
    return known


def may_work(user: Agent) -> bool:
    """Return whether a user may enter the inbox. Money has rules of its own (orders.policies)."""
    return not WORKING.isdisjoint(held(user))


def may_administer(user: Agent) -> bool:
    """Return whether a user may enter the admin, where each page asks for its own permission.

    “Staff status” alone is not enough: without any role or permission they have nothing to do there.
    """
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return False
    return bool(held(user) or user.get_all_permissions())


def is_supervisor(user: Agent) -> bool:
    """Return whether a user may act on any conversation's orders.

    Read from the database each time, unlike `held`.
    """
    return policies.is_supervisor(user)


def assignable() -> QuerySet[User]:
    """Return the users a conversation can be assigned to: active agents and supervisors."""
    return User.objects.filter(is_active=True, groups__name__in=[AGENTS, SUPERVISORS]).distinct()


def is_assignable(user: User) -> bool:
    """Return whether conversations can be assigned to this user right now."""
    return assignable().filter(pk=user.pk).exists()
