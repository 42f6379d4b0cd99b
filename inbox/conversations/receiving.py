"""Receiving customers' messages: the message, its sender, and the contact of the conversation.

Everyone who writes in a conversation is a participant with a contact of their own. Only the orders
of the conversation's contact are shown beside it; another sender never becomes its contact here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from inbox import normalization
from inbox.contacts import identities, proven_addresses
from inbox.contacts.proven_addresses import Addresses
from inbox.conversations import customer_answers
from inbox.live import events
from inbox.models import (
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    ConversationState,
    Identity,
    IdentityKind,
    Message,
    MessageKind,
    Participant,
)
from inbox.models.conversations import preview_of
from orders import lock_waits

# Longer messages are truncated; the thread says so.
TEXT_LENGTH: Final = 100_000
# A try that loses a race finds the rows of the winner the next time.
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The author as reported by the channel; inbox.contacts.proven_addresses decides what to trust."""

    external_id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    # The kinds of address the channel has verified; None if it doesn't say.
    verified: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file hosted by the messenger; only its link is stored."""

    name: str = ""
    url: str = ""
    content_type: str = ""

    def as_dict(self) -> dict[str, str]:
        """As it is stored in `Message.attachments`."""
        return {"name": self.name, "url": self.url, "content_type": self.content_type}


class _Overtaken(Exception):
    """A concurrent message created the contact that this one was about to create."""


def receive(
    *,
    channel: Channel,
    external_id: str,
    conversation_id: str,
    sender: Sender,
    text: str,
    sent_at: datetime,
    attachments: Sequence[Attachment] = (),
) -> tuple[Message, bool]:
    """Store a customer's message; return it and whether it is new. Opens its own transaction.

    Repeating an `external_id` returns the first message and changes nothing. `sent_at` must not be
    in the future: callers that take it from a sender's clock have to ensure that. The
    conversation, the participant and their contact are created as needed, and a resolved or
    snoozed conversation is reopened. It is all or nothing, so a try that loses a race leaves
    nothing behind.
    """
    for tries_left in reversed(range(_TRIES)):
        if known := channel.messages.filter(external_id=external_id).first():
            return known, False
        try:
            with transaction.atomic(durable=True):
                return _take_in(
                    channel, external_id, conversation_id, sender, text, sent_at, attachments
                ), True
        except (IntegrityError, _Overtaken):
            # The message was pushed twice at once, or a concurrent one created the same rows first.
            if not tries_left:
                raise
        except OperationalError as error:
            if not tries_left or not lock_waits.is_lock_wait(error):
                raise
    raise AssertionError("unreachable")


def addresses_of(channel: Channel, sender: Sender) -> Addresses:
    """Sort the sender's addresses into proven and merely claimed ones."""
    return proven_addresses.weigh(
        email=sender.email,
        phone=sender.phone,
        verified=sender.verified,
        always=channel.proves_addresses,
    )


def _take_in(
    channel: Channel,
    external_id: str,
    conversation_id: str,
    sender: Sender,
    text: str,
    sent_at: datetime,
    attachments: Sequence[Attachment],
) -> Message:
    now = timezone.now()
    participant = _participant(channel, conversation_id, sender)
    message = Message.objects.create(
        conversation=participant.conversation,
        channel=channel,
        kind=MessageKind.INBOUND,
        sender=participant,
        text=text[:TEXT_LENGTH],
        cut_from=len(text) if len(text) > TEXT_LENGTH else None,
        attachments=[attachment.as_dict() for attachment in attachments],
        external_id=external_id,
        created_at=sent_at,
        arrived_at=now,
    )
    _note_inbound(message)
    events.announce("inbox", f"conversation:{participant.conversation_id}")
    return message


def _participant(channel: Channel, conversation_id: str, sender: Sender) -> Participant:
    addresses = addresses_of(channel, sender)
    # The lock serializes messages of one conversation; the first ones of a new conversation
    # collide on its unique constraint and are retried.
    found = channel.conversations.select_for_update().filter(external_id=conversation_id).first()
    user = f"{channel.pk}:{sender.external_id}"[:255]
    known = Identity.objects.active().filter(kind=IdentityKind.CHANNEL_USER, value=user)
    own = known.select_related("contact").first()
    if own is None:
        own = Identity.objects.create(
            contact=_contact(user, sender, addresses),
            kind=IdentityKind.CHANNEL_USER,
            value=user,
            source=channel.name,
        )
    is_theirs = found is not None and own.contact_id == found.contact_id
    contact = _updated_contact(own, channel, sender, addresses)
    if found is None:
        found = _answered_or_new(channel, conversation_id, contact, sender, addresses)
    elif is_theirs:
        _move_conversation(found, own, contact)
    return _joined(found, contact, sender, address=_address(channel, sender, addresses))


def _answered_or_new(
    channel: Channel, conversation_id: str, contact: Contact, sender: Sender, addresses: Addresses
) -> Conversation:
    """Return the conversation that we began and this message answers, or else a new one."""
    team_id = _team_of(channel)
    address = addresses.proven_value(IdentityKind.EMAIL)
    found = customer_answers.answered(
        channel=channel, team_id=team_id, contact=contact, address=address, now=timezone.now()
    )
    if found is None:
        return Conversation.objects.create(
            contact=contact, channel=channel, team_id=team_id, external_id=conversation_id
        )
    customer_answers.take(
        found, external_id=conversation_id, address=address, sender_id=sender.external_id[:200]
    )
    return found


def _team_of(channel: Channel) -> int | None:
    """Return the ID of the channel's team, which stays its team until this transaction ends.

    Without the lock, an administrator who gives the channel to another team at the same moment would
    not see the new conversation, and it would stay with the old team, or with none.
    """
    rows = Channel.objects.select_for_update(no_key=True, of=("self",))
    return rows.values_list("team_id", flat=True).get(pk=channel.pk)


def _contact(user: str, sender: Sender, addresses: Addresses) -> Contact:
    """Return the contact for a channel user seen for the first time: the one who holds an address
    that the sender has proven, else a new contact under the sender's own name."""
    holder = proven_addresses.holder(addresses)
    if holder is not None and not identities.refused_by(holder, [_user_key(user)]):
        return holder
    return Contact.objects.create(name=normalization.name(sender.name))


def _user_key(user: str) -> identities.Key:
    return IdentityKind.CHANNEL_USER.value, user


def _updated_contact(
    own: Identity, channel: Channel, sender: Sender, addresses: Addresses
) -> Contact:
    """Return the sender's contact after recording the addresses they gave.

    A visitor without any proven address who now proves one of a known contact becomes that
    contact: they have logged in since. Not if they also give an address that an agent took from
    their contact, because then their identity is uncertain. Raises _Overtaken.
    """
    contact = own.contact
    is_sure = not identities.refused_by(contact, addresses.keys)
    was_unidentified = is_sure and proven_addresses.is_unidentified(contact)
    holder = proven_addresses.holder(addresses) if was_unidentified else None
    if (
        holder is not None
        and holder.pk != contact.pk
        and not identities.refused_by(holder, [_user_key(own.value)])
    ):
        Identity.objects.filter(pk=own.pk).update(contact=holder)
        contact = holder
    proven_addresses.learn(contact, addresses, source=channel.name)
    if was_unidentified and addresses.proven and contact.pk != (holder and holder.pk):
        # The address was free a moment ago. If another contact has it now, a concurrent message
        # created that contact, and this sender is the same person.
        late = proven_addresses.holder(addresses)
        is_other = late is not None and late.pk != contact.pk
        if is_other and late and not identities.refused_by(late, [_user_key(own.value)]):
            raise _Overtaken
    name = normalization.name(sender.name)
    if name and not normalization.name(contact.name):
        Contact.objects.filter(pk=contact.pk).update(name=name)
        contact.name = name
    return contact


def _move_conversation(conversation: Conversation, own: Identity, contact: Contact) -> None:
    if contact.pk != conversation.contact_id:
        Conversation.objects.filter(pk=conversation.pk).update(contact=contact)
        conversation.contact = contact
        events.announce(f"conversation-orders:{conversation.pk}", f"contact:{own.contact_id}")


def _joined(
    conversation: Conversation, contact: Contact, sender: Sender, *, address: str
) -> Participant:
    """Return the sender's participant, updated to the name and address they used last."""
    participant, is_new = Participant.objects.get_or_create(
        conversation=conversation,
        external_id=sender.external_id[:200],
        defaults={"contact": contact, "name": normalization.name(sender.name), "address": address},
    )
    if is_new:
        return participant
    participant.conversation = conversation
    current = {
        "contact": contact,
        "name": normalization.name(sender.name) or participant.name,
        "address": address or participant.address,
    }
    known = (participant.contact_id, participant.name, participant.address)
    for name, value in current.items():
        setattr(participant, name, value)
    if known != (participant.contact_id, participant.name, participant.address):
        participant.save(update_fields=list(current))
    return participant


def _address(channel: Channel, sender: Sender, addresses: Addresses) -> str:
    """Return the address the sender wrote from, proven or not."""
    if channel.kind == ChannelKind.EMAIL:
        email = addresses.value(IdentityKind.EMAIL)
        return email or normalization.email(sender.external_id)
    return addresses.value(IdentityKind.EMAIL) or addresses.value(IdentityKind.PHONE)


def _note_inbound(message: Message) -> None:
    """Update the conversation's list columns. The list is sorted by arrival, but previews the
    message that was written last."""
    conversation = Conversation.objects.filter(pk=message.conversation_id)
    conversation.update(
        state=ConversationState.OPEN,
        snoozed_until=None,
        state_changed_by=None,
        is_unread=True,
        waiting_since=Coalesce(F("waiting_since"), message.created_at),
        last_message_at=max(message.arrived_at, message.created_at),
        **_preview(message),
    )


def _preview(message: Message) -> Mapping[str, object]:
    newer = Message.objects.listed().filter(
        conversation=message.conversation_id, created_at__gt=message.created_at
    )
    if newer.exists():
        return {}
    return {
        "last_message_preview": preview_of(message.text),
        "last_message_is_inbound": True,
    }
