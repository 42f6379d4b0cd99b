"""Email about an account: links and notices, handed to a worker and never kept.

An answer that waited for the mail server would tell a stranger which accounts exist.
"""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail

from core import queue

logger = logging.getLogger(__name__)

TASK = "inbox.tasks.send_account_mail"


def send(to: str, subject: str, text: str) -> bool:
    """Send an email through a worker, or directly if the broker can't be reached.

    Returns whether one of them took it. Links in it expire within hours, so a message that no worker took by then is dropped. If the
    mail server can't be reached either, that is logged and the email is lost: the login or change
    that it is about has already happened, and must not fail because of it.
    """
    if not to:
        return False
    if queue.enqueue(TASK, to, subject, text):
        return True
    try:
        deliver(to, subject, text)
    except (OSError, SMTPException) as error:
        # Only the error's kind, because its text can name the address. The email's text has links
        # that open the account.
        kind = type(error).__name__
        logger.error("The broker is down, and an email about an account is lost: %s", kind)
        return False
    return True


def deliver(to: str, subject: str, text: str) -> None:
    """Hand the email to the mail server. Raises SMTPException and OSError."""
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [to])
