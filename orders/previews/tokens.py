"""Signed tokens: what a summary showed, to whom, and the one click that confirms it."""

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

# Changed with what a summary means: one that was shown before is asked for again.
_SALT: Final = "orders.preview.2"
_TOKEN_AGE_S: Final = 2 * 60 * 60


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A token that was opened: what to do, on which order, and the click it belongs to."""

    order_id: int
    proposal: Proposal
    nonce: str
    digest: str


def sign_token(order: Order, proposal: Proposal, *, by: User) -> str:
    """A token with a nonce of its own: whoever confirms it twice has clicked once."""
    content = {
        "user": by.pk,
        "order": order.pk,
        "nonce": secrets.token_urlsafe(16),
        "proposal": encode_proposal(proposal),
    }
    return signing.dumps(content, salt=_SALT, compress=True)


def open_token(token: str, *, by: User) -> Confirmed:
    """Raises StalePreview for a token that is not this person's, forged, or two hours old."""
    return _opened(token, by=by, max_age_s=_TOKEN_AGE_S)


def read_token(token: str, *, by: User) -> Confirmed:
    """What a token of any age was about: to find what it became, never to act on it. Raises
    StalePreview as `open_token`."""
    return _opened(token, by=by, max_age_s=None)


def _opened(token: str, *, by: User, max_age_s: int | None) -> Confirmed:
    try:
        content = signing.loads(token, salt=_SALT, max_age=max_age_s)
        if content["user"] != by.pk:
            raise StalePreview(_("This summary was made for somebody else: review it again."))
        proposal = msgspec.convert(content["proposal"], Proposal, strict=False)
    except (signing.BadSignature, KeyError, TypeError, msgspec.ValidationError) as error:
        raise StalePreview(_("This summary is too old: review the order again.")) from error
    digest = hashlib.sha256(msgspec.json.encode(content["proposal"])).hexdigest()
    return Confirmed(content["order"], proposal, content["nonce"], digest)
