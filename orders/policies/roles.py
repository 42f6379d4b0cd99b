"""Who may cancel and refund at all."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from orders.errors import Refusal

# Only these roles may cancel and refund at all; policies set their limits.
AGENTS: Final = "agents"
# Also settle actions whose outcome is uncertain.
SUPERVISORS: Final = "supervisors"
ACTING_ROLES: Final = (AGENTS, SUPERVISORS)


def is_supervisor(user: User | AnonymousUser) -> bool:
    """Whether the account is active and has the supervisor role. Queries the database each time."""
    return _active(user).filter(groups__name=SUPERVISORS).exists()


def acting_refusal(user: User | AnonymousUser) -> Refusal | None:
    """Why this person may not cancel or refund at all, whatever the policies say; None if they may.

    Read from the database each time, so that deactivating an account or removing a role takes
    effect immediately. Superusers and administrators need an acting role like everyone else.
    """
    roles = list(_active(user).values_list("groups__name", flat=True))
    if not roles:
        return Refusal("account_inactive", _("This account has been deactivated."))
    if not set(ACTING_ROLES).isdisjoint(roles):
        return None
    return Refusal(
        "no_acting_role",
        _("Only agents and supervisors can cancel and refund."),
        _("Ask an administrator for one of these roles."),
    )


def _active(user: User | AnonymousUser) -> QuerySet[User]:
    # Anonymous users have no pk.
    return User.objects.filter(pk=user.pk or 0, is_active=True)
