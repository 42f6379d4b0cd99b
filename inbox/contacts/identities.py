"""A contact's identities, and the orders and contacts they lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from core.database.sql import select
from inbox.models import Contact, Conversation, Identity, IdentityKind, Message, MessageKind
from inbox.visibility import EVERYTHING, Scope
from orders.models import Customer, Order
from orders.panels import customers

# More than any person has.
ORDERS_READ: Final = 1000
_TEXTS_READ: Final = 5
# A kind of identity and its value.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OrderKeys:
    """The keys by which a person's orders are found.

    `refused` is what an agent took away from the contact or set aside, and no one has given back;
    an order that carries one of these is not certainly theirs. `stores` are the IDs of the stores
    where they are looked for; None means all of them.
    """

    customer_gids: list[tuple[int, str]]
    emails: list[str]
    phones: list[str]
    refused: frozenset[Key] = field(default=frozenset(), compare=False)
    stores: frozenset[int] | None = None

    def as_kwargs(self) -> dict[str, Any]:
        """Arguments for OrderQuerySet.of_customer."""
        return {
            "customer_gids": self.customer_gids,
            "emails": self.emails,
            "phones": self.phones,
        }


def order_keys(contact: Contact, *, stores: frozenset[int] | None = None) -> OrderKeys:
    """Return the order keys of a contact. One query; two if linked to a Shopify customer."""
    return keys_of(contact.identities.all(), stores=stores)


def active_of(known: Iterable[Identity]) -> list[Identity]:
    """Filter loaded identities to those not removed."""
    return [identity for identity in known if identity.removed_at is None]


def refused_of(known: Iterable[Identity]) -> frozenset[Key]:
    """Return the removed keys among all identities of one contact: only a person may give these
    back. A key that is active again doesn't count."""
    rows = list(known)
    gone = {(row.kind, row.value) for row in rows if row.removed_at is not None}
    return frozenset(gone - {(row.kind, row.value) for row in active_of(rows)})


def refused_by(contact: Contact, keys: Iterable[Key]) -> frozenset[Key]:
    """Return those of the keys that an agent took from this contact or set aside. At most one
    query."""
    asked = set(keys)
    values = sorted({value for _kind, value in asked})
    if not values:
        return frozenset()
    return refused_of(contact.identities.filter(value__in=values)) & asked


def keys_of(known: Iterable[Identity], *, stores: frozenset[int] | None = None) -> OrderKeys:
    """Return the order keys of a contact's loaded identities, which must include removed ones.

    `stores` are the IDs of the stores that the agent sees; None means all of them.

    A customer that was merged in Shopify also leads to the one it became, unless that one was
    taken from the contact.
    """
    rows = list(known)
    # A removal without an author was not an agent's decision, so it refuses nothing.
    said = [row for row in rows if row.removed_at is None or row.removed_by_id or row.is_set_aside]
    keys = OrderKeys([], [], [], refused_of(said), stores)
    for identity in active_of(rows):
        if identity.kind == IdentityKind.EMAIL:
            keys.emails.append(identity.value)
        elif identity.kind == IdentityKind.PHONE:
            keys.phones.append(identity.value)
        elif identity.kind == IdentityKind.SHOPIFY_CUSTOMER:
            pair = customer_key(identity.value)
            if pair[0]:
                keys.customer_gids.append(pair)
    never = [customer_key(v) for kind, v in keys.refused if kind == IdentityKind.SHOPIFY_CUSTOMER]
    keys.customer_gids.extend(customers.merged_into(keys.customer_gids, never=never))
    return keys


def holder(*, email: str, phone: str, given_email: str = "") -> Contact | None:
    """Return the contact who holds the proven email address, else the proven phone number.

    `given_email` is an email address they gave, proven or not. A household may share a phone
    number, so a sender who gives a different email address from the contact's is not matched by
    phone. Nor is a contact that an agent took one of these addresses from. Four queries at most.
    """
    found = _holder(email, phone, email or given_email)
    if found is None:
        return None
    given = [
        (IdentityKind.EMAIL.value, email or given_email),
        (IdentityKind.PHONE.value, phone),
    ]
    return None if refused_by(found, [key for key in given if key[1]]) else found


def _holder(email: str, phone: str, given: str) -> Contact | None:
    for kind, value in ((IdentityKind.EMAIL, email), (IdentityKind.PHONE, phone)):
        known = Identity.objects.active().filter(kind=kind, value=value)
        if value and (row := known.select_related("contact").first()):
            if kind == IdentityKind.EMAIL or not given:
                return row.contact
            mails = row.contact.identities.active().filter(kind=IdentityKind.EMAIL)
            theirs = set(mails.values_list("value", flat=True))
            return row.contact if not theirs or given in theirs else None
    return None


def customer_key(value: str) -> tuple[int, str]:
    """Parse a Shopify customer identity into (store ID, gid); (0, ""), which matches nothing, if
    malformed. Never raises, because old rows may predate the format."""
    store_id, _, gid = value.partition(":")
    is_number = store_id.isascii() and store_id.isdecimal() and len(store_id) < 19
    if not gid or not is_number:
        return 0, ""
    return int(store_id), gid


def customer_value(store_id: int, gid: str) -> str:
    """Format a Shopify customer identity; the inverse of `customer_key`."""
    return f"{store_id}:{gid}"


def orders_of(contact: Contact, *, stores: frozenset[int] | None = None) -> QuerySet[Order]:
    """The contact's orders at these stores, newest first; None means all stores."""
    return orders_by(order_keys(contact, stores=stores))


def orders_by(keys: OrderKeys) -> QuerySet[Order]:
    """The orders these keys lead to, newest first."""
    found = Order.objects.visible().at(keys.stores).of_customer(**keys.as_kwargs())
    return found.order_by("-placed_at", "-pk")


@dataclass(frozen=True, slots=True)
class NewestOrders:
    """IDs of a contact's newest orders; unless `are_all`, the contact has older ones, too."""

    ids: list[int]
    are_all: bool


def newest_orders(keys: OrderKeys) -> NewestOrders:
    """Return the IDs of the newest `ORDERS_READ` orders, for queries of what happened to them.

    As a subquery, PostgreSQL expects a third of all orders from it and reads every event there is.
    """
    found = list(orders_by(keys).values_list("pk", flat=True)[: ORDERS_READ + 1])
    return NewestOrders(found[:ORDERS_READ], are_all=len(found) <= ORDERS_READ)


def contacts_of(order: Order) -> list[int]:
    """Return the IDs of the contacts whose order this is."""
    return contacts_of_each([order])[0]


def contacts_of_each(orders: Sequence[Order]) -> list[list[int]]:
    """Return the contact IDs for each of the orders, in as many queries as for a single order.

    A contact who shares an address with the order doesn't count if it is linked to a different
    customer of the order's store.
    """
    kinds = (IdentityKind.SHOPIFY_CUSTOMER, IdentityKind.EMAIL, IdentityKind.PHONE)
    wanted = [
        {
            (kind.value, value)
            for kind, value in zip(kinds, _addresses(order), strict=True)
            if value and not value.endswith(":")
        }
        for order in orders
    ]
    # The query filters by value, which few rows share; kinds are matched below.
    rows = select(
        Identity,
        "kind",
        "value",
        "contact_id",
        "removed_at",
        kind=[kind.value for kind in kinds],
        value=sorted({value for keys in wanted for _kind, value in keys}),
    )
    holders: dict[tuple[str, str], set[int]] = {}
    for kind, value, pk, gone in rows:
        if not gone:
            holders.setdefault((kind, value), set()).add(pk)
    found = [{pk for key in keys for pk in holders.get(key, ())} for keys in wanted]
    links = _links_to_customers(
        {pk for pks, order in zip(found, orders, strict=True) if order.customer_gid for pk in pks}
    )
    return [
        sorted(pk for pk in pks if not _is_linked_elsewhere(order, links.get(pk, set())))
        for pks, order in zip(found, orders, strict=True)
    ]


def _addresses(order: Order) -> tuple[str, str, str]:
    return customer_value(order.store_id, order.customer_gid), order.email, order.phone


def contacts_of_customer(customer: Customer) -> list[int]:
    """Return the IDs of contacts that share an identity with a Shopify customer. One query."""
    match = Q(
        kind=IdentityKind.SHOPIFY_CUSTOMER, value=customer_value(customer.store_id, customer.gid)
    )
    if customer.email:
        match |= Q(kind=IdentityKind.EMAIL, value=customer.email)
    if customer.phone:
        match |= Q(kind=IdentityKind.PHONE, value=customer.phone)
    found = Identity.objects.active().filter(match)
    return sorted(set(found.values_list("contact_id", flat=True)))


def _links_to_customers(contacts: Collection[int]) -> dict[int, set[tuple[int, str]]]:
    """Map each contact to its linked Shopify customers and those they were merged into."""
    if not contacts:
        return {}
    linked = Identity.objects.active().filter(
        contact__in=contacts, kind=IdentityKind.SHOPIFY_CUSTOMER
    )
    found: dict[int, set[tuple[int, str]]] = {}
    for contact_id, value in linked.values_list("contact_id", "value"):
        found.setdefault(contact_id, set()).add(customer_key(value))
    became = customers.merges_of(pair for keys in found.values() for pair in keys)
    for keys in found.values():
        keys.update([step for key in tuple(keys) for step in customers.steps(key, became)])
    return found


def _is_linked_elsewhere(order: Order, links: Collection[tuple[int, str]]) -> bool:
    """Whether a contact's links name its customer at the order's store, and it is another one."""
    is_known = any(store_id == order.store_id for store_id, _gid in links)
    own = (order.store_id, order.customer_gid)
    return bool(order.customer_gid) and is_known and own not in links


def contacts_of_many(order_ids: list[int]) -> list[int]:
    """Return the IDs of the contacts that any of these orders belongs to, by the same rule. One
    query more than for a single order."""
    rows = Order.objects.filter(pk__in=order_ids)
    orders = rows.only("store_id", "customer_gid", "email", "phone").order_by()
    return sorted({pk for found in contacts_of_each(list(orders)) for pk in found})


def text_of(conversation: Conversation) -> str:
    """Return the contact's latest messages in a conversation; an order named in them is shown
    first. Other participants' messages are ignored: they say nothing about the contact's orders."""
    return _latest_texts(_theirs(conversation.messages.all(), conversation.contact_id))


def text_by(contact: Contact, *, scope: Scope = EVERYTHING) -> str:
    """Return the contact's latest messages across the conversations of this scope."""
    messages = Message.objects.all()
    if scope.teams is not None:
        messages = messages.filter(conversation__in=scope.conversations())
    own = messages.filter(conversation__contact=contact)
    return _latest_texts(_theirs(own, contact.pk), messages.filter(sender__contact=contact))


def _theirs(messages: QuerySet[Message], contact_id: int) -> QuerySet[Message]:
    # Messages older than the sender column were written by the contact.
    return messages.filter(Q(sender=None) | Q(sender__contact=contact_id))


def _latest_texts(*sources: QuerySet[Message]) -> str:
    found: dict[int, tuple[datetime, str]] = {}
    for messages in sources:
        inbound = messages.filter(kind=MessageKind.INBOUND).order_by("-created_at")
        for pk, at, text in inbound.values_list("pk", "created_at", "text")[:_TEXTS_READ]:
            found[pk] = (at, text)
    newest = sorted(found.values(), reverse=True)[:_TEXTS_READ]
    return " ".join(text for _at, text in newest)
