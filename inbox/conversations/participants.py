"""Participants of a conversation: for its header, as reply recipients, and as its contact."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from inbox.channels import recipients as reach
from inbox.live import events
from inbox.models import ChannelKind, Conversation, Participant
from orders import audit
from orders.models import AuditKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A participant who is not the conversation's contact."""

    pk: int
    name: str
    address: str
    contact_id: int

    def __str__(self) -> str:
        return self.name

    @property
    def contact_url(self) -> str:
        """The page of this participant's own contact."""
        return reverse("inbox:contact", args=[self.contact_id])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A participant offered as the recipient of a reply."""

    pk: int
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Where a reply goes.

    `label` is what the composer shows, and `chosen` the participant it names (None in
    conversations older than the participants table). `address` is the email address, empty for
    messengers. `choices` is empty unless there is more than one.
    """

    label: str
    chosen: int | None
    choices: tuple[Choice, ...]
    address: str


def others(conversation: Conversation) -> tuple[Other, ...]:
    """Return every participant but the contact, in the order they joined. One query."""
    rows = conversation.participants.select_related("contact").order_by("pk")
    return tuple(
        Other(pk=row.pk, name=row.shown_name, address=row.address, contact_id=row.contact_id)
        for row in rows.exclude(contact=conversation.contact_id)
    )


def recipients(conversation: Conversation, *, chosen: int | None = None) -> Recipients:
    """Return the recipients the composer offers; four queries at most.

    `chosen` is the ID of the participant an agent picked; None defaults to the last one to write.
    """
    is_mail = conversation.channel.kind == ChannelKind.EMAIL
    found = list(conversation.participants.select_related("contact").order_by("pk"))
    reached = [row for row in found if row.address or not is_mail]
    picked = next((row for row in reached if row.pk == chosen), None)
    if picked is None and (last := reach.default_reader(conversation)):
        picked = next((row for row in reached if row.pk == last.pk), None)
    choices = tuple(
        Choice(pk=row.pk, label=_label(row), is_chosen=row == picked) for row in reached
    )
    if picked is not None:
        label = picked.address if is_mail else picked.shown_name
    else:
        label = reach.email_of(conversation) if is_mail else conversation.contact.shown_name
    return Recipients(
        label=label,
        chosen=picked.pk if picked else None,
        choices=choices if len(choices) > 1 else (),
        address=label if is_mail else "",
    )


def _label(participant: Participant) -> str:
    name, address = participant.shown_name, participant.address
    return f"{name} · {address}" if address and address != name else name


def get(conversation: Conversation, pk: int | None) -> Participant | None:
    """Return a participant of this conversation; None for an ID of any other conversation."""
    return conversation.participants.filter(pk=pk).first() if pk else None


class AnotherContact(Exception):
    """The conversation no longer has the contact that the page showed; nothing was changed."""


def make_contact(
    *,
    conversation: Conversation,
    participant: Participant,
    by: User,
    instead_of: int | None = None,
) -> bool:
    """Make a participant the conversation's contact; False if they already are.

    Their orders are shown beside the conversation from now on, instead of the former contact's.
    That changes whose orders may be refunded here, so it goes to the audit log. `instead_of` is
    the ID of the contact that the page showed; raises AnotherContact if that has changed. Opens
    its own transaction.
    """
    with transaction.atomic(durable=True):
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        # Read under the lock: receiving a message, which takes the same lock, may just have given
        # the participant another contact.
        chosen = row.participants.select_related("contact").get(pk=participant.pk)
        if row.contact_id == chosen.contact_id:
            return False
        if instead_of is not None and row.contact_id != instead_of:
            raise AnotherContact
        Conversation.objects.filter(pk=row.pk).update(contact=chosen.contact_id)
        audit.record(
            AuditKind.IDENTITY,
            actor=by,
            after="contact changed",
            conversation=row.pk,
            contact=chosen.contact_id,
            was=row.contact_id,
            because="wrote here",
        )
        events.announce(
            "inbox",
            f"conversation:{row.pk}",
            f"conversation-orders:{row.pk}",
            f"contact:{row.contact_id}",
            f"contact:{chosen.contact_id}",
        )
    conversation.contact = chosen.contact
    return True
