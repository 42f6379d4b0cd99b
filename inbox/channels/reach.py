"""Whether a message in a conversation reaches anybody, and whom: said before it is confirmed or
written."""

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

# How an error begins where the other side says that the person wants no messages.
OPTED_OUT: Final = "The messenger takes no messages for this person"


def refusal(conversation: Conversation) -> str:
    """Why what is written here reaches nobody; "" where it leaves. Four queries at most."""
    channel = conversation.channel
    words = {"channel": channel.name}
    if not channel.is_active:
        return _("%(channel)s is switched off: messages stay in the conversation.") % words
    if channel.kind == ChannelKind.EMAIL:
        return "" if recipient(conversation) else _("The contact has no e-mail address.")
    if urlsplit(channel.callback_url).scheme not in {"http", "https"}:
        return _("%(channel)s has no callback address: messages stay in the conversation.") % words
    return _refused_last(conversation)


def recipient(conversation: Conversation, *, to: Participant | None = None) -> str:
    """Where a reply goes: by e-mail the address its reader last wrote from, by a messenger that
    one's own id there. `to`: who is meant; None: whoever wrote last. "" where nobody is known."""
    chosen = to or default_reader(conversation)
    if conversation.channel.kind != ChannelKind.EMAIL:
        return chosen.external_id if chosen else ""
    return (chosen.address if chosen else "") or email_of(conversation)


def default_reader(conversation: Conversation) -> Participant | None:
    """Who wrote the latest of the customers' messages; where that was before senders were kept,
    the contact; None where it is not known under which id they write. Two queries at most."""
    inbound = conversation.messages.filter(kind=MessageKind.INBOUND).select_related("sender")
    latest = inbound.order_by("-created_at", "-pk").first()
    if latest is not None and latest.sender is not None:
        return latest.sender
    return conversation.participants.filter(contact=conversation.contact_id).last()


def email_of(conversation: Conversation, *, proven_only: bool = False) -> str:
    """The contact's own address in an e-mail conversation: the one they last wrote here from, else
    one that is proven, else one that was given; "" for none. `proven_only`: of those that are."""
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
    """Where a confirmation goes: by e-mail only to an address of the contact that is proven, by a
    messenger to the contact's own id there, whoever wrote last; "" where there is none."""
    if conversation.channel.kind == ChannelKind.EMAIL:
        return email_of(conversation, proven_only=True)
    own = conversation.participants.filter(contact=conversation.contact_id).last()
    return own.external_id if own else ""


def is_proven(conversation: Conversation, address: str) -> bool:
    """Whether the address is still the contact's, proven or on a person's word."""
    active = conversation.contact.identities.active()
    return active.filter(kind=IdentityKind.EMAIL, value=address).exists()


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
