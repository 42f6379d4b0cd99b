"""Finding orders across stores, for the page and for the API: exact keys, all of them indexed."""

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
from orders import panels
from orders.models import Order, OrderTracking, Store
from orders.money import Money
from orders.statuses.badges import Badge

AT_MOST: Final = 20
_GID: Final = "gid://shopify/Order/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrder:
    """`conversation_id`: the customer's latest conversation; None where there is none."""

    name: str
    store_name: str
    customer: str
    placed_at: datetime
    total: Money
    badges: tuple[Badge, ...]
    admin_url: str
    conversation_id: int | None


def find(words: str) -> QuerySet[Order]:
    """By number, with the store's prefix and suffix or without (#1043, 1043, EN1043-DE), Shopify's
    id, e-mail, phone or tracking number; newest first. Nothing for empty words."""
    words = clean(words)
    if not words:
        return Order.objects.none()
    # One look-up by index each: an OR over them would read the whole table.
    ways: list[QuerySet[Any, Any]] = [Order.objects.named(words).values("pk")]
    ways.append(OrderTracking.objects.filter(number=words).values("order"))
    number = words.removeprefix(_GID)
    if number.isascii() and number.isdigit() and len(number) < 19:
        ways.append(Order.objects.filter(legacy_id=int(number)).values("pk"))
    if email := normalization.email(words):
        ways.append(Order.objects.filter(email=email).values("pk"))
    if phone := normalization.phone(words):
        ways.append(Order.objects.filter(phone=phone).values("pk"))
    first, *others = (way.order_by() for way in ways)
    found = Order.objects.visible().filter(pk__in=first.union(*others)).select_related("store")
    return found.order_by("-placed_at", "-pk")


def clean(words: str) -> str:
    return words.replace("\x00", "").strip()[:100]


def results(agent: Agent, words: str) -> tuple[tuple[FoundOrder, ...], bool]:
    """The first orders found, and whether there is more than one store to tell apart."""
    orders = list(find(words)[:AT_MOST])
    cards = panels.order_cards(orders, acting=None, now=timezone.now())
    conversations = _conversations(agent, orders)
    found = tuple(
        FoundOrder(
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
    return found, Store.objects.active().count() > 1


def _conversations(agent: Agent, orders: Sequence[Order]) -> list[int | None]:
    """Of each order's customer the latest conversation."""
    contacts = identities.contacts_of_each(orders)
    theirs = access.conversations_for(agent).filter(
        contact__in={pk for contact_ids in contacts for pk in contact_ids}
    )
    latest: dict[int, tuple[datetime, int]] = {}
    for contact_id, at, pk in theirs.values_list("contact_id", "last_message_at", "pk"):
        latest[contact_id] = max(latest.get(contact_id, (at, pk)), (at, pk))
    found = [[latest[pk] for pk in pks if pk in latest] for pks in contacts]
    return [max(of_order)[1] if of_order else None for of_order in found]
