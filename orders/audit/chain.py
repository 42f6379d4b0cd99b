"""The links of the chain: what is hashed, in which format, and with which key.

    format 1   SHA-256(previous hash + entry). Anyone who can write to the database can compute it,
               so it is only read: it's what installations wrote before there were keys.
    format 2   HMAC-SHA256(key, number + previous hash + entry). The key is not in the database.

A key is derived from a secret in the settings, and each link names its key by an ID that reveals
nothing about it. To change the key, put a new secret in front of the old ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from django.conf import settings

GENESIS: Final = "0" * 64
UNKEYED: Final = 1
KEYED: Final = 2
# What is sealed of an entry: every column.
COLUMNS: Final = (
    "id",
    "kind",
    "actor_id",
    "actor",
    "roles",
    "store_id",
    "order_id",
    "action_id",
    "before",
    "after",
    "currency",
    "request_id",
    "ip",
    "detail",
)
# Columns that `entry_text` formats itself.
_FORMATTED: Final = ("at", "amount")
READ: Final = (*COLUMNS, *_FORMATTED)

# A row of AuditEntry, as `values(*READ)` returns it.
Entry = Mapping[str, Any]


def keys() -> dict[str, bytes]:
    """Return every known key by its ID; the first one seals.

    They come from AUDIT_KEYS, then from FIELD_ENCRYPTION_KEYS, which serve as long as AUDIT_KEYS is
    empty and whose links must stay verifiable after that.
    """
    return _derived(tuple(settings.AUDIT_KEYS), tuple(settings.FIELD_ENCRYPTION_KEYS))


@cache
def _derived(audit_keys: tuple[str, ...], field_keys: tuple[str, ...]) -> dict[str, bytes]:
    found = [
        hashlib.sha256(b"audit chain:" + secret.encode()).digest()
        for secret in (*audit_keys, *field_keys)
    ]
    return {hashlib.sha256(b"audit key id:" + key).hexdigest()[:16]: key for key in found}


def current_key() -> tuple[str, bytes]:
    """Return the ID and the bytes of the key that seals new entries."""
    return next(iter(keys().items()))


def entry_text(entry: Entry) -> str:
    """Return an entry as canonical JSON, the same on every database."""
    content: dict[str, object] = {name: entry[name] for name in COLUMNS}
    content["at"] = entry["at"].isoformat()
    # The column has four decimal places; a Decimal not read back from it may have fewer.
    content["amount"] = None if entry["amount"] is None else f"{entry['amount']:.4f}"
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def unkeyed_hash(previous: str, entry: Entry) -> str:
    """Return the hash of a link in format 1."""
    return hashlib.sha256(f"{previous}{entry_text(entry)}".encode()).hexdigest()


def keyed_hash(key: bytes, seq: int, previous: str, entry: Entry) -> str:
    """Return the hash of a link in format 2."""
    return mac(key, f"{KEYED}:{seq}:{previous}{entry_text(entry)}")


def mac(key: bytes, text: str) -> str:
    """Return the HMAC-SHA256 of a text."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
