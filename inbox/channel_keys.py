"""A channel's key and signing secret. Keys are stored as hashes and shown once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

from inbox.models import Channel


@cache
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def new_key(channel: Channel) -> str:
    """Give the channel a new key and signing secret; returns the key. Saves the channel."""
    prefix, rest = secrets.token_hex(4), secrets.token_hex(16)
    channel.key_prefix = prefix
    channel.key_hash = _hash(rest)
    signing = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    channel.sealed_secret = (
        _box(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(signing.encode()).decode()
    )
    channel.save(update_fields=["key_prefix", "key_hash", "sealed_secret"])
    return f"axk_{prefix}_{rest}"


def channel_of(key: str) -> Channel | None:
    """The active channel a key belongs to, compared in constant time."""
    name, _, rest = key.removeprefix("axk_").partition("_")
    if not key.startswith("axk_") or not rest:
        return None
    channel = Channel.objects.filter(key_prefix=name, is_active=True).exclude(key_prefix="").first()
    if channel is None or not hmac.compare_digest(channel.key_hash, _hash(rest)):
        return None
    return channel


def signing_secret(channel: Channel) -> str:
    sealed = channel.sealed_secret.encode()
    return _box(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(sealed).decode()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
