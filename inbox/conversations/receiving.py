"""Taking in what customers write: the message, who sent it, and whose conversation it is.

Everybody who writes in a conversation is a participant of it with a contact of their own. Only the
conversation's contact lends it orders; somebody else who writes in it never becomes its contact.
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
from inbox.contacts import (
    identities,
    senders,
)
from inbox.contacts.senders import Addresses
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
from orders import locks

# More of a message is not kept; the thread says so.
TEXT_LENGTH: Final = 100_000
# Each try that loses to another message finds what that one made.
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote, as the channel tells it (inbox.contacts.senders says what that amounts to)."""

    external_id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    # The kinds of address the channel has proven; None: it does not say.
    verified: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that stays with the messenger."""

    name: str = ""
    url: str = ""
    content_type: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "url": self.url, "content_type": self.content_type}


class _Overtaken(Exception):
    """Another message made the contact that this one was about to make."""


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
    """Take in a customer's message; (message, whether it is new). Opens its own transaction.

    The same `external_id` again gives the first message and changes nothing. `sent_at`: not in the
    future, which whoever takes in a sender's clock has to see to. The conversation,
    the sender and their contact are made as needed; a resolved or snoozed one opens again. All of
    it is written or none, so a try that loses to another message leaves nothing behind.
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
            # It was pushed twice at once, or others began the same: they were first.
            if not tries_left:
                raise
        except OperationalError as error:
            if not tries_left or not locks.is_lock_wait(error):
                raise
    raise AssertionError("unreachable")


def addresses_of(channel: Channel, sender: Sender) -> Addresses:
    """What the channel's words of a sender's addresses amount to."""
    return senders.weigh(
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
    # The lock keeps messages of one conversation apart; those of a new one collide and try again.
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
    contact = _learned(own, channel, sender, addresses)
    if found is None:
        found = Conversation.objects.create(
            contact=contact, channel=channel, external_id=conversation_id
        )
    elif is_theirs:
        _follow(found, own, contact)
    return _joined(found, contact, sender, address=_address(channel, sender, addresses))


def _contact(user: str, sender: Sender, addresses: Addresses) -> Contact:
    """Of somebody whom the channel has not named before: who has an address that the sender has
    proven; else a contact of their own, under their own name."""
    holder = senders.holder(addresses)
    if holder is not None and not identities.refused_by(holder, [_user_key(user)]):
        return holder
    return Contact.objects.create(name=normalization.name(sender.name))


def _user_key(user: str) -> identities.Key:
    return IdentityKind.CHANNEL_USER.value, user


def _learned(own: Identity, channel: Channel, sender: Sender, addresses: Addresses) -> Contact:
    """The sender's contact, with what they gave. A visitor of whom nothing was proven so far and
    who now proves an address of a contact is that contact: they logged in meanwhile. Not where they
    give an address that an agent took from them: then nobody is sure. Raises _Overtaken."""
    contact = own.contact
    is_sure = not identities.refused_by(contact, addresses.keys)
    was_nobody = is_sure and senders.is_nobody(contact)
    holder = senders.holder(addresses) if was_nobody else None
    if (
        holder is not None
        and holder.pk != contact.pk
        and not identities.refused_by(holder, [_user_key(own.value)])
    ):
        Identity.objects.filter(pk=own.pk).update(contact=holder)
        contact = holder
    senders.learn(contact, addresses, source=channel.name)
    if was_nobody and addresses.proven and contact.pk != (holder and holder.pk):
        # Nobody had the address a moment ago. Whoever has it now is who this is.
        late = senders.holder(addresses)
        is_other = late is not None and late.pk != contact.pk
        if is_other and late and not identities.refused_by(late, [_user_key(own.value)]):
            raise _Overtaken
    name = normalization.name(sender.name)
    if name and not normalization.name(contact.name):
        Contact.objects.filter(pk=contact.pk).update(name=name)
        contact.name = name
    return contact


def _follow(conversation: Conversation, own: Identity, contact: Contact) -> None:
    if contact.pk != conversation.contact_id:
        Conversation.objects.filter(pk=conversation.pk).update(contact=contact)
        conversation.contact = contact
        events.announce(f"conversation-orders:{conversation.pk}", f"contact:{own.contact_id}")


def _joined(
    conversation: Conversation, contact: Contact, sender: Sender, *, address: str
) -> Participant:
    """The sender among those who write here, under the name and address they used last."""
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
    """Where they wrote from, proven or not."""
    if channel.kind == ChannelKind.EMAIL:
        email = addresses.value(IdentityKind.EMAIL)
        return email or normalization.email(sender.external_id)
    return addresses.value(IdentityKind.EMAIL) or addresses.value(IdentityKind.PHONE)


def _note_inbound(message: Message) -> None:
    """The list is in the order of arrival; its words are those that were written last."""
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
