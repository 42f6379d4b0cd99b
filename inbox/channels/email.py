"""Replies by Django's mail back end."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import override

from core import http
from inbox.channels import reach
from inbox.channels.base import NotSent
from inbox.models import Conversation, Message, MessageKind
from inbox.texts import placeholders

# For the whole of it: connecting, TLS, each reply of the server.
WITHIN_S: Final = 20.0
# From here on, SMTP's codes say that it makes no sense to try again.
_FOR_GOOD: Final = 500
_GOES_AWAY: Final = 421
# It takes no mail at all, whoever it is for.
_OF_THE_SERVER: Final[tuple[type[Exception], ...]] = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
)


def send(message: Message) -> None:
    conversation = message.conversation
    address = _address(message)
    send_mail(
        to=address,
        subject=subject_of(conversation),
        text=message.text,
        message_id=f"msg-{message.pk}",
    )


def _address(message: Message) -> str:
    """The one that was fixed when it was written. Raises NotSent where there is none, and for what
    was decided about an order also where the address is not proven any more."""
    conversation = message.conversation
    is_news = message.kind == MessageKind.CONFIRMATION
    if message.recipient:
        if is_news and not reach.is_proven(conversation, message.recipient):
            raise NotSent("The address is not proven any more.", is_final=True, was_tried=False)
        return message.recipient
    # From before the address was kept with the message.
    find = reach.news_recipient if is_news else reach.recipient
    address = find(conversation)
    if not address:
        raise NotSent("The contact has no e-mail address.", is_final=True, was_tried=False)
    return address


def subject_of(conversation: Conversation) -> str:
    """Of every mail in it, in one line, as a mail's has to be."""
    with override(_spoken(conversation.contact.language)):
        return " ".join((conversation.subject or _("Your message")).split())


def _spoken(language: str) -> str:
    """The customer's language where we speak it."""
    return language if placeholders.has_catalog(language) else settings.LANGUAGE_CODE


def send_mail(
    *, to: str, subject: str, text: str, message_id: str, headers: Mapping[str, str] | None = None
) -> None:
    """One plain-text mail. Raises NotSent."""
    mail = EmailMessage(
        subject=" ".join(subject.split()),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[to],
        # The same on every try, so that mail programs drop a repeat.
        headers={"Message-ID": f"<{message_id}@agent-inbox>", **(headers or {})},
    )
    try:
        with http.deadline(within_s=WITHIN_S):
            mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        is_final = all(code >= _FOR_GOOD for code in codes)
        raise NotSent(f"The mail server refused: {error}", is_final=is_final) from error
    except smtplib.SMTPResponseException as error:
        is_down = isinstance(error, _OF_THE_SERVER) or error.smtp_code == _GOES_AWAY
        raise NotSent(f"The mail server refused: {error}", is_down=is_down) from error
    except smtplib.SMTPException as error:
        is_down = isinstance(error, smtplib.SMTPServerDisconnected)
        raise NotSent(f"The mail server refused: {error}", is_down=is_down) from error
    except OSError as error:
        raise NotSent(_("The mail server did not answer."), is_down=True) from error
