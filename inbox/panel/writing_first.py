"""Whether we can write first to an order's customer, and through which channels.

Only email can: a messenger gives us no way to begin a conversation with someone it doesn't know.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from inbox import access
from inbox.accounts.roles import Agent
from inbox.contacts import identities
from inbox.models import (
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    ConversationState,
    Identity,
    IdentityKind,
)
from inbox.visibility import Scope, scope_of
from orders.models import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How an order's customer can be written to.

    `refusal` says why they can't; then the rest means nothing. `contact` is None if they are none
    of ours yet.
    """

    refusal: str = ""
    # The refusal is that the customer has an open conversation.
    is_open: bool = False
    channels: tuple[Channel, ...] = ()
    address: str = ""
    contact: Contact | None = None

    def channel(self, pk: int | None) -> Channel | None:
        """Return the channel that a form names, or the only one if it names none."""
        if pk is None:
            return self.channels[0] if len(self.channels) == 1 else None
        return next((channel for channel in self.channels if channel.pk == pk), None)


def reach_of(order: Order, *, agent: Agent) -> Reach:
    """Return how this agent can write first to the order's customer.

    Not while the customer has an open conversation, with whichever team, or takes part in one, or
    someone claims their address in one: a second one beside it would have an assignee of its own,
    who could act on the same order. For the same reason, not without a conversation if the agent
    couldn't act on such an order.
    """
    if order.masked_at:
        return Reach(refusal=_("The customer’s data was deleted."))
    if not order.email:
        return Reach(refusal=_("The order has no email address."))
    channels = tuple(_channels(scope_of(agent)))
    if not channels:
        return Reach(refusal=_("None of your teams has an email channel."))
    owners = identities.contacts_of(order)
    open_ones = Conversation.objects.filter(contact__in=owners)
    if open_ones.exclude(state=ConversationState.RESOLVED).exists():
        return Reach(refusal=_("This customer already has an open conversation."), is_open=True)
    if unproven := access.unproven_refusal(order):
        return Reach(refusal=f"{unproven.reason} {unproven.hint}")
    if not open_ones.exists() and (not_theirs := access.unassigned_refusal(agent, order)):
        return Reach(refusal=not_theirs.reason)
    contact = _named(order, access.certain_contacts(order) if owners else [])
    holder = identities.holder(email=order.email, phone="")
    if (owners and contact is None) or (holder is not None and contact is None):
        return Reach(refusal=_("It’s not clear which contact this order belongs to."))
    return Reach(channels=channels, address=order.email, contact=contact)


def _named(order: Order, certain: list[int]) -> Contact | None:
    """Return which of these contacts has the order's email address or its Shopify customer.

    One who shares only its phone number may be someone else, whose conversation the address must
    not get into.
    """
    named = Q(kind=IdentityKind.EMAIL, value=order.email)
    if order.customer_gid:
        customer = identities.customer_value(order.store_id, order.customer_gid)
        named |= Q(kind=IdentityKind.SHOPIFY_CUSTOMER, value=customer)
    found = Identity.objects.active().filter(named, contact__in=certain)
    row = found.select_related("contact").order_by("contact_id").first()
    return row.contact if row else None


def _channels(scope: Scope) -> list[Channel]:
    found = Channel.objects.filter(kind=ChannelKind.EMAIL, is_active=True)
    if scope.teams is not None:
        found = found.filter(Q(team__in=scope.teams))
    return list(found.order_by("name"))
