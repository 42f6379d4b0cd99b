"""Second factors: who needs one, who has one, and what a session without one may still open.

A password alone can be guessed, read over a shoulder or reused. Whoever can move or approve money,
or decide who can, therefore proves a second thing: a code from an app, or a passkey.
"""

from __future__ import annotations

from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction

from core import encryption
from inbox.accounts import roles

# Recovery codes alone are no factor: they only stand in for a lost one.
_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# What allauth keeps encrypted: of an app its key, of recovery codes what they are made from.
_SECRETS: Final = frozenset({"secret", "seed"})
NEEDING: Final = roles.WORKING | {roles.ADMINS}


def needs_one(user: User | AnonymousUser) -> bool:
    """Return whether this person's roles call for a second factor, here and now."""
    return settings.SECOND_FACTOR_REQUIRED and not NEEDING.isdisjoint(roles.held(user))


def has_one(user: User | AnonymousUser) -> bool:
    """Return whether this person has set up a second factor."""
    found: bool = Authenticator.objects.filter(user_id=user.pk, type__in=_FACTORS).exists()
    return found


def is_missing(user: User | AnonymousUser) -> bool:
    """Return whether this person must set up a second factor before doing anything else."""
    return needs_one(user) and not has_one(user)


@transaction.atomic
def reseal() -> tuple[str, int]:
    """Encrypt every second factor's secret with the first of FIELD_ENCRYPTION_KEYS.

    Raises UndecryptableSecret.
    """
    rows = Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN)
    count = 0
    for row in rows.order_by("pk"):
        for name in _SECRETS & set(row.data):
            row.data[name] = encryption.reseal(row.data[name])
        row.save(update_fields=["data"])
        count += 1
    return "mfa.Authenticator", count
