"""Who may do what. Agents are Django's users; their groups say what they are."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser, Group, User
from django.db.models import QuerySet

from orders import policies

AGENTS: Final = policies.AGENTS
SUPERVISORS: Final = policies.SUPERVISORS
ADMINS: Final = "admins"
AUDITORS: Final = "auditors"
# For the admin, which is in English.
EXPLAINED: Final = {
    AGENTS: "answers customers; cancels and refunds within the limits of the policies",
    SUPERVISORS: "the same with higher limits; approves what others ask for, settles what is "
    "uncertain, and may act on every conversation",
    ADMINS: "connects stores and channels, sets limits, manages people; moves no money. Needs "
    "“Staff status”",
    AUDITORS: "looks at limits, refunds and the audit log, and changes nothing. Needs “Staff status”",
}

Agent = User | AnonymousUser
# Who may look at conversations, contacts and orders, and who may answer, assign and act there.
# Auditors do neither: what customers wrote, and their addresses, are not for them.
READING: Final = frozenset({AGENTS, SUPERVISORS, ADMINS})
WORKING: Final = frozenset({AGENTS, SUPERVISORS})


def held(user: Agent) -> frozenset[str]:
    """The roles of an active account, looked up once a request; nobody else has any.

    A superuser counts as an administrator.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    known: frozenset[str] | None = user.__dict__.get("_roles_held")
    if known is None:
        names = set(Group.objects.filter(user=user).values_list("name", flat=True))
        known = frozenset(names | ({ADMINS} if user.is_superuser else set()))
        user.__dict__["_roles_held"] = known
    return known


def may_read(user: Agent) -> bool:
    """Whether they may see the inbox at all. Every door asks (inbox.middleware, inbox.access)."""
    return not READING.isdisjoint(held(user))


def may_work(user: Agent) -> bool:
    """Whether they may change anything there. Money has rules of its own (orders.policies)."""
    return not WORKING.isdisjoint(held(user))


def is_supervisor(user: Agent) -> bool:
    """Supervisors may act on any conversation's orders. Read from the database each time."""
    return policies.is_supervisor(user)


def assignable() -> QuerySet[User]:
    """People a conversation may be assigned to."""
    return User.objects.filter(is_active=True, groups__name__in=[AGENTS, SUPERVISORS]).distinct()


def is_assignable(user: User) -> bool:
    return assignable().filter(pk=user.pk).exists()
