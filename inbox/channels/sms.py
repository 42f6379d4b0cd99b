"""Texts to a telephone, by whatever provider SMS_BACKEND names (row F47).

A provider is a class with one method, `send`; WhatsApp's is written the same way. There is none
by default: which company texts customers is the merchant's choice.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final, Protocol

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from inbox.channels.base import NotSent

logger = logging.getLogger(__name__)

CONSOLE: Final = "inbox.channels.sms.ConsoleBackend"


class _Sending(threading.Thread):
    """One call of the provider's class."""

    def __init__(self, to: str, text: str, message_id: str) -> None:
        super().__init__(name=f"SMS {message_id}", daemon=True)
        self._to, self._text, self._message_id = to, text, message_id
        self.error: Exception | None = None
        self.began = time.monotonic()

    def is_hanging(self) -> bool:
        return self.is_alive() and time.monotonic() - self.began < _FORGOTTEN_AFTER_S

    def run(self) -> None:
        try:
            backend().send(to=self._to, text=self._text, message_id=self._message_id)
        except Exception as error:  # noqa: BLE001  raised again by whoever waits
            self.error = error
        finally:
            connections.close_all()


# For a provider's whole answer. Its class is not ours, so it may hang: then its thread is left
# alone, and while so many are, no further one is begun. One that never ends must not keep all texts
# here until the next start.
WITHIN_S: Final = 15.0
_HANG_AT_MOST: Final = 2
_FORGOTTEN_AFTER_S: Final = 600.0
_hanging: Final[list[_Sending]] = []
_lock: Final = threading.Lock()


class SmsBackend(Protocol):
    def send(self, *, to: str, text: str, message_id: str) -> None:
        """Hand the text over for the number (E.164). Returns when the provider took it, raises
        NotSent otherwise. `message_id` is the same on every try: pass it on as the provider's
        idempotency key. It has WITHIN_S seconds and runs in a thread of its own; a text that it
        hands over after that counts as not sent, and is tried again."""


class ConsoleBackend:
    """For DEBUG and the demo: the text goes to the log instead of to a telephone."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        if not settings.DEBUG:
            # A number and a name must not stand in a production log.
            logger.error("%s was not sent: the console is no provider", message_id)
            raise NotSent(
                "SMS_BACKEND names the console, which sends nothing.",
                is_final=True,
                was_tried=False,
            )
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
        raise NotSent("No SMS provider is set up: see SMS_BACKEND.", is_final=True, was_tried=False)
    with _lock:
        _hanging[:] = [sending for sending in _hanging if sending.is_hanging()]
        if len(_hanging) >= _HANG_AT_MOST:
            raise NotSent(_("The SMS provider did not answer."), is_down=True)
    sending = _Sending(to, text, message_id)
    sending.start()
    sending.join(WITHIN_S)
    if sending.is_alive():
        with _lock:
            _hanging.append(sending)
        raise NotSent(_("The SMS provider did not answer."), is_down=True)
    if sending.error is not None:
        raise sending.error
