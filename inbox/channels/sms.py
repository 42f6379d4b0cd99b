"""Texts to a telephone, by whatever provider SMS_BACKEND names (row F47).

A provider is a class with one method, `send`; WhatsApp's is written the same way. There is none
by default: which company texts customers is the merchant's choice.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from inbox.channels.base import NotSent

logger = logging.getLogger(__name__)

CONSOLE: Final = "inbox.channels.sms.ConsoleBackend"


class SmsBackend(Protocol):
    def send(self, *, to: str, text: str, message_id: str) -> None:
        """Hand the text over for the number (E.164). Returns when the provider took it, raises
        NotSent otherwise. `message_id` is the same on every try: pass it on as the provider's
        idempotency key."""


class ConsoleBackend:
    """For DEBUG and the demo: the text goes to the log instead of to a telephone."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        if not settings.DEBUG:
            # A number and a name must not stand in a production log.
            logger.error("%s was not sent: the console is no provider", message_id)
            raise NotSent("SMS_BACKEND names the console, which sends nothing.", is_final=True)
        logger.info("SMS %s to %s: %s", message_id, to, text)


def is_configured() -> bool:
    """Whether texts can leave at all."""
    if settings.SMS_BACKEND == CONSOLE:
        return bool(settings.DEBUG)
    return bool(settings.SMS_BACKEND)


def backend() -> SmsBackend:
    """Raises ImportError where the setting names no class."""
    found: SmsBackend = import_string(settings.SMS_BACKEND)()
    return found


def send_text(*, to: str, text: str, message_id: str) -> None:
    """One SMS. Raises NotSent."""
    if not is_configured():
        raise NotSent("No SMS provider is set up: see SMS_BACKEND.", is_final=True)
    backend().send(to=to, text=text, message_id=message_id)
