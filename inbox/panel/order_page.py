"""An order on a page of its own: for orders without a conversation, and as an address
to share."""

from __future__ import annotations

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
from inbox.models import Contact, Conversation
from inbox.models.conversations import order_page_origin
from inbox.panel.contexts import Place
from inbox.panel.writing_first import reach_of
from inbox.visibility import Scope
from orders import panels, services
from orders.errors import Refusal
from orders.models import Order, OrderAction
from orders.panels import customers as heads
from orders.panels.customers import CustomerHead
from orders.shopify_port import get_gateway

CONVERSATIONS_SHOWN: Final = 10


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
    conversations = _conversations(agent, place)
    is_elsewhere = not conversations and access.has_conversation(order)
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
        "conversations": conversations,
        "reach": reach_of(order, agent=agent),
        "press_id": uuid4(),
        "is_elsewhere": is_elsewhere,
        "unproven": None if conversations or is_elsewhere else access.unproven_refusal(order),
    }


def _customer(order: Order) -> CustomerHead | None:
    """Return the order's Shopify customer; None if it has none, or we haven't read them yet."""
    if not order.customer_gid:
        return None
    pairs = [(order.store_id, order.customer_gid)]
    found = heads.customers_for(pairs=pairs, emails=(), phones=())
    return heads.head(found[0]) if found else None


def _conversations(agent: Agent, place: OnOrderPage) -> list[Conversation]:
    """Return the newest conversations of the order's contacts that the agent sees."""
    seen = access.conversations_for(agent).filter(contact__in=place.contacts)
    return list(seen.order_by("-last_message_at", "-pk")[:CONVERSATIONS_SHOWN])
