"""Replies by Django's mail back end."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import override

from inbox import placeholders, reach
from inbox.channels.base import NotSent
from inbox.models import Conversation, Message, MessageKind


def send(message: Message) -> None:
    conversation = message.conversation
    address = _address(message)
    send_mail(
        to=address, subject=subject_of(conversation), text=message.text,
        message_id=f"msg-{message.pk}",
    )  # fmt: skip


def _address(message: Message) -> str:
    """The one that was fixed when it was written. Raises NotSent where there is none, and for what
    was decided about an order also where the address is not proven any more."""
    conversation = message.conversation
    is_news = message.kind == MessageKind.CONFIRMATION
    if message.recipient:
        if is_news and not reach.is_proven(conversation, message.recipient):
            raise NotSent("The address is not proven any more.", is_final=True)
        return message.recipient
    # From before the address was kept with the message.
    find = reach.news_recipient if is_news else reach.recipient
    address = find(conversation)
    if not address:
        raise NotSent("The contact has no e-mail address.", is_final=True)
    return address


def subject_of(conversation: Conversation) -> str:
    """Of every mail in it, in one line, as a mail's has to be."""
    with override(_spoken(conversation.contact.language)):
        return " ".join((conversation.subject or _("Your message")).split())


def _spoken(language: str) -> str:
    """The customer's language where we speak it."""
    return language if placeholders.has_catalogue(language) else settings.LANGUAGE_CODE


def send_mail(*, to: str, subject: str, text: str, message_id: str) -> None:
    """One plain-text mail. Raises NotSent."""
    mail = EmailMessage(
        subject=" ".join(subject.split()),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[to],
        # The same on every try, so that mail programs drop a repeat.
        headers={"Message-ID": f"<{message_id}@agent-inbox>"},
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"The mail server refused: {error}") from error
