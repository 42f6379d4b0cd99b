"""Where orders are shown: beside a conversation, in another help desk's frame, or by themselves.

The cards, dialogs, rules and services are the same everywhere. A place says which orders are shown,
who may act there, and at which URLs its views are. An order's own page is in inbox.panel.order_page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from inbox import access
from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.contacts import (
    identities,
    matching,
    profile,
    suggested_addresses,
)
from inbox.contacts.identities import OrderKeys
from inbox.contacts.matching import Matching
from inbox.contacts.profile import Person
from inbox.frames import tokens
from inbox.frames.tokens import Pass
from inbox.live import events
from inbox.models import Claim, Contact, Conversation, HelpDeskFrame, Identity, IdentityKind
from inbox.panel import changes_since
from inbox.panel import (
    reply_text as confirmations,
)
from inbox.visibility import Scope
from orders import policies
from orders.errors import Refusal
from orders.models import Order, OrderAction
from orders.money import Money
from orders.panels import FoundOrders, OrderCard


class Place(ABC):
    """A place where orders are shown; templates know it as `place`. Its views are found under
    `namespace` with `url_args`."""

    namespace: ClassVar[str]
    is_frame: ClassVar[bool] = False
    is_window: ClassVar[bool] = False
    is_order_page: ClassVar[bool] = False
    # One of our conversations is shown beside it: there is a composer, and a link back.
    has_conversation: ClassVar[bool] = False

    @property
    @abstractmethod
    def url_args(self) -> tuple[object, ...]:
        """The leading arguments of every URL of this place."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """The value of OrderAction.origin for actions taken here."""

    @property
    @abstractmethod
    def topics(self) -> str:
        """The inbox.live.events topics, separated by spaces, that make what is shown refresh."""

    @property
    @abstractmethod
    def home_url(self) -> str:
        """The page that shows the orders."""

    @abstractmethod
    def acting_refusal(self, agent: Agent) -> Refusal | None:
        """Return why this agent may not act here at all; None if they may."""

    @abstractmethod
    def money_refusal(self, agent: Agent, order: Order) -> Refusal | None:
        """Return why this agent may not move money of this order from here; None if they may."""

    @abstractmethod
    def orders(self) -> QuerySet[Order]:
        """The orders that are shown here, newest first."""

    def withdrawing_refusal(self, agent: Agent, action: OrderAction) -> Refusal | None:
        """Return why this agent may not withdraw an action here; None if they may."""
        return self.acting_refusal(agent)

    def afresh(self) -> Place:
        """Return the same place without cached answers about whose orders they are."""
        return self

    def url(self, name: str, *args: object) -> str:
        """Reverse one of this place's views."""
        return reverse(f"{self.namespace}:{name}", args=[*self.url_args, *args])

    def get_order(self, order_id: int) -> Order:
        """Return one of the orders that are shown here; Http404 for any other order."""
        return get_object_or_404(self.orders().select_related("store"), pk=order_id)

    def with_changes(self, cards: Sequence[OrderCard]) -> tuple[OrderCard, ...]:
        """Add to the cards what changed since the person wrote, where that is known."""
        return tuple(cards)

    def reply_text(self, action: OrderAction) -> str:
        """Return a text to start the reply with; "" if replies aren't written here."""
        return ""

    def window_url(self, order: Order, amount: Money | None, token: str) -> str:
        """Return the URL where this summary has to be confirmed instead; "" if it may be confirmed
        here. `amount` None means that the sum is unknown."""
        return ""

    def page_context(self, agent: Agent) -> dict[str, object]:
        """Return what base.html needs when a fragment is shown as a page of its own."""
        return {}


class PersonsOrders(Place):
    """A place that shows all orders of one person, found by their addresses."""

    contact_url: str = ""
    # The contact whose identities can be edited here; None if they can't.
    contact_id: int | None = None

    @property
    @abstractmethod
    def keys(self) -> OrderKeys:
        """The keys by which the person's orders are found."""

    @property
    @abstractmethod
    def mentioned(self) -> str:
        """Text the customer wrote: an order named in it is shown first."""

    @abstractmethod
    def matching(self, order: Order) -> Matching:
        """Match the person to Shopify customers, for what may be done to this order."""

    @abstractmethod
    def person(self, found: FoundOrders, *, agent: Agent, now: datetime) -> Person:
        """Return who the orders belong to. `found` are the ones being shown."""

    def money_refusal(self, agent: Agent, order: Order) -> Refusal | None:
        return self.acting_refusal(agent) or self.matching(order).refusal(order)

    def orders(self) -> QuerySet[Order]:
        return identities.orders_by(self.keys)


@dataclass(frozen=True)
class BesideConversation(PersonsOrders):
    """The panel beside one of our own conversations. `scope` says which stores' orders its agent
    sees."""

    conversation: Conversation
    scope: Scope
    namespace = "inbox"
    has_conversation = True

    @property
    def url_args(self) -> tuple[object, ...]:
        return (self.conversation.pk,)

    @cached_property
    def _known(self) -> list[Identity]:
        """All identities of the contact, removed ones included."""
        return list(self.conversation.contact.identities.all())

    @cached_property
    def keys(self) -> OrderKeys:
        return identities.keys_of(self._known, stores=self.scope.stores)

    @property
    def origin(self) -> str:
        return self.conversation.origin

    @cached_property
    def mentioned(self) -> str:
        return identities.text_of(self.conversation)

    @property
    def topics(self) -> str:
        """Changes of the contact's orders, and of what was asked in this conversation."""
        found = self.conversation
        return f"contact:{found.contact_id} conversation-orders:{found.pk}"

    @property
    def home_url(self) -> str:
        return reverse("inbox:conversation", args=[self.conversation.pk])

    @property
    def contact_url(self) -> str:  # type: ignore[override]
        return reverse("inbox:contact", args=[self.conversation.contact_id])

    @property
    def contact_id(self) -> int:  # type: ignore[override]
        return self.conversation.contact_id

    def afresh(self) -> BesideConversation:
        rows = Conversation.objects.select_related("contact", "channel", "assignee")
        return BesideConversation(rows.get(pk=self.conversation.pk), self.scope)

    def acting_refusal(self, agent: Agent) -> Refusal | None:
        return access.acting_refusal(agent, self.conversation)

    def matching(self, order: Order) -> Matching:
        active = identities.active_of(self._known)
        return matching.match_order(self.conversation.contact, active, self.keys, order)

    def person(self, found: FoundOrders, *, agent: Agent, now: datetime) -> Person:
        contact = self.conversation.contact
        return profile.person(
            contact,
            known=self._known,
            keys=self.keys,
            found=found,
            text=self.mentioned,
            agent=agent,
            now=now,
        )

    def with_changes(self, cards: Sequence[OrderCard]) -> tuple[OrderCard, ...]:
        return changes_since.cards_with_changes(cards, self.conversation)

    def reply_text(self, action: OrderAction) -> str:
        return confirmations.reply_text(action, language=self.conversation.contact.language)


@dataclass(frozen=True)
class InFrame(PersonsOrders):
    """The panel inside another help desk. The pass, sealed by our server, says which agent acts
    for which customer; nothing that the frame sends can widen it. `scope` says which stores' orders
    the agent sees."""

    held: Pass
    frame: HelpDeskFrame
    scope: Scope
    namespace = "sidebar"
    is_frame = True

    @property
    def url_args(self) -> tuple[object, ...]:
        return ()

    def afresh(self) -> InFrame:
        return replace(self)

    @cached_property
    def _known(self) -> Contact | None:
        """Our contact who holds an address that the help desk has proven."""
        customer = self.held.customer
        return identities.holder(
            email=customer.email, phone=customer.phone, given_email=customer.claimed_email
        )

    @property
    def shown_contact_id(self) -> int | None:
        """The contact whose orders this frame shows; None if we know the customer only by orders."""
        return self._known.pk if self._known else None

    @cached_property
    def _known_identities(self) -> tuple[Identity, ...]:
        """All identities of that contact, removed ones included."""
        return tuple(self._known.identities.all()) if self._known else ()

    @cached_property
    def _identities(self) -> tuple[Identity, ...]:
        """The Shopify customers that agents linked to the contact in the inbox, followed by the
        addresses that the help desk has proven."""
        links = identities.active_of(self._known_identities)
        customer = self.held.customer
        told = ((IdentityKind.EMAIL, customer.email), (IdentityKind.PHONE, customer.phone))
        return (
            *(identity for identity in links if identity.is_shopify_customer),
            *(Identity(kind=kind, value=value) for kind, value in told if value),
        )

    @cached_property
    def keys(self) -> OrderKeys:
        """Proven addresses and linked customers, without what agents removed from the contact."""
        gone = [identity for identity in self._known_identities if identity.removed_at]
        return identities.keys_of((*gone, *self._identities), stores=self.scope.stores)

    @property
    def origin(self) -> str:
        return f"frame:{self.frame.pk}"

    @property
    def mentioned(self) -> str:
        return self.held.customer.about

    @property
    def topics(self) -> str:
        """Changes of orders with one of the customer's proven addresses."""
        keys = self.keys
        return " ".join(events.person_topic(value) for value in (*keys.emails, *keys.phones))

    @property
    def home_url(self) -> str:
        return f"{reverse('sidebar:frame')}?frame={self.frame.pk}"

    def acting_refusal(self, agent: Agent) -> Refusal | None:
        """Only the help desk's assignee may act; if it names none, the agent who opened the frame.
        Supervisors always may."""
        if self.held.customer.may_act or roles.is_supervisor(agent):
            return None
        return Refusal(
            "not_assigned",
            _("To take action, assign the conversation to yourself in %(desk)s.")
            % {"desk": self.frame.name},
            _("Only the agent assigned to this conversation can cancel or refund."),
        )

    def matching(self, order: Order) -> Matching:
        return matching.match_order(self._known, self._identities, self.keys, order)

    def person(self, found: FoundOrders, *, agent: Agent, now: datetime) -> Person:
        matched = matching.match(self._known, self._identities, self.keys, found)
        claims = self._claims
        # Suggestions here come only from claims, and can't be accepted in a frame.
        suggested = tuple(
            suggested_addresses.of_claims(
                claims, refused=self.keys.refused, stores=self.scope.stores
            )
        )
        return Person(matching=matched, suggestions=suggested, undoable=(), claims=claims)

    @property
    def _claims(self) -> tuple[Claim, ...]:
        """What the help desk says about the customer without proof."""
        customer = self.held.customer
        told = (
            (IdentityKind.EMAIL, customer.claimed_email, True),
            (IdentityKind.PHONE, customer.claimed_phone, True),
            (IdentityKind.PHONE, customer.unclear, False),
        )
        return tuple(
            Claim(kind=kind, value=value, is_understood=is_understood)
            for kind, value, is_understood in told
            if value
        )

    def window_url(self, order: Order, amount: Money | None, token: str) -> str:
        """Above the frame's limit, confirm in our own window: within a frame, the page around it
        could trick the agent into clicking a covered button."""
        limit = self.frame.confirm_up_to
        if limit and (amount is None or policies.in_shop_currency(amount, order).amount <= limit):
            return ""
        window = InWindow(self.held, self.frame, self.scope)
        summary = tokens.seal_summary(token)
        return f"{window.url('order_review', order.pk)}?summary={summary}"


@dataclass(frozen=True)
class InWindow(InFrame):
    """The same customer in a window of our own origin, with the regular session login."""

    namespace = "sidebar_window"
    is_frame = False
    is_window = True

    @property
    def url_args(self) -> tuple[object, ...]:
        """The sealed pass, which is all the window knows of the customer."""
        return (tokens.seal_window(self.held),)

    @property
    def home_url(self) -> str:
        return self.url("orders")

    def window_url(self, order: Order, amount: Money | None, token: str) -> str:
        """Always "", because the agent may confirm here."""
        return ""

    def page_context(self, agent: Agent) -> dict[str, object]:
        return {"is_live": True}
