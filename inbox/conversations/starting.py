"""Starting a conversation from our side. Nothing is sent before its agent writes and sends it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from inbox import normalization
from inbox.conversations import customer_answers
from inbox.live import events
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    Identity,
    IdentityKind,
    Message,
    MessageKind,
    Participant,
)
from inbox.visibility import able_to_see
from orders import audit
from orders.models import AuditKind

# Translated when it is shown (inbox.conversations.timeline).
STARTED: Final = gettext_noop("Started from an order’s page. Nothing has been sent yet.")


class NotStarted(Exception):
    """The conversation can't begin; the message says why and what to do."""


def start(
    *,
    channel: Channel,
    contact: Contact | None,
    address: str,
    name: str,
    subject: str,
    by: User,
    press: UUID,
) -> Conversation:
    """Begin a conversation with a customer on an email channel, assigned to the agent.

    `contact` None makes a contact of whoever has this `address`, under this `name`; the audit log
    says who did. Repeating a `press` returns the first conversation. Raises NotStarted if someone
    else took the address meanwhile, or if the agent no longer sees the channel. Opens its own
    transaction.
    """
    try:
        with transaction.atomic(durable=True):
            # The lock keeps the channel's team, as in receiving.
            locked = Channel.objects.select_for_update(no_key=True, of=("self",))
            team_id = locked.values_list("team_id", flat=True).get(pk=channel.pk)
            if earlier := started_by(by, press):
                return earlier
            if not able_to_see(team_id).filter(pk=by.pk).exists():
                raise NotStarted(_("None of your teams has this channel any more."))
            made = Conversation.objects.create(
                contact=contact or _new_contact(address, name, by=by),
                channel=channel,
                team_id=team_id,
                external_id=customer_answers.started_id(press),
                subject=subject[:255],
                assignee=by,
                assigned_at=timezone.now(),
                last_message_is_inbound=False,
            )
            # Who what is written here goes to. An answer brings the channel's own IDs
            # (inbox.conversations.customer_answers).
            Participant.objects.create(
                conversation=made,
                contact=made.contact,
                external_id=address[:200],
                name=normalization.name(name),
                address=address,
            )
            Message.objects.create(
                conversation=made,
                channel=channel,
                kind=MessageKind.SYSTEM,
                author=by,
                client_id=press,
                text=STARTED,
            )
            events.announce("inbox", f"conversation:{made.pk}", f"contact:{made.contact_id}")
    except IntegrityError as error:
        # The customer wrote at the same moment and has become a contact by that.
        raise NotStarted(_("Someone else changed this in the meantime. Check again.")) from error
    return made


def started_by(agent: User, press: UUID) -> Conversation | None:
    """Return the conversation that the agent has already begun with this click."""
    begun = Message.objects.filter(author=agent, client_id=press, kind=MessageKind.SYSTEM)
    return Conversation.objects.filter(messages__in=begun).first()


def _new_contact(address: str, name: str, *, by: User) -> Contact:
    made = Contact.objects.create(name=normalization.name(name))
    identity = Identity.objects.create(
        contact=made,
        kind=IdentityKind.EMAIL,
        value=address,
        source=_("Email address on an order"),
        added_by=by,
    )
    audit.record(
        AuditKind.IDENTITY,
        actor=by,
        after="confirmed",
        contact=made.pk,
        identity=identity.pk,
        address=identity.kind,
        because="order",
    )
    return made
