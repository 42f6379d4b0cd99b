"""The inbox's verbs: the only writers of conversations and messages.

Here are those of customers and of time; agents' are in inbox.writing, and callers find all of
them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from inbox import live, senders
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    ConversationState,
    Identity,
    IdentityKind,
    Message,
    MessageKind,
)
from inbox.reading import mark_read
from inbox.senders import Addresses
from inbox.writing import (
    Overtaken,
    Press,
    assign,
    delivery_state,
    last_of,
    note,
    reopen,
    reply,
    resolve,
    snooze,
)

__all__ = [
    "Overtaken",
    "Press",
    "Sender",
    "addresses_of",
    "assign",
    "delivery_state",
    "mark_read",
    "note",
    "receive",
    "reopen",
    "reply",
    "resolve",
    "snooze",
    "wake_snoozed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote, as the channel tells it (inbox.senders says what that amounts to)."""

    external_id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    # The kinds of address the channel has proven; None: it does not say.
    verified: tuple[str, ...] | None = None


def receive(
    *,
    channel: Channel,
    external_id: str,
    conversation_id: str,
    sender: Sender,
    text: str,
    sent_at: datetime,
) -> tuple[Message, bool]:
    """Take in a customer's message; (message, whether it is new). Opens its own transaction.

    The same `external_id` again gives the first message and changes nothing. The conversation
    and its contact are made as needed; a resolved or snoozed one opens again.
    """
    for is_last in (False, True):
        if known := channel.messages.filter(external_id=external_id).first():
            return known, False
        try:
            return _receive(channel, external_id, conversation_id, sender, text, sent_at), True
        except IntegrityError:
            # It was pushed twice at once, or its sender wrote twice: the other one was first.
            if is_last:
                raise
    raise AssertionError("unreachable")


def _receive(
    channel: Channel,
    external_id: str,
    conversation_id: str,
    sender: Sender,
    text: str,
    sent_at: datetime,
) -> Message:
    with transaction.atomic(durable=True):
        conversation = _conversation(channel, conversation_id, sender)
        message = Message.objects.create(
            conversation=conversation,
            channel=channel,
            kind=MessageKind.INBOUND,
            text=text,
            external_id=external_id,
            created_at=sent_at,
        )
        _note_inbound(conversation, message)
        live.announce("inbox", f"conversation:{conversation.pk}")
    return message


def addresses_of(channel: Channel, sender: Sender) -> Addresses:
    """What the channel's words of a sender's addresses amount to."""
    return senders.weigh(
        email=sender.email, phone=sender.phone, verified=sender.verified,
        always=channel.proves_addresses,
    )  # fmt: skip


def _conversation(channel: Channel, external_id: str, sender: Sender) -> Conversation:
    addresses = addresses_of(channel, sender)
    user = _user(channel, sender)
    known = Identity.objects.active().filter(kind=IdentityKind.CHANNEL_USER, value=user)
    own = known.select_related("contact").first()
    found = channel.conversations.select_for_update().filter(external_id=external_id).first()
    if found is not None:
        # Somebody else in the same conversation says nothing of whose it is.
        if own is not None and own.contact_id == found.contact_id:
            _follow(found, own, _learned(own, channel, sender, addresses))
        return found
    contact = _contact(own, sender, addresses)
    if own is None:
        own = Identity.objects.create(
            contact=contact, kind=IdentityKind.CHANNEL_USER, value=user, source=channel.name
        )
    contact = _learned(own, channel, sender, addresses)
    return Conversation.objects.create(contact=contact, channel=channel, external_id=external_id)


def _user(channel: Channel, sender: Sender) -> str:
    return f"{channel.pk}:{sender.external_id}"[:255]


def _contact(own: Identity | None, sender: Sender, addresses: Addresses) -> Contact:
    """Whom the channel names; else who has an address that the sender has proven; else a contact
    of their own, under their own name."""
    if own is not None:
        return own.contact
    return senders.holder(addresses) or Contact.objects.create(name=sender.name[:255])


def _learned(own: Identity, channel: Channel, sender: Sender, addresses: Addresses) -> Contact:
    """The sender's contact, with what they gave. A visitor of whom nothing was proven so far and
    who now proves an address of a contact is that contact: they logged in meanwhile."""
    contact = own.contact
    holder = senders.holder(addresses) if senders.is_nobody(contact) else None
    if holder is not None and holder.pk != contact.pk:
        Identity.objects.filter(pk=own.pk).update(contact=holder)
        contact = holder
    senders.learn(contact, addresses, source=channel.name)
    if sender.name and not contact.name:
        Contact.objects.filter(pk=contact.pk).update(name=sender.name[:255])
    return contact


def _follow(conversation: Conversation, own: Identity, contact: Contact) -> None:
    if contact.pk != conversation.contact_id:
        Conversation.objects.filter(pk=conversation.pk).update(contact=contact)
        conversation.contact = contact
        live.announce(f"conversation-orders:{conversation.pk}", f"contact:{own.contact_id}")


def _note_inbound(conversation: Conversation, message: Message) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(
        state=ConversationState.OPEN,
        snoozed_until=None,
        state_changed_by=None,
        is_unread=True,
        waiting_since=Coalesce(F("waiting_since"), message.created_at),
        **last_of(message),
    )


def wake_snoozed(*, now: datetime) -> int:
    """Open the snoozed conversations whose time has come; returns how many."""
    due = list(Conversation.objects.due(now=now).values_list("pk", flat=True)[:200])
    with transaction.atomic(durable=True):
        woken = (
            Conversation.objects.due(now=now)
            .filter(pk__in=due)
            .update(state=ConversationState.OPEN, snoozed_until=None, state_changed_by=None)
        )
        if woken:
            live.announce("inbox", *(f"conversation:{pk}" for pk in due))
    return woken
