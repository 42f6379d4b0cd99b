"""Send replies through Django's mail backend."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import override

from core import http
from inbox.channels import recipients
from inbox.channels.errors import NotSent
from inbox.models import Conversation, Message, MessageKind
from inbox.texts import placeholders

# For the whole delivery: connecting, TLS, every reply of the server.
WITHIN_S: Final = 20.0
# SMTP codes from here on mean a permanent failure.
_PERMANENT_FROM: Final = 500
_SERVICE_CLOSING: Final = 421
# Errors by which the server refuses all mail, not just this one.
_SERVER_ERRORS: Final[tuple[type[Exception], ...]] = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
)


def send(message: Message) -> None:
    """Send a reply or confirmation. Raises NotSent."""
    conversation = message.conversation
    address = _address(message)
    send_mail(
        to=address,
        subject=subject_of(conversation),
        text=message.text,
        message_id=f"msg-{message.pk}",
    )


def _address(message: Message) -> str:
    """Return the address that was fixed when the message was written.

    Raises NotSent if there is none or, for a confirmation about an order, if the address is no
    longer proven.
    """
    conversation = message.conversation
    is_news = message.kind == MessageKind.CONFIRMATION
    if message.recipient:
        if is_news and not recipients.is_proven(conversation, message.recipient):
            raise NotSent("The address is no longer verified.", is_final=True, was_tried=False)
        return message.recipient
    # The message is older than the `recipient` column.
    find = recipients.news_recipient if is_news else recipients.recipient
    address = find(conversation)
    if not address:
        raise NotSent("The contact has no email address.", is_final=True, was_tried=False)
    return address


def subject_of(conversation: Conversation) -> str:
    """Return the subject of all mail in a conversation, on one line as headers require."""
    with override(_catalog_language(conversation.contact.language)):
        return " ".join((conversation.subject or _("Your message")).split())


def _catalog_language(language: str) -> str:
    """Return the customer's language if we have translations for it, or else our default."""
    return language if placeholders.has_catalog(language) else settings.LANGUAGE_CODE


def send_mail(
    *, to: str, subject: str, text: str, message_id: str, headers: Mapping[str, str] | None = None
) -> None:
    """Send one plain-text mail. Raises NotSent."""
    mail = EmailMessage(
        subject=" ".join(subject.split()),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[to],
        # The same on every attempt, so that mail programs drop a repeat.
        headers={"Message-ID": f"<{message_id}@agent-inbox>", **(headers or {})},
    )
    try:
        with http.deadline(within_s=WITHIN_S):
            mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        is_final = all(code >= _PERMANENT_FROM for code in codes)
        raise NotSent(f"The mail server refused: {error}", is_final=is_final) from error
    except smtplib.SMTPResponseException as error:
        is_down = isinstance(error, _SERVER_ERRORS) or error.smtp_code == _SERVICE_CLOSING
        raise NotSent(f"The mail server refused: {error}", is_down=is_down) from error
    except smtplib.SMTPException as error:
        is_down = isinstance(error, smtplib.SMTPServerDisconnected)
        raise NotSent(f"The mail server refused: {error}", is_down=is_down) from error
    except OSError as error:
        raise NotSent(_("The mail server didn’t respond."), is_down=True) from error
