"""Who may do what. Agents are Django's users; their groups say what they are."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser, User
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


def is_supervisor(user: Agent) -> bool:
    """Supervisors may act on any conversation's orders. Read from the database each time."""
    return policies.is_supervisor(user)


def assignable() -> QuerySet[User]:
    """People a conversation may be assigned to."""
    return User.objects.filter(is_active=True, groups__name__in=[AGENTS, SUPERVISORS]).distinct()


def is_assignable(user: User) -> bool:
    return assignable().filter(pk=user.pk).exists()
