"""The delivery status of outgoing messages, as text for agents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inbox.models import Conversation, DeliveryState, Message
from inbox.models.conversations import PREVIEW_LENGTH

_AT_MOST = 20
# As stored, in English.
_TRIED = re.compile(r"It was tried (\d+) times?\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A message that won't be retried automatically. `failed_at` identifies this failure in the
    forms that handle it."""

    pk: int
    text: str
    reason: str
    failed_at: str
    at: datetime
    is_confirmation: bool


def undelivered(conversation: Conversation) -> tuple[Undelivered, ...]:
    """Return the failed messages that wait for a decision, oldest first. No query if there are
    none."""
    if not conversation.has_undelivered:
        return ()
    rows = conversation.messages.undelivered().order_by("pk")[:_AT_MOST]
    return tuple(
        Undelivered(
            pk=row.pk,
            text=" ".join(row.text.split())[:PREVIEW_LENGTH],
            reason=said(row.error),
            failed_at=row.failed_at.isoformat(),
            at=row.failed_at,
            is_confirmation=row.kind == "confirmation",
        )
        for row in rows
        if row.failed_at is not None
    )


def said(error: str) -> str:
    """Translate a stored error, if it is one of our own sentences."""
    if found := _TRIED.fullmatch(error):
        return tried(int(found[1]))
    return _(error) if error else ""


def tried(count: int) -> str:
    """Return the reason for giving up a message after this many attempts."""
    text = ngettext("It was tried %(count)d time.", "It was tried %(count)d times.", count)
    return text % {"count": count}


def on_its_way(message: Message) -> str:
    """Return why a message hasn't been sent yet, or what an agent did about a failure; else "".

    Expects `channel` and `handled_by` to be loaded.
    """
    if message.delivery_state == DeliveryState.PENDING:
        return _waiting(message)
    if message.handled_by is None:
        return ""
    name = message.handled_by.get_short_name() or message.handled_by.get_username()
    if message.delivery_state == DeliveryState.SENT:
        return _("Sent again by %(name)s") % {"name": name}
    if message.delivery_state == DeliveryState.FAILED:
        return _("Dismissed by %(name)s") % {"name": name}
    return ""


def _waiting(message: Message) -> str:
    if not message.channel.is_active:
        return _("Waiting: %(channel)s is turned off.") % {"channel": message.channel.name}
    if not message.error or message.next_attempt_at is None:
        return _("Sending…")
    at = date_format(timezone.localtime(message.next_attempt_at), "H:i")
    return _("Not sent yet: %(reason)s Next attempt at %(time)s.") % {
        "reason": said(message.error),
        "time": at,
    }
