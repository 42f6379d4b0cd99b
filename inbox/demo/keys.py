"""The demo's keys for other programs, in a file beside its database that only its owner can read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone

from inbox import api_tokens
from inbox.channels import keys as channel_keys
from inbox.models import ApiToken, Channel, TokenScope

Json = dict[str, Any]
_PURPOSE: Final = "Demo"


def write(file: Path, *, people: Iterable[str], shops: Mapping[str, Mapping[str, str]]) -> Json:
    """Write every channel's key, API tokens of these people, and the shops' secrets to a file.

    The database has only hashes of keys and tokens, so those in the file that still work are kept;
    the others are replaced by new ones. Returns what was written.
    """
    before = _read(file)
    known = {row["id"]: row["key"] for row in before.get("channels", ())}
    tokens = before.get("tokens", {})
    content = {
        "channels": [
            {
                "id": channel.pk,
                "name": channel.name,
                "kind": channel.kind,
                "key": _key(channel, known.get(channel.pk, "")),
                "verifies": channel.proves_addresses,
            }
            for channel in Channel.objects.filter(kind="api", is_active=True).order_by("pk")
        ],
        "tokens": {
            user.get_username(): _token(user, tokens.get(user.get_username(), ""))
            for user in User.objects.filter(username__in=people, is_active=True)
        },
        "shops": {domain: dict(keys) for domain, keys in shops.items()},
    }
    _write(file, json.dumps(content, indent=2) + "\n")
    return content


def _key(channel: Channel, known: str) -> str:
    owner = channel_keys.channel_of(known)
    if owner is not None and owner.pk == channel.pk:
        return known
    return channel_keys.new_key(channel)


def _token(user: User, known: str) -> str:
    now = timezone.now()
    found = api_tokens.owned_by(known, now=now)
    if found is not None and found.owner_id == user.pk:
        return known
    lost = ApiToken.objects.filter(owner=user, name=_PURPOSE)
    api_tokens.revoke(lost, by=None, now=now, why="its text was lost")
    _made, text = api_tokens.create(
        owner=user,
        name=_PURPOSE,
        scope=TokenScope.ACT,
        days=api_tokens.LONGEST_DAYS,
        by=user,
        now=now,
    )
    return text


def _read(file: Path) -> Json:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, text: str) -> None:
    """Replace the file atomically, without it ever being readable by others."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as sink:
        sink.write(text)
    fresh.replace(file)
