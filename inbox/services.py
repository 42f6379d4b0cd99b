"""The inbox's verbs: the only writers of conversations and messages."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from inbox import live, reach
from inbox.models import (
    Channel,
    ChannelKind,
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
    Participant,
)
from inbox.models.conversations import preview_of
from inbox.receiving import Attachment, Sender, addresses_of, receive

__all__ = ["Attachment", "Sender", "addresses_of", "receive"]
# Translated when it is shown (inbox.timeline).
WOKEN = gettext_noop("The snooze has ended.")


def _last(message: Message) -> dict[str, object]:
    return {
        "last_message_at": message.created_at,
        "last_message_preview": preview_of(message.text),
        "last_message_is_inbound": message.kind == MessageKind.INBOUND,
    }


def reply(
    *, conversation: Conversation, by: User, text: str, to: Participant | None = None
) -> Message:
    """Answer the customer; it leaves by the channel after commit, and a sweep makes sure. `to`: one
    of the conversation's participants; None: whoever wrote last. Where it goes is fixed now."""
    from inbox import outbox

    with transaction.atomic(durable=True):
        message = Message.objects.create(
            conversation=conversation,
            channel=conversation.channel,
            kind=MessageKind.REPLY,
            author=by,
            recipient=reach.recipient(conversation, to=to),
            text=text,
            delivery_state=delivery_state(conversation.channel),
        )
        Conversation.objects.filter(pk=conversation.pk).update(
            is_unread=False, waiting_since=None, **_last(message)
        )
        outbox.wake(message)
        live.announce("inbox", f"conversation:{conversation.pk}")
    return message


def delivery_state(channel: Channel) -> str:
    """A messenger without a callback keeps replies in the conversation only."""
    leaves = channel.kind == ChannelKind.EMAIL or bool(channel.callback_url)
    return DeliveryState.PENDING if leaves and channel.is_active else DeliveryState.KEPT


def note(*, conversation: Conversation, by: User, text: str) -> Message:
    """Words for the team only; the customer never gets them."""
    with transaction.atomic(durable=True):
        message = Message.objects.create(
            conversation=conversation,
            channel=conversation.channel,
            kind=MessageKind.NOTE,
            author=by,
            text=text,
        )
        live.announce(f"conversation:{conversation.pk}")
    return message


def assign(*, conversation: Conversation, to: User | None) -> None:
    """Hand the conversation to somebody, or to nobody."""
    _change(conversation, assignee=to)


def snooze(*, conversation: Conversation, hours: int) -> None:
    until = timezone.now() + timedelta(hours=hours)
    _change(conversation, state=ConversationState.SNOOZED, snoozed_until=until)


def resolve(*, conversation: Conversation) -> None:
    _change(conversation, state=ConversationState.RESOLVED, snoozed_until=None, waiting_since=None)


def reopen(*, conversation: Conversation) -> None:
    _change(conversation, state=ConversationState.OPEN, snoozed_until=None)


def mark_read(*, conversation: Conversation) -> None:
    if Conversation.objects.filter(pk=conversation.pk, is_unread=True).update(is_unread=False):
        live.publish(["inbox"])


def wake_snoozed(*, now: datetime) -> int:
    """Open the snoozed conversations whose time has come; returns how many. Each is unread again,
    on top of the list, and says why."""
    with transaction.atomic(durable=True):
        due = list(Conversation.objects.due(now=now).select_for_update(skip_locked=True)[:200])
        Conversation.objects.filter(pk__in=[row.pk for row in due]).update(
            state=ConversationState.OPEN, snoozed_until=None, is_unread=True, last_message_at=now
        )
        Message.objects.bulk_create(
            Message(
                conversation=row, channel_id=row.channel_id, kind=MessageKind.SYSTEM, text=WOKEN,
                created_at=now, arrived_at=now,
            )
            for row in due
        )  # fmt: skip
        if due:
            live.announce("inbox", *(f"conversation:{row.pk}" for row in due))
    return len(due)


def _change(conversation: Conversation, **columns: object) -> None:
    with transaction.atomic(durable=True):
        Conversation.objects.filter(pk=conversation.pk).update(**columns)
        live.announce(
            "inbox", f"conversation:{conversation.pk}", f"conversation-orders:{conversation.pk}"
        )
    for name, value in columns.items():
        setattr(conversation, name, value)
