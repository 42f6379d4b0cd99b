"""Order search across stores, for the page and the API (orders.search)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from inbox import (
    access,
    normalization,
)
from inbox.accounts.roles import Agent
from inbox.contacts import identities
from inbox.scopes import scope_of
from orders import panels
from orders import search as order_search
from orders.models import Order
from orders.models.orders import OrderQuerySet
from orders.money import Money
from orders.statuses.badges import Badge

AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrder:
    """A search result. `conversation_id` is the customer's latest conversation, or None."""

    pk: int
    name: str
    store_name: str
    customer: str
    placed_at: datetime
    total: Money
    badges: tuple[Badge, ...]
    admin_url: str
    conversation_id: int | None


def find(query: str, *, among: OrderQuerySet) -> list[Order]:
    """Find orders by name, with or without the store's prefix and suffix (#1043, 1043, EN1043-DE),
    Shopify ID, email, phone, tracking number or customer's name; at most AT_MOST, the surest first.

    `among` are the orders that may be found. An empty query finds nothing."""
    query = clean(query)
    if not query:
        return []
    email = normalization.email(query)
    phone = "" if email else normalization.phone(query)
    return order_search.find(query, among=among, email=email, phone=phone, at_most=AT_MOST)


def clean(query: str) -> str:
    """Strip a query and drop NUL characters, which PostgreSQL rejects; at most 100 characters."""
    return query.replace("\x00", "").strip()[:100]


def results(agent: Agent, query: str) -> tuple[tuple[FoundOrder, ...], bool]:
    """Return the first orders found, and whether there are several stores to tell apart."""
    scope = scope_of(agent)
    orders = find(query, among=scope.orders())
    cards = panels.order_cards(orders, acting=None, now=timezone.now())
    conversations = _conversations(agent, orders)
    found = tuple(
        FoundOrder(
            pk=order.pk,
            name=order.name,
            store_name=str(order.store),
            customer=order.snapshot.customer.name if order.snapshot.customer else order.email,
            placed_at=card.placed_at,
            total=card.total,
            badges=card.badges,
            admin_url=order.admin_url,
            conversation_id=conversation_id,
        )
        for order, card, conversation_id in zip(orders, cards, conversations, strict=True)
    )
    return found, scope.active_stores().count() > 1


def _conversations(agent: Agent, orders: Sequence[Order]) -> list[int | None]:
    """Return for each order the ID of its customer's latest conversation that the agent may see."""
    contacts = identities.contacts_of_each(orders)
    theirs = access.conversations_for(agent).filter(
        contact__in={pk for contact_ids in contacts for pk in contact_ids}
    )
    latest: dict[int, tuple[datetime, int]] = {}
    for contact_id, at, pk in theirs.values_list("contact_id", "last_message_at", "pk"):
        latest[contact_id] = max(latest.get(contact_id, (at, pk)), (at, pk))
    found = [[latest[pk] for pk in pks if pk in latest] for pks in contacts]
    return [max(of_order)[1] if of_order else None for of_order in found]
