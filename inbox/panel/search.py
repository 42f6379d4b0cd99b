"""Order search across stores, for the page and the API (orders.search).

The page without words is a list of all orders, which filters narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from core.database import replica
from inbox import (
    access,
    normalization,
)
from inbox.accounts.roles import Agent
from inbox.contacts import identities
from inbox.models import Conversation
from inbox.panel import order_filters
from inbox.panel.order_filters import OrderFilters
from inbox.visibility import scope_of
from orders import panels
from orders import search as order_search
from orders.models import Order
from orders.models.orders import OrderQuerySet
from orders.money import Money
from orders.panels.filters import moment, number
from orders.statuses.badges import Badge

AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrder:
    """A search result. `conversation_id` is the customer's latest conversation that the agent sees,
    or None; `is_elsewhere` says that only other teams have one."""

    pk: int
    name: str
    store_name: str
    customer: str
    placed_at: datetime
    total: Money
    badges: tuple[Badge, ...]
    admin_url: str
    conversation_id: int | None
    is_elsewhere: bool


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


@replica.up_to_date
def results(agent: Agent, query: str) -> tuple[tuple[FoundOrder, ...], bool]:
    """Return the first orders found, and whether there are several stores to tell apart."""
    scope = scope_of(agent)
    found = find(query, among=scope.orders())
    return _rows(agent, found), scope.active_stores().count() > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of the order list. `older_url` and `newest_url` are empty if there is nothing there."""

    rows: tuple[FoundOrder, ...]
    older_url: str = ""
    newest_url: str = ""


@replica.up_to_date
def list_page(agent: Agent, query: str, filters: OrderFilters, *, after: str) -> ListPage:
    """Return a page of the agent's orders, newest first, narrowed by valid filters.

    A query finds at most AT_MOST of them, the surest first. Otherwise `after` is the keyset
    "time~id" of the last row shown; what can't be parsed means the first page.
    """
    orders = filters.narrow(scope_of(agent).orders())
    if clean(query):
        return ListPage(rows=_rows(agent, find(query, among=orders)))
    at, _sep, pk = after.partition("~")
    edge, last = moment(at), number(pk)
    is_first = edge is None or last is None
    if edge is not None and last is not None:
        orders = order_filters.after(orders, edge, last)
    listed = orders.exclude(placed_at=None).select_related("store").order_by("-placed_at", "-pk")
    page = list(listed[: AT_MOST + 1])
    shown = page[:AT_MOST]
    here, older = reverse("inbox:order_search"), ""
    if len(page) > AT_MOST and (placed_at := shown[-1].placed_at):
        mark = {"after": f"{placed_at.isoformat()}~{shown[-1].pk}"}
        older = f"{here}?{urlencode(filters.parameters | mark)}"
    newest = "" if is_first else f"{here}?{urlencode(filters.parameters)}"
    return ListPage(rows=_rows(agent, shown), older_url=older, newest_url=newest)


def _rows(agent: Agent, orders: Sequence[Order]) -> tuple[FoundOrder, ...]:
    cards = panels.order_cards(orders, acting=None, now=timezone.now())
    conversations = _conversations(agent, orders)
    return tuple(
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
            is_elsewhere=is_elsewhere,
        )
        for order, card, (conversation_id, is_elsewhere) in zip(
            orders, cards, conversations, strict=True
        )
    )


def _conversations(agent: Agent, orders: Sequence[Order]) -> list[tuple[int | None, bool]]:
    """Return for each order the ID of its customer's latest conversation that the agent may see, and
    whether there are only conversations of other teams."""
    contacts = identities.contacts_of_each(orders)
    everyone = {pk for contact_ids in contacts for pk in contact_ids}
    theirs = access.conversations_for(agent).filter(contact__in=everyone)
    latest: dict[int, tuple[datetime, int]] = {}
    for contact_id, at, pk in theirs.values_list("contact_id", "last_message_at", "pk"):
        latest[contact_id] = max(latest.get(contact_id, (at, pk)), (at, pk))
    unseen = everyone - latest.keys() if scope_of(agent).teams is not None else set()
    elsewhere: set[int] = set()
    if unseen:
        others = Conversation.objects.filter(contact__in=unseen)
        elsewhere = set(others.order_by().values_list("contact_id", flat=True).distinct())
    return [_seen_or_not(pks, latest, elsewhere) for pks in contacts]


def _seen_or_not(
    contacts: Sequence[int], latest: dict[int, tuple[datetime, int]], elsewhere: set[int]
) -> tuple[int | None, bool]:
    seen = [latest[pk] for pk in contacts if pk in latest]
    return (max(seen)[1], False) if seen else (None, not elsewhere.isdisjoint(contacts))
