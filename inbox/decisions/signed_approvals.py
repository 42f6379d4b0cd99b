"""Approvals that take a passkey: asking the browser for the signature, and taking its answer.

What is signed and how it's checked is in orders.audit.approval_signatures. The session keeps each request for
a signature, for one answer.
"""

from __future__ import annotations

import json
from typing import Final

from allauth.mfa.adapter import get_adapter
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone
from fido2.utils import websafe_decode
from fido2.webauthn import (
    CredentialRequestOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialType,
    UserVerificationRequirement,
)

from inbox.accounts.login import passkeys
from orders import services
from orders.audit.approval_signatures import Signed
from orders.models import OrderAction

_ASKED: Final = "inbox.approval_asked"
_TIMEOUT_MS: Final = 120_000
# A browser's answer has about 1,000 characters.
_ANSWER_LENGTH: Final = 10_000


def ask(request: HttpRequest, action: OrderAction, by: User) -> dict[str, object]:
    """Return the options for navigator.credentials.get, as JSON data.

    Replaces an earlier request: only the newest one can be answered, and only once.
    """
    nonce, at, challenge = services.signing_request(action, by, now=timezone.now())
    rp_id = str(get_adapter().get_public_key_credential_rp_entity()["id"])
    request.session[_ASKED] = {"action": action.pk, "nonce": nonce, "at": at, "rp_id": rp_id}
    options = CredentialRequestOptions(
        public_key=PublicKeyCredentialRequestOptions(
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            rp_id=rp_id,
            allow_credentials=[
                PublicKeyCredentialDescriptor(
                    type=PublicKeyCredentialType.PUBLIC_KEY, id=websafe_decode(credential_id)
                )
                for credential_id in passkeys.keys_of(by)
            ],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )
    return dict(options)


def answer(request: HttpRequest, action_id: int, by: User) -> Signed | None:
    """Return the signature that a form brings along; None if it brings none that was asked for."""
    asked = request.session.pop(_ASKED, None)
    text = request.POST.get("credential", "")
    if not text or len(text) > _ANSWER_LENGTH or not asked or asked["action"] != action_id:
        return None
    try:
        assertion = json.loads(text)
    except ValueError:
        assertion = None
    return Signed(
        nonce=asked["nonce"],
        at=asked["at"],
        rp_id=asked["rp_id"],
        assertion=assertion if isinstance(assertion, dict) else {},
        keys=passkeys.keys_of(by),
    )
