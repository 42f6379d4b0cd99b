"""Send SMS through the provider that SMS_BACKEND names.

A provider is a class with a single method, `send`; one for WhatsApp would look the same. There is
no default: which company texts customers is the merchant's choice.
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

from inbox.channels.errors import NotSent

logger = logging.getLogger(__name__)

CONSOLE: Final = "inbox.channels.sms.ConsoleBackend"


class _Sending(threading.Thread):
    """One call of the provider's class, in a thread of its own because it may hang."""

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
        except Exception as error:  # noqa: BLE001  raised again in send_text
            self.error = error
        finally:
            # Database connections are per thread, and the provider's class may have opened some.
            connections.close_all()


# For the provider's whole call. Its class is not ours, so it may hang. Its thread is then
# abandoned, and while too many are hanging, no new one is started. After a while a hanging thread
# is forgotten, because one that never ends must not block all SMS until the next restart.
WITHIN_S: Final = 15.0
_HANG_AT_MOST: Final = 2
_FORGOTTEN_AFTER_S: Final = 600.0
_hanging: Final[list[_Sending]] = []
_lock: Final = threading.Lock()


class SmsBackend(Protocol):
    """What a provider's class has to implement."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        """Hand a text for a number (E.164) to the provider.

        Return once the provider has accepted it, and raise NotSent otherwise. `message_id` is the
        same on every attempt: pass it on as the provider's idempotency key.

        This runs in a thread of its own and has WITHIN_S seconds. A text handed over after that
        counts as not sent and is tried again.
        """


class ConsoleBackend:
    """Log the text instead of sending it, for DEBUG and the demo."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        """Log the text with DEBUG on; raise NotSent otherwise."""
        if not settings.DEBUG:
            # Phone numbers and names don't belong in a production log.
            logger.error("%s was not sent: the console is no provider", message_id)
            raise NotSent(
                "SMS_BACKEND is set to the console backend, which sends nothing.",
                is_final=True,
                was_tried=False,
            )
        logger.info("SMS %s to %s: %s", message_id, to, text)


def is_configured() -> bool:
    """Return whether SMS can be sent at all; the console counts only with DEBUG on."""
    if settings.SMS_BACKEND == CONSOLE:
        return bool(settings.DEBUG)
    return bool(settings.SMS_BACKEND)


def backend() -> SmsBackend:
    """Return the configured provider. Raises ImportError if the setting names no class."""
    found: SmsBackend = import_string(settings.SMS_BACKEND)()
    return found


def send_text(*, to: str, text: str, message_id: str) -> None:
    """Send one SMS. Raises NotSent."""
    if not is_configured():
        raise NotSent("No SMS provider is set up. Set SMS_BACKEND.", is_final=True, was_tried=False)
    with _lock:
        _hanging[:] = [sending for sending in _hanging if sending.is_hanging()]
        if len(_hanging) >= _HANG_AT_MOST:
            raise NotSent(_("The SMS provider didn’t respond."), is_down=True)
    sending = _Sending(to, text, message_id)
    sending.start()
    sending.join(WITHIN_S)
    if sending.is_alive():
        with _lock:
            _hanging.append(sending)
        raise NotSent(_("The SMS provider didn’t respond."), is_down=True)
    if sending.error is not None:
        raise sending.error
