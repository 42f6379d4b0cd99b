"""Send replies to a messenger: a signed POST to its callback (Standard Webhooks)."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

import urllib3
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from standardwebhooks import Webhook

from core import http
from inbox.channels import (
    addresses,
    keys,
    recipients,
)
from inbox.channels.errors import NotSent
from inbox.models import Message

# For the whole call, however slowly its bytes arrive.
WITHIN_S: Final = 10.0
# Forbidden and Gone: the customer blocked us or left.
_OPTED_OUT: Final = frozenset({403, 410})
# Request Timeout, Too Early and Too Many Requests. Every 5xx is treated the same.
_RETRY_LATER: Final = frozenset({408, 425, 429})


@cache
def _pool(*, is_public_only: bool) -> urllib3.PoolManager:
    return http.pool(connect_s=3.0, read_s=WITHIN_S, is_public_only=is_public_only)


def send(message: Message) -> None:
    """POST a message to its channel's callback. Raises NotSent."""
    channel = message.channel
    check_address(channel.callback_url)
    message_id = f"msg_{message.pk}"
    now = timezone.now()
    body = json.dumps(
        {
            "type": "message.created",
            "timestamp": now.isoformat(),
            "data": {
                "id": message.pk,
                "conversation": message.conversation.external_id,
                # The messenger's own ID of the reader; empty if unknown.
                "recipient": message.recipient,
                "kind": message.kind,
                "text": message.text,
                "author": message.author.get_full_name() if message.author else "",
            },
        },
        ensure_ascii=False,
    )
    signature = Webhook(keys.signing_secret(channel)).sign(message_id, now, body)
    headers = {
        "Content-Type": "application/json",
        # The same ID on every attempt, so the receiver can recognize a repeat.
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    status = _post(channel.callback_url, body.encode(), headers)
    if status in _OPTED_OUT:
        raise NotSent(f"{recipients.OPTED_OUT} ({status}).", is_final=True)
    if not 200 <= status < 300:
        is_down = status >= 500 or status in _RETRY_LATER
        raise NotSent(f"The messenger responded with {status}.", is_down=is_down)


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of the response.

    Its body is not read: even if it never ended, the messenger would have accepted the message.
    """
    pool = _pool(is_public_only=not settings.DEBUG)
    try:
        with http.stream(
            pool, "POST", url, body=body, headers=headers, within_s=WITHIN_S
        ) as answer:
            return answer.status
    except http.NotPublic as error:
        raise NotSent(
            _("The callback URL isn’t on the public internet."), is_final=True, was_tried=False
        ) from error
    except http.NoAnswer as error:
        raise NotSent(_("The messenger didn’t respond."), is_down=True) from error


def check_address(url: str) -> None:
    """Refuse a callback that we can't post to. Raises NotSent."""
    if not addresses.is_callable(url):
        raise NotSent(
            _("The callback URL isn’t a valid https URL."), is_final=True, was_tried=False
        )
    if addresses.has_login(url):
        raise NotSent(_("The callback URL can’t hold a user name."), is_final=True, was_tried=False)
