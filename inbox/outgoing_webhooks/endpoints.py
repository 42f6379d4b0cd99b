"""An endpoint's signing secrets, and turning it off."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from inbox.models import OffReason, WebhookEndpoint
from orders import audit
from orders.models import AuditKind

# How long the secret before still signs, too.
OVERLAP: Final = timedelta(hours=24)


def new_secret(endpoint: WebhookEndpoint, *, by: User, now: datetime) -> str:
    """Give the endpoint a new signing secret and return it; it isn't shown again.

    The one before, if any, signs along with it for OVERLAP. One that was replaced before that
    stops at once. Opens its own transaction.
    """
    text = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    with transaction.atomic():
        locked = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        has_old = bool(locked.secret)
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            secret=text,
            old_secret=locked.secret,
            old_secret_until=now + OVERLAP if has_old else None,
        )
        audit.record(
            AuditKind.PERMISSIONS, actor=by, webhook_endpoint=endpoint.pk, change="new secret"
        )
    endpoint.refresh_from_db()
    return text


def signing_secrets(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first. Raises UndecryptableSecret."""
    found = [endpoint.secret.reveal()]
    if endpoint.old_secret_until and now < endpoint.old_secret_until:
        found.append(endpoint.old_secret.reveal())
    return found


def turn_off(endpoint: WebhookEndpoint, reason: OffReason, *, now: datetime) -> bool:
    """Turn an endpoint off because of what it answers; False if it is off already.

    What waits for it stays, and goes out if it is turned on again in time. Expects a transaction.
    """
    on = WebhookEndpoint.objects.active().filter(pk=endpoint.pk)
    if not on.update(is_active=False, off_reason=reason, off_since=now):
        return False
    audit.record(
        AuditKind.PERMISSIONS,
        actor=None,
        webhook_endpoint=endpoint.pk,
        change="turned off",
        why=str(reason),
    )
    return True
