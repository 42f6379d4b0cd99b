"""Whether a message in a conversation reaches anybody: said before it is confirmed or written."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from inbox import identities
from inbox.models import ChannelKind, Conversation, DeliveryState, IdentityKind, MessageKind
from inbox.models.conversations import OUTGOING_KINDS

# How an error begins where the other side says that the person wants no messages.
OPTED_OUT: Final = "The messenger takes no messages for this person"


def refusal(conversation: Conversation) -> str:
    """Why what is written here reaches nobody; "" where it leaves. Two queries at most."""
    channel = conversation.channel
    words = {"channel": channel.name}
    if not channel.is_active:
        return _("%(channel)s is switched off: messages stay in the conversation.") % words
    if channel.kind == ChannelKind.EMAIL:
        return "" if email_of(conversation) else _("The contact has no e-mail address.")
    if urlsplit(channel.callback_url).scheme not in {"http", "https"}:
        return _("%(channel)s has no callback address: messages stay in the conversation.") % words
    return _refused_last(conversation)


def email_of(conversation: Conversation, *, proven_only: bool = False) -> str:
    """The address an e-mail conversation is read at: the sender's own, else one that is proven,
    else one that was given; "" for none."""
    contact = conversation.contact
    active = list(contact.identities.active().filter(
        kind__in=[IdentityKind.EMAIL, IdentityKind.CHANNEL_USER]
    ))  # fmt: skip
    known = [i.value for i in active if i.kind == IdentityKind.EMAIL]
    if not proven_only:
        claimed = contact.claims.understood().filter(kind=IdentityKind.EMAIL)
        known += claimed.values_list("value", flat=True)
    own = f"{conversation.channel_id}:"
    for identity in active:
        if identity.kind == IdentityKind.CHANNEL_USER and identity.value.startswith(own):
            address = identities.normal_email(identity.value.removeprefix(own))
            if address in known:
                return address
    return known[0] if known else ""


def _refused_last(conversation: Conversation) -> str:
    """The other side said that this person takes no messages, and they have not written since."""
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
    return _("This person takes no messages here any more. The last one was not delivered.")
