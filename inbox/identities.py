"""The addresses of a contact, normalised, and the orders they lead to (rows F03, G09)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from inbox.models import Contact, Conversation, Identity, IdentityKind, MessageKind
from orders.models import Order

_TEXTS_READ: Final = 5


@dataclass(frozen=True, slots=True)
class OrderKeys:
    """What a person's orders are found by."""

    customer_gids: list[tuple[int, str]]
    emails: list[str]
    phones: list[str]

    def as_kwargs(self) -> dict[str, Any]:
        """For OrderQuerySet.of_customer and panels.orders_panel."""
        return {
            "customer_gids": self.customer_gids,
            "emails": self.emails,
            "phones": self.phones,
        }


def normal_email(text: str) -> str:
    """The address in lower case, or "" for what is none."""
    address = text.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address if len(address) <= 255 else ""


def normal_phone(text: str) -> str:
    """E.164 (+4915112345678), or "" for what is no international number."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def order_keys(contact: Contact) -> OrderKeys:
    """One query."""
    keys = OrderKeys([], [], [])
    for identity in contact.identities.active():
        if identity.kind == IdentityKind.EMAIL:
            keys.emails.append(identity.value)
        elif identity.kind == IdentityKind.PHONE:
            keys.phones.append(identity.value)
        elif identity.kind == IdentityKind.SHOPIFY_CUSTOMER:
            store_id, _, gid = identity.value.partition(":")
            keys.customer_gids.append((int(store_id), gid))
    return keys


def orders_of(contact: Contact) -> QuerySet[Order]:
    """The contact's orders, newest first."""
    found = Order.objects.visible().of_customer(**order_keys(contact).as_kwargs())
    return found.order_by("-placed_at", "-pk")


def contacts_of(order: Order) -> list[int]:
    """Ids of the contacts whose order this is."""
    values = [f"{order.store_id}:{order.customer_gid}", order.email, order.phone]
    kinds = [IdentityKind.SHOPIFY_CUSTOMER, IdentityKind.EMAIL, IdentityKind.PHONE]
    found: set[int] = set()
    for kind, value in zip(kinds, values, strict=True):
        if value and not value.endswith(":"):
            known = Identity.objects.active().filter(kind=kind, value=value)
            found.update(known.values_list("contact_id", flat=True))
    return sorted(found)


def contacts_of_many(order_ids: list[int]) -> list[int]:
    """Ids of the contacts that any of these orders belongs to. Four queries."""
    rows = list(
        Order.objects.filter(pk__in=order_ids).values_list(
            "store_id", "customer_gid", "email", "phone"
        )
    )
    wanted = {
        IdentityKind.SHOPIFY_CUSTOMER: {f"{store}:{gid}" for store, gid, _, _ in rows if gid},
        IdentityKind.EMAIL: {email for _, _, email, _ in rows if email},
        IdentityKind.PHONE: {phone for _, _, _, phone in rows if phone},
    }
    found: set[int] = set()
    for kind, values in wanted.items():
        known = Identity.objects.active().filter(kind=kind, value__in=values)
        found.update(known.values_list("contact_id", flat=True))
    return sorted(found)


def text_of(conversation: Conversation) -> str:
    """The customer's latest words: an order named in them is shown first."""
    texts = conversation.messages.filter(kind=MessageKind.INBOUND).order_by("-created_at")
    return " ".join(texts.values_list("text", flat=True)[:_TEXTS_READ])
