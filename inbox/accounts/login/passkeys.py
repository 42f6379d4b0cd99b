"""People's passkeys, which django-allauth keeps, in the form in which approvals are checked."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from orders.audit import approval_signatures


def exist_for(user: User) -> bool:
    """Return whether this person has a passkey."""
    rows = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    found: bool = rows.exists()
    return found


def keys_of(user: User) -> dict[str, str]:
    """Return a person's passkeys: the credential's ID and its public key."""
    rows = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    return dict(parts for row in rows if (parts := public_parts(row)))


def public_parts(row: Authenticator) -> tuple[str, str] | None:
    """Return a passkey's credential ID and public key; None for another kind of factor."""
    if row.type != Authenticator.Type.WEBAUTHN:
        return None
    data = row.wrap().authenticator_data.credential_data
    return approval_signatures.encode(data.credential_id), approval_signatures.public_key_text(
        data.public_key
    )
