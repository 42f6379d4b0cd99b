"""A channel's API key and signing secret. Keys are stored as hashes and shown once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from core.encryption import (
    seal,
    unseal,
)
from inbox.models import Channel


def new_key(channel: Channel) -> str:
    """Give the channel a new key and signing secret, save it, and return the key.

    The old key stops working.
    """
    prefix, rest = secrets.token_hex(4), secrets.token_hex(16)
    channel.key_prefix = prefix
    channel.key_hash = _hash(rest)
    signing = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    channel.sealed_secret = seal(signing)
    channel.save(update_fields=["key_prefix", "key_hash", "sealed_secret"])
    return f"axk_{prefix}_{rest}"


def channel_of(key: str) -> Channel | None:
    """Return the active channel a key belongs to; keys are compared in constant time."""
    name, _, rest = key.removeprefix("axk_").partition("_")
    if not key.startswith("axk_") or not rest:
        return None
    channel = Channel.objects.filter(key_prefix=name, is_active=True).exclude(key_prefix="").first()
    if channel is None or not hmac.compare_digest(channel.key_hash, _hash(rest)):
        return None
    return channel


def signing_secret(channel: Channel) -> str:
    """Return the secret that signs callbacks. Raises UndecryptableSecret."""
    return unseal(channel.sealed_secret)


# A plain hash will do: the key is 128 random bits, which can't be guessed offline.
def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
