"""System checks: stop a configuration that must not go to production, and say how to fix it."""

from __future__ import annotations

import os
import re
from typing import Final

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks

# The first version with OrderCancelJobResult, which reports the progress of a cancellation.
OLDEST_VERSION: Final = "2026-10"
_VERSION: Final = re.compile(r"20[0-9]{2}-(01|04|07|10)")


@checks.register(checks.Tags.security)
def stand_in_only_in_debug(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that only a DEBUG server sends tokens to a practice store instead of Shopify."""
    if settings.SHOPIFY_ADMIN_ORIGIN and not settings.DEBUG:
        return [
            checks.Error(
                "SHOPIFY_ADMIN_ORIGIN would send tokens to an address other than Shopify's.",
                hint="Unset it. It's only for the practice store, with DEBUG on.",
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
