"""Which account someone means by the name they type to log in.

The login and the counters of its failures ask here, so that they can't mean different accounts.
"""

from __future__ import annotations

from allauth.account.internal.userkit import get_user_by_username
from django.contrib.auth.models import User


def by_address(typed: str) -> User | None:
    """Return the account with this email address; None if two people share it."""
    found = list(User.objects.filter(email__iexact=typed)[:2])
    return found[0] if len(found) == 1 else None


def by_username(typed: str) -> User | None:
    """Return the account with this username, in any case."""
    found = get_user_by_username(typed)
    return found if isinstance(found, User) else None


def account(typed: str) -> User | None:
    """Return the account whose password this name is checked against first."""
    return by_address(typed) or by_username(typed)
