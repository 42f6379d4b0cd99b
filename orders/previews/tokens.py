"""Signed tokens: what a summary showed to which agent, with a nonce for confirming it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

import msgspec
from django.contrib.auth.models import User
from django.core import signing
from django.utils.translation import gettext as _

from orders.errors import StalePreview
from orders.models import Order
from orders.previews.proposals import Proposal, encode_proposal

# Change it whenever the meaning of a summary changes, so that older tokens are refused.
_SALT: Final = "orders.preview.2"
_TOKEN_AGE_S: Final = 2 * 60 * 60


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The content of a token. `nonce` identifies the click, `digest` the exact request."""

    order_id: int
    proposal: Proposal
    nonce: str
    digest: str


def sign_token(order: Order, proposal: Proposal, *, by: User) -> str:
    """Sign a proposal for this person. Its nonce makes confirming it twice count as one click."""
    content = {
        "user": by.pk,
        "order": order.pk,
        "nonce": secrets.token_urlsafe(16),
        "proposal": encode_proposal(proposal),
    }
    return signing.dumps(content, salt=_SALT, compress=True)


def open_token(token: str, *, by: User) -> Confirmed:
    """Verify a token. Raises StalePreview if forged, made for someone else, or two hours old."""
    return _verify(token, by=by, max_age_s=_TOKEN_AGE_S)


def read_token(token: str, *, by: User) -> Confirmed:
    """Verify a token of any age, to look up the action it created; never act on the result.

    Raises StalePreview if it is forged or someone else's.
    """
    return _verify(token, by=by, max_age_s=None)


def _verify(token: str, *, by: User, max_age_s: int | None) -> Confirmed:
    try:
        content = signing.loads(token, salt=_SALT, max_age=max_age_s)
        if content["user"] != by.pk:
            raise StalePreview(_("This summary was prepared for someone else. Review it again."))
        proposal = msgspec.convert(content["proposal"], Proposal, strict=False)
    except (signing.BadSignature, KeyError, TypeError, msgspec.ValidationError) as error:
        raise StalePreview(_("This summary is too old. Review the order again.")) from error
    digest = hashlib.sha256(msgspec.json.encode(content["proposal"])).hexdigest()
    return Confirmed(content["order"], proposal, content["nonce"], digest)
