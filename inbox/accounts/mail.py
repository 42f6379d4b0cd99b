"""Mail about an account: links and notices, handed to a worker and never kept.

An answer that waited for the mail server would tell a stranger which accounts exist.
"""

from __future__ import annotations

from django.conf import settings
from django.core.mail import send_mail

from core import queue

TASK = "inbox.tasks.send_account_mail"


def send(to: str, subject: str, text: str) -> None:
    """Send a mail through a worker, or directly if the broker can't be reached.

    Links in it expire within hours, so a message that no worker took by then is dropped.
    """
    if to and not queue.enqueue(TASK, to, subject, text):
        deliver(to, subject, text)


def deliver(to: str, subject: str, text: str) -> None:
    """Hand the mail to the mail server. Raises SMTPException and OSError."""
    send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [to])
