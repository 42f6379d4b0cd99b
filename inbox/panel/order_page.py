"""An order on a page of its own: for orders without a conversation, and as an address
to share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from inbox import access, fragment_requests
from inbox.accounts.roles import Agent
from inbox.contacts import identities
from inbox.models import CampaignMessage, Contact, Conversation, Message, MessageKind
from inbox.models.conversations import conversation_id, order_page_origin
from inbox.panel.contexts import Place
from inbox.panel.writing_first import reach_of
from inbox.visibility import Scope
from orders import panels, services
from orders.errors import Refusal
from orders.models import Order, OrderAction, order_names
from orders.panels import customers as heads
from orders.panels.customers import CustomerHead
from orders.panels.panel import mentioned_order
from orders.shopify_port import get_gateway

CONVERSATIONS_SHOWN: Final = 10
_MENTIONS_READ: Final = 50


@dataclass(frozen=True)
class OnOrderPage(Place):
    """The page of one order. `scope` says which stores' orders its agent sees."""

    order: Order
    scope: Scope
    namespace = "order"
    is_order_page = True

    @property
    def url_args(self) -> tuple[object, ...]:
        return ()

    @property
    def origin(self) -> str:
        return order_page_origin(self.order.pk)

    @property
    def topics(self) -> str:
        """Changes of the order and of its contacts."""
        contacts = (f"contact:{contact.pk}" for contact in self.contacts)
        return " ".join((f"order:{self.order.pk}", *contacts))

    @property
    def home_url(self) -> str:
        return reverse("order:page", args=[self.order.pk])

    @cached_property
    def contacts(self) -> tuple[Contact, ...]:
        """The contacts whose order this is, as far as the agent's teams see them."""
        found = identities.contacts_of(self.order)
        return tuple(self.scope.contacts().filter(pk__in=found).order_by("pk"))

    def orders(self) -> QuerySet[Order]:
        return self.scope.orders().filter(pk=self.order.pk)

    def acting_refusal(self, agent: Agent) -> Refusal | None:
        return access.acting_refusal_on_page(agent, self.order)

    def money_refusal(self, agent: Agent, order: Order) -> Refusal | None:
        return access.money_refusal_on_page(agent, order)

    def withdrawing_refusal(self, agent: Agent, action: OrderAction) -> Refusal | None:
        return access.withdrawing_refusal_on_page(agent, action)

    def page_context(self, agent: Agent) -> dict[str, object]:
        return {"section": "orders", "is_live": True}


def render_page(request: HttpRequest, place: OnOrderPage, *, problem: str = "") -> HttpResponse:
    """Render the order's page, or for htmx what is live on it."""
    is_part = fragment_requests.is_fragment(request)
    template = "inbox/_order.html" if is_part else "inbox/order.html"
    return render(request, template, _context(request, place, problem))


def _context(request: HttpRequest, place: OnOrderPage, problem: str) -> dict[str, Any]:
    """Return the context of inbox/_order.html, from our own tables alone."""
    agent, order = access.agent_of(request), place.order
    unreachable = get_gateway().unreachable_stores()
    (card,) = panels.order_cards(
        [order],
        acting=place.money_refusal(agent, order),
        now=timezone.now(),
        open_ids={order.pk},
        unreachable=unreachable,
    )
    talks = _talks(agent, place)
    conversations = [talk.conversation for talk in talks]
    mine = {contact.pk for contact in place.contacts}
    is_theirs = any(row.contact_id in mine for row in conversations)
    is_elsewhere = not is_theirs and access.has_conversation(order)
    if card.is_partial:
        rows = Order.objects.filter(pk=order.pk)
        get_gateway().wake_reading(services.mark_partial_dirty(rows))
    return place.page_context(agent) | {
        "place": place,
        "card": card,
        "store": order.store,
        "problem": problem,
        "is_unreachable": order.store_id in unreachable,
        "customer": _customer(order),
        "buyer": order.snapshot.customer.name if order.snapshot.customer else order.email,
        "addresses": [value for value in (order.email, order.phone) if value],
        "contacts": place.contacts,
        "talks": talks,
        "conversations": conversations,
        "reach": reach_of(order, agent=agent),
        "press_id": uuid4(),
        "is_elsewhere": is_elsewhere,
        "unproven": None if is_theirs or is_elsewhere else access.unproven_refusal(order),
    }


def _customer(order: Order) -> CustomerHead | None:
    """Return the order's Shopify customer; None if it has none, or we haven't read them yet."""
    if not order.customer_gid:
        return None
    pairs = [(order.store_id, order.customer_gid)]
    found = heads.customers_for(pairs=pairs, emails=(), phones=())
    return heads.head(found[0]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation on the order's page, and what connects it with the order.

    `mention_url` leads to the newest message that names the order, `sent_url` to the newest that a
    campaign sent about it.
    """

    conversation: Conversation
    was_acted_in: bool
    mention_url: str
    sent_url: str


def _talks(agent: Agent, place: OnOrderPage) -> list[Talk]:
    """Return the newest conversations that the agent sees: of the order's contacts, and those in
    which someone acted on it or a campaign wrote about it. Five queries at most."""
    seen = access.conversations_for(agent).order_by("-last_message_at", "-pk")
    found = list(seen.filter(contact__in=place.contacts)[:CONVERSATIONS_SHOWN])
    origins = place.order.actions.values_list("origin", flat=True)
    acted = {pk for origin in origins if (pk := conversation_id(origin)) is not None}
    messages = CampaignMessage.objects.filter(event__order=place.order, message__isnull=False)
    newest = messages.order_by("message")
    sent = dict(newest.values_list("message__conversation", "message"))
    if others := (acted | set(sent)) - {row.pk for row in found}:
        found += seen.filter(pk__in=others)[:CONVERSATIONS_SHOWN]
    mentions = _mentions(place.order, found)
    return [
        Talk(
            conversation=row,
            was_acted_in=row.pk in acted,
            mention_url=_message_url(row, mentions.get(row.pk)),
            sent_url=_message_url(row, sent.get(row.pk)),
        )
        for row in found
    ]


def _mentions(order: Order, talks: Iterable[Conversation]) -> dict[int, int]:
    """Return the newest messages of customers that name the order, by conversation. One query."""
    digits = order_names.number(order.name)
    if not digits:
        return {}
    rows = Message.objects.filter(
        conversation__in=[row.pk for row in talks], kind=MessageKind.INBOUND, text__contains=digits
    )
    newest = rows.order_by("-created_at", "-pk")[:_MENTIONS_READ]
    named = [row for row in newest if mentioned_order([order], row.text)]
    return {row.conversation_id: row.pk for row in reversed(named)}


def _message_url(talk: Conversation, message_id: int | None) -> str:
    if message_id is None:
        return ""
    url = reverse("inbox:conversation", args=[talk.pk])
    return f"{url}?message={message_id}#message-{message_id}"
