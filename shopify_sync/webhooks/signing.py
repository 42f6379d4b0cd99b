"""Webhook signatures: HMAC-SHA256 over the raw body, base64, compared as bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable


def sign(body: bytes, secret: bytes) -> str:
    """Return the X-Shopify-Hmac-Sha256 header for a body."""
    return base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()


def is_signed(body: bytes, signature: str, secrets: Iterable[bytes]) -> bool:
    """Return whether one of the secrets signed these bytes. Never raises, whatever the header."""
    try:
        given = base64.b64decode(signature.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    # Try every secret, so that the time taken doesn't reveal which one matched.
    matches = [hmac.compare_digest(given, hmac.digest(s, body, hashlib.sha256)) for s in secrets]
    return any(matches)
