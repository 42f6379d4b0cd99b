"""Replies to a messenger: a signed POST to its callback (Standard Webhooks)."""

from __future__ import annotations

import ipaddress
import json
import socket
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import urllib3
from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook

from inbox import channel_keys, reach
from inbox.channels.base import NotSent
from inbox.models import Message
from orders import transport

# Well within the lease of a message.
_WITHIN_S: Final = 15.0
_MOST_BYTES: Final = 2**20
# Forbidden, and Gone: they blocked us, or left.
_OPTED_OUT: Final = frozenset({403, 410})


@cache
def _pool() -> urllib3.PoolManager:
    return transport.pool(connect_s=3.0, read_s=10.0)


def send(message: Message) -> None:
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
                # The messenger's own id of whom it is for; empty where that is not known.
                "recipient": message.recipient,
                "kind": message.kind,
                "text": message.text,
                "author": message.author.get_full_name() if message.author else "",
            },
        },
        ensure_ascii=False,
    )
    signature = Webhook(channel_keys.signing_secret(channel)).sign(message_id, now, body)
    headers = {
        "Content-Type": "application/json",
        # The same id on every try: the receiver can tell a repeat.
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    try:
        answer = transport.call(
            _pool(), "POST", channel.callback_url, body=body.encode(), headers=headers,
            within_s=_WITHIN_S, at_most=_MOST_BYTES,
        )  # fmt: skip
    except transport.NoAnswer as error:
        raise NotSent("The messenger did not answer.") from error
    if answer.status in _OPTED_OUT:
        raise NotSent(f"{reach.OPTED_OUT} ({answer.status}).", is_final=True)
    if not 200 <= answer.status < 300:
        raise NotSent(f"The messenger answered {answer.status}.")


def check_address(url: str) -> None:
    """Outside DEBUG, nothing on this machine or its private network is reached."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotSent("The callback is no web address.", is_final=True)
    if settings.DEBUG:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise NotSent("The callback's host does not exist.") from error
    if not all(ipaddress.ip_address(entry[4][0]).is_global for entry in found):
        raise NotSent("The callback is not on the public internet.", is_final=True)
