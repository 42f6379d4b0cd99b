"""Order search across stores, for the page and the API: exact keys only, all of them indexed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from inbox import (
    access,
    normalization,
)
from inbox.accounts.roles import Agent
from inbox.contacts import identities
from inbox.scopes import Scope, scope_of
from orders import panels
from orders.models import Order, OrderTracking
from orders.money import Money
from orders.statuses.badges import Badge

AT_MOST: Final = 20
_GID: Final = "gid://shopify/Order/"


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


def find(query: str, *, scope: Scope) -> QuerySet[Order]:
    """Find orders of a scope by name, with or without the store's prefix and suffix (#1043, 1043,
    EN1043-DE), Shopify ID, email, phone or tracking number; newest first. An empty query finds
    nothing."""
    query = clean(query)
    if not query:
        return Order.objects.none()
    # One index lookup each: OR-ing them together would scan the whole table.
    lookups: list[QuerySet[Any, Any]] = [Order.objects.named(query).values("pk")]
    lookups.append(OrderTracking.objects.filter(number=query).values("order"))
    number = query.removeprefix(_GID)
    if number.isascii() and number.isdigit() and len(number) < 19:
        lookups.append(Order.objects.filter(legacy_id=int(number)).values("pk"))
    if email := normalization.email(query):
        lookups.append(Order.objects.filter(email=email).values("pk"))
    if phone := normalization.phone(query):
        lookups.append(Order.objects.filter(phone=phone).values("pk"))
    first, *others = (lookup.order_by() for lookup in lookups)
    found = scope.orders().filter(pk__in=first.union(*others)).select_related("store")
    return found.order_by("-placed_at", "-pk")


def clean(query: str) -> str:
    """Strip a query and drop NUL characters, which PostgreSQL rejects; at most 100 characters."""
    return query.replace("\x00", "").strip()[:100]


def results(agent: Agent, query: str) -> tuple[tuple[FoundOrder, ...], bool]:
    """Return the first orders found, and whether there are several stores to tell apart."""
    scope = scope_of(agent)
    orders = list(find(query, scope=scope)[:AT_MOST])
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
