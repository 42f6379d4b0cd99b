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
    # Replies go to whoever wrote; what was decided about an order only to whom it was proven to.
    is_news = message.kind == MessageKind.CONFIRMATION
    address = reach.email_of(conversation, proven_only=is_news)
    if not address:
        raise NotSent("The contact has no e-mail address.", is_final=True)
    send_mail(
        to=address, subject=subject_of(conversation), text=message.text,
        message_id=f"msg-{message.pk}",
    )  # fmt: skip


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
