"""Who may do what. Agents are Django's users; their groups say what they are."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

AGENTS: Final = "agents"
SUPERVISORS: Final = "supervisors"

Agent = User | AnonymousUser


def is_supervisor(user: Agent) -> bool:
    """Supervisors may act on any conversation's orders. Read from the database each time."""
    return bool(user.groups.filter(name=SUPERVISORS).exists())


def assignable() -> QuerySet[User]:
    """People a conversation may be assigned to."""
    return User.objects.filter(is_active=True, groups__name__in=[AGENTS, SUPERVISORS]).distinct()
