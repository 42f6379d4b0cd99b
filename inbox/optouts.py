"""Who asked us for no more marketing: at our own address, with one click of a mail program.

Mail programs show a button for mail with these two headers (RFC 8058) and POST to the address
themselves, without a log-in; a GET must change nothing, as scanners follow every link. Shopify's
own record of consent is not ours to write: the app has no right to change customers there.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse

from inbox.models import OptOut
from orders.redactions import digests

_SALT: Final = "inbox.optout"


def headers(address: str) -> dict[str, str]:
    """Of a marketing e-mail; none where we do not know our own address."""
    if not settings.PUBLIC_URL:
        return {}
    url = settings.PUBLIC_URL + reverse("unsubscribe", args=[token_of(address)])
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def token_of(address: str) -> str:
    """Good for ever, as mail is kept for ever; it holds a hash and not the address."""
    return signing.dumps(digests(address)[0], salt=_SALT, compress=False)


def is_token(token: str) -> bool:
    try:
        signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return False
    return True


def record(token: str) -> None:
    """May be called again. Raises BadSignature."""
    OptOut.objects.get_or_create(digest=signing.loads(token, salt=_SALT))


def has(address: str) -> bool:
    return OptOut.objects.filter(digest__in=digests(address)).exists()
