"""Sending webhooks as Standard Webhooks prescribes: signed, with the same ID on every attempt."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Final

import urllib3
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook

from core import http
from core.encryption import UndecryptableSecret
from core.failpoints import failpoint
from inbox.channels import addresses
from inbox.models import WebhookDelivery
from inbox.outgoing_webhooks import endpoints, outcomes
from inbox.outgoing_webhooks.claiming import claim, ready
from inbox.outgoing_webhooks.outcomes import Attempt, end_overdue, overdue, send_again

__all__ = ["deliver", "end_overdue", "overdue", "ready", "send_again"]
logger = logging.getLogger(__name__)

# For the whole call, however slowly its bytes arrive.
WITHIN_S: Final = 10.0


@cache
def _pool(*, is_public_only: bool) -> urllib3.PoolManager:
    return http.pool(connect_s=3.0, read_s=WITHIN_S, is_public_only=is_public_only)


def deliver(delivery_id: int) -> bool:
    """Send a webhook, if no other worker has it and its endpoint has room.

    Return whether it was tried, so that its place is free for another. Every attempt has a recorded
    end, unless this worker dies; then the sweep tries again once the lease is over.
    """
    delivery = claim(delivery_id, now=timezone.now())
    if delivery is None:
        return False
    began = time.monotonic()
    try:
        status, error = _post(delivery)
        attempt = Attempt(status=status, duration_ms=_since_ms(began), error=error)
    except SoftTimeLimitExceeded:
        raise
    except _NotTried as reason:
        attempt = Attempt(
            status=None, duration_ms=_since_ms(began), error=str(reason), was_tried=False
        )
    except Exception as found:
        logger.exception("webhook %s was not sent", delivery.pk)
        text = f"It failed here: {type(found).__name__}."
        attempt = Attempt(status=None, duration_ms=_since_ms(began), error=text, was_tried=False)
    failpoint("webhook sent")
    outcomes.record(delivery, attempt)
    return True


class _NotTried(Exception):
    """Something of ours is in the way; the endpoint wasn't contacted."""


def _post(delivery: WebhookDelivery) -> tuple[int | None, str]:
    """Return the status of the response; None with the reason if there is none.

    The response's body isn't read: even if it never ended, the message would be accepted.
    """
    url = delivery.endpoint.url
    if not addresses.is_callable(url):
        raise _NotTried("The URL isn't a valid https URL.")
    body = delivery.payload.encode()
    pool = _pool(is_public_only=not settings.DEBUG)
    try:
        with http.stream(
            pool, "POST", url, body=body, headers=_headers(delivery), within_s=WITHIN_S
        ) as answer:
            return answer.status, "" if 200 <= answer.status < 300 else "It wasn't accepted."
    except http.NotPublic:
        return None, "The host isn't on the public internet."
    except http.NoAnswer:
        return None, "There was no response."


def _headers(delivery: WebhookDelivery) -> dict[str, str]:
    now = timezone.now()
    try:
        secrets = endpoints.signing_secrets(delivery.endpoint, now=now)
    except UndecryptableSecret as error:
        raise _NotTried("The signing secret can't be decrypted. Create a new one.") from error
    signatures = [
        Webhook(secret).sign(delivery.message_id, now, delivery.payload) for secret in secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Agent-Inbox-Webhooks",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _since_ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
