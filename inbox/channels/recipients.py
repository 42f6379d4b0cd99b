"""Whether a message in a conversation reaches anyone, and who. Known before it is written."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from inbox import normalization
from inbox.models import (
    ChannelKind,
    Conversation,
    DeliveryState,
    IdentityKind,
    MessageKind,
    Participant,
)
from inbox.models.conversations import OUTGOING_KINDS

# The start of a message's error if the customer refuses messages; `_refused_last` looks for it.
OPTED_OUT: Final = "The messenger takes no messages for this person"


def refusal(conversation: Conversation) -> str:
    """Return why messages written here reach no one; "" if they leave. Four queries at most."""
    channel = conversation.channel
    words = {"channel": channel.name}
    if not channel.is_active:
        return _("%(channel)s is turned off. Messages stay in the conversation.") % words
    if channel.kind == ChannelKind.EMAIL:
        return "" if recipient(conversation) else _("The contact has no email address.")
    if urlsplit(channel.callback_url).scheme not in {"http", "https"}:
        return _("%(channel)s has no callback URL. Messages stay in the conversation.") % words
    return _refused_last(conversation)


def recipient(conversation: Conversation, *, to: Participant | None = None) -> str:
    """Return where a reply goes; "" if no reader is known.

    For email that is the address its reader last wrote from, for a messenger the reader's ID
    there. `to` is the reader; None means the participant who wrote last.
    """
    chosen = to or default_reader(conversation)
    if conversation.channel.kind != ChannelKind.EMAIL:
        return chosen.external_id if chosen else ""
    return (chosen.address if chosen else "") or email_of(conversation)


def default_reader(conversation: Conversation) -> Participant | None:
    """Return the participant who wrote the latest inbound message. Two queries at most.

    Falls back to the contact's own participant for messages from before senders were recorded;
    None if there isn't one.
    """
    inbound = conversation.messages.filter(kind=MessageKind.INBOUND).select_related("sender")
    latest = inbound.order_by("-created_at", "-pk").first()
    if latest is not None and latest.sender is not None:
        return latest.sender
    return conversation.participants.filter(contact=conversation.contact_id).last()


def email_of(conversation: Conversation, *, proven_only: bool = False) -> str:
    """Return the contact's address for an email conversation; "" if there is none.

    Prefers the one they last wrote from here, then a proven one, then one they claimed.
    `proven_only` excludes claims.
    """
    contact = conversation.contact
    active = list(
        contact.identities.active().filter(kind__in=[IdentityKind.EMAIL, IdentityKind.CHANNEL_USER])
    )
    known = [i.value for i in active if i.kind == IdentityKind.EMAIL]
    if not proven_only:
        claimed = contact.claims.understood().filter(kind=IdentityKind.EMAIL)
        known += claimed.values_list("value", flat=True)
    written = conversation.messages.filter(
        kind=MessageKind.INBOUND, sender__contact=contact, sender__address__in=known
    )
    last = written.order_by("-created_at", "-pk").values_list("sender__address", flat=True).first()
    if last:
        return last
    own = f"{conversation.channel_id}:"
    for identity in active:
        if identity.kind == IdentityKind.CHANNEL_USER and identity.value.startswith(own):
            address = normalization.email(identity.value.removeprefix(own))
            if address in known:
                return address
    return known[0] if known else ""


def news_recipient(conversation: Conversation) -> str:
    """Return where a confirmation goes; "" if there is no such address.

    Always to the contact, no matter who wrote last: for email only to a proven address, for a
    messenger to their ID there.
    """
    if conversation.channel.kind == ChannelKind.EMAIL:
        return email_of(conversation, proven_only=True)
    own = conversation.participants.filter(contact=conversation.contact_id).last()
    return own.external_id if own else ""


def is_proven(conversation: Conversation, address: str) -> bool:
    """Return whether the address is still one of the contact's identities.

    An agent's or supervisor's word counts as much as proof by the channel.
    """
    active = conversation.contact.identities.active()
    return active.filter(kind=IdentityKind.EMAIL, value=address).exists()


def _refused_last(conversation: Conversation) -> str:
    """Refuse if the messenger said the customer takes no messages and they haven't written since."""
    newest = conversation.messages.filter(kind__in=[MessageKind.INBOUND, *OUTGOING_KINDS]).order_by(
        "-created_at", "-pk"
    )
    last = newest.first()
    if (
        last is None
        or last.delivery_state != DeliveryState.FAILED
        or not last.error.startswith(OPTED_OUT)
    ):
        return ""
    return _("This person no longer receives messages here. The last one was not delivered.")
