"""Recognizing a customer's answer in a conversation that we began.

The channel doesn't know such a conversation, so the answer arrives under an ID that is new to us.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef

from inbox.channels import recipients
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    Message,
    MessageKind,
    Participant,
)

# An answer comes within this time. Later, it is more likely about something else.
ANSWERED_WITHIN: Final = timedelta(days=30)
_STARTED: Final = "started-"


def started_id(press: UUID) -> str:
    """Return the external ID of a conversation that we begin, until its answer brings another."""
    return f"{_STARTED}{press}"


def answered(
    *, channel: Channel, team_id: int | None, contact: Contact, address: str, now: datetime
) -> Conversation | None:
    """Return the conversation that a message in a new one answers, locked; None without certainty.

    `contact` and `address` are the message's sender, who has proven to have that email address,
    and `team_id` is the team of the channel. The contact must still have the address, and we must
    have written to it first. If several conversations wait for an answer, it is none of them.
    Expects the caller's transaction, which holds the channel's lock.
    """
    if not address:
        return None
    messages = Message.objects.filter(conversation=OuterRef("pk"))
    written_to = Participant.objects.filter(conversation=OuterRef("pk"), address=address)
    waiting = Conversation.objects.filter(
        Exists(written_to),
        Exists(messages.filter(kind=MessageKind.REPLY)),
        ~Exists(messages.filter(kind=MessageKind.INBOUND)),
        channel=channel,
        contact=contact,
        external_id__startswith=_STARTED,
        created_at__gte=now - ANSWERED_WITHIN,
    )
    # The filter is applied again to rows that change while this waits for them.
    found = list(waiting.select_for_update(of=("self",)).order_by("pk")[:2])
    if len(found) != 1 or found[0].team_id != team_id:
        return None
    return found[0] if recipients.is_proven(found[0], address) else None


def take(conversation: Conversation, *, external_id: str, address: str, sender_id: str) -> None:
    """Give a conversation that we began the channel's own IDs for it and for its customer.

    From then on it receives messages like any other.
    """
    Conversation.objects.filter(pk=conversation.pk).update(external_id=external_id)
    conversation.external_id = external_id
    begun_with = Participant.objects.filter(conversation=conversation, address=address)
    begun_with.update(external_id=sender_id)
