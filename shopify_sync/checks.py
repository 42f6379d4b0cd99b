"""System checks: stop a configuration that must not go to production, and say how to fix it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from shopify_sync.models.connections import ShopConnection, is_staging

# The first version with OrderCancelJobResult, which reports the progress of a cancellation.
OLDEST_VERSION: Final = "2026-10"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_VERSION: Final = re.compile(r"20[0-9]{2}-(01|04|07|10)")


@checks.register(checks.Tags.security)
def stand_in_only_in_debug(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that only DEBUG and staging send tokens to a practice store instead of Shopify.

    Staging's practice store runs on the same machine.
    """
    host = urlsplit(settings.SHOPIFY_ADMIN_ORIGIN).hostname
    if settings.PRACTICE_SHOPS and not settings.DEBUG and host not in _LOOPBACK:
        return [
            checks.Error(
                "Staging would not reach the practice store of this machine.",
                hint="Unset SHOPIFY_ADMIN_ORIGIN, or name the practice store's address on 127.0.0.1.",
                id="shopify_sync.E001",
            )
        ]
    is_allowed = settings.DEBUG or (settings.PRACTICE_SHOPS and host in _LOOPBACK)
    if settings.SHOPIFY_ADMIN_ORIGIN and not is_allowed:
        return [
            checks.Error(
                "SHOPIFY_ADMIN_ORIGIN would send tokens to an address other than Shopify's.",
                hint="Unset it. It's only for the practice store of ./run demo and ./run staging.",
                id="shopify_sync.E001",
            )
        ]
    return []


@checks.register(checks.Tags.security)
def encryption_keys_work(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that there is an encryption key and that each one is a Fernet key."""
    hint = (
        "Generate one: python -c 'from cryptography.fernet import Fernet as F; "
        "print(F.generate_key().decode())'"
    )
    if not settings.FIELD_ENCRYPTION_KEYS:
        return [checks.Error("FIELD_ENCRYPTION_KEYS is empty.", hint=hint, id="shopify_sync.E002")]
    for number, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key.encode())
        except ValueError:
            text = f"Key {number} of FIELD_ENCRYPTION_KEYS isn't a valid Fernet key."
            return [checks.Error(text, hint=hint, id="shopify_sync.E003")]
    return []


@checks.register(checks.Tags.security, deploy=True)
def public_url_is_https(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check PUBLIC_URL's scheme: Shopify delivers webhooks to https only. Runs on --deploy."""
    if settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        checks.Error(
            "PUBLIC_URL must be the HTTPS address where Shopify reaches this server.",
            hint="For example PUBLIC_URL=https://inbox.example.com",
            id="shopify_sync.E004",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def failpoints_are_off(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that no failpoint, which kills processes for tests, is set. Runs on --deploy."""
    if not os.environ.get("FAILPOINTS"):
        return []
    return [
        checks.Error(
            "FAILPOINTS is set, which kills processes in the middle of their work.",
            hint="Unset it. It's only for fault tests.",
            id="shopify_sync.E005",
        )
    ]


@checks.register(checks.Tags.security)
def api_version_is_known(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that the API version has what money depends on.

    That is the result of a cancellation job and idempotency keys for refunds. Shopify would
    answer an older version too, but the answer would mean something else.
    """
    version = settings.SHOPIFY_API_VERSION
    if _VERSION.fullmatch(version) and version >= OLDEST_VERSION:
        return []
    return [
        checks.Error(
            f"SHOPIFY_API_VERSION={version} isn't supported. Agent Inbox needs {OLDEST_VERSION} or newer.",
            hint=f"Unset it, or set it to {OLDEST_VERSION}.",
            id="shopify_sync.E006",
        )
    ]


@checks.register(checks.Tags.database)
def shops_belong_here(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: object
) -> list[checks.CheckMessage]:
    """Check that staging has practice shops only, and that nothing else has any.

    A practice shop's domain is someone's real one outside staging, and inside, a real shop's orders
    would be read from the practice store.

    Queries the database, so it runs only with `check --database default`, and in `migrate`, also
    with --check, without which nothing starts.
    """
    strangers = _strangers() if databases else []
    if not strangers:
        return []
    if is_staging():
        text = f"Real stores are connected in this database: {', '.join(strangers)}."
        hint = "Let DATABASE_URL name an empty database for staging."
    else:
        text = f"Practice shops are connected in this database: {', '.join(strangers)}."
        hint = (
            "Let DATABASE_URL name another database. This one belongs to ./run staging; for other "
            "commands on it, set DJANGO_SETTINGS_MODULE=settings.staging."
        )
    return [checks.Error(text, hint=hint, id="shopify_sync.E007")]


def _strangers() -> list[str]:
    """Return the domains of some connections that don't belong here."""
    found = ShopConnection.objects.order_by("pk").values_list("store__domain", flat=True)
    try:
        return list(found.exclude(is_practice=is_staging())[:5])
    except DatabaseError:
        # `migrate` runs this before the column exists: until then, every connection is real.
        pass
    try:
        return list(found[:5]) if is_staging() else []
    except DatabaseError:
        # Or before the table exists.
        return []
