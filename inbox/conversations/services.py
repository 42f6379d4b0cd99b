"""Services that write conversations and messages, re-exported in one place.

Customers' messages are handled in `receiving`, agents' actions in `writing`; only what happens by
itself with time, the end of a snooze, is implemented here.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from inbox import read_marks
from inbox.conversations.moving import move
from inbox.conversations.receiving import (
    Attachment,
    Sender,
    addresses_of,
    receive,
)
from inbox.conversations.starting import NotStarted, start, started_by
from inbox.conversations.writing import (
    NotAssignable,
    Overtaken,
    Press,
    assign,
    delivery_state,
    note,
    reopen,
    reply,
    resolve,
    snooze,
)
from inbox.live import events
from inbox.models import Conversation, ConversationState, Message, MessageKind
from inbox.read_marks import mark_read

__all__ = [
    "Attachment",
    "NotAssignable",
    "NotStarted",
    "Overtaken",
    "Press",
    "Sender",
    "addresses_of",
    "assign",
    "delivery_state",
    "mark_read",
    "move",
    "note",
    "receive",
    "reopen",
    "reply",
    "resolve",
    "snooze",
    "start",
    "started_by",
    "wake_snoozed",
]


# Translated when it is shown (inbox.conversations.timeline).
WOKEN = gettext_noop("The snooze has ended.")


def wake_snoozed(*, now: datetime) -> int:
    """Reopen conversations whose snooze has ended, at most 200 at a time; return how many.

    Each becomes unread, moves to the top of the list and gets a system message that says why.
    Opens its own transaction and skips rows that are locked.
    """
    with transaction.atomic(durable=True):
        due = list(Conversation.objects.due(now=now).select_for_update(skip_locked=True)[:200])
        Conversation.objects.filter(pk__in=[row.pk for row in due]).update(
            state=ConversationState.OPEN,
            snoozed_until=None,
            state_changed_by=None,
            is_unread=True,
            last_message_at=now,
        )
        Message.objects.bulk_create(
            Message(
                conversation=row,
                channel_id=row.channel_id,
                kind=MessageKind.SYSTEM,
                text=WOKEN,
                created_at=now,
                arrived_at=now,
            )
            for row in due
        )
        for row in due:
            read_marks.make_unread(row)
        if due:
            events.announce("inbox", *(f"conversation:{row.pk}" for row in due))
    return len(due)
