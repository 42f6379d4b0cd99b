"""Second factors: who needs one, and who has one.

A password alone can be guessed, read over a shoulder or reused. Everyone with a role here therefore
proves a second thing, a code from an app or a passkey: they can move money, decide who can, or see
whose orders it was. What a session without it may still open, inbox.middleware.FactorRequired says.
"""

from __future__ import annotations

from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction

from core import encryption
from inbox.accounts import roles

# What allauth keeps encrypted: of an app its key, of recovery codes what they are made from.
_SECRETS: Final = frozenset({"secret", "seed"})
_NEEDING: Final = roles.WORKING | {roles.ADMINS, roles.AUDITORS}


def needs_one(user: User | AnonymousUser) -> bool:
    """Return whether this person's roles call for a second factor, here and now."""
    return settings.SECOND_FACTOR_REQUIRED and not _NEEDING.isdisjoint(roles.held(user))


def has_one(user: User | AnonymousUser) -> bool:
    """Return whether this person has set up a second factor, by now."""
    found: bool = Authenticator.objects.filter(user_id=user.pk, type__in=roles.FACTORS).exists()
    return found


def is_missing(user: User | AnonymousUser) -> bool:
    """Return whether this person must set up a second factor before doing anything else.

    As of the request's beginning: it costs no query besides that for the roles.
    """
    return needs_one(user) and not roles.has_factor(user)


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
