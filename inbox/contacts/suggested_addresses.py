"""Addresses that likely belong to a contact too, with the evidence. An agent decides.

Nothing here is applied automatically: until it is accepted, a suggested address finds no order and
moves no money. What was set aside or taken away is not suggested again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from core.email_and_phone import normal_phone
from inbox import normalization
from inbox.contacts import identities
from inbox.contacts.identities import (
    Key,
    OrderKeys,
)
from inbox.contacts.matching import Matching
from inbox.models import Claim, Identity, IdentityKind
from orders.models import Customer, Order, order_names
from orders.panels import customers
from orders.panels.customers import Pair

_AT_MOST: Final = 5
_ORDERS_READ: Final = 20
_NAMES_READ: Final = 10
# What may be an order name in running text: "#1043", "order 1043", "EU-1043".
_NAME: Final = re.compile(r"#?(?:[A-Z]{1,4}-?)?\d{3,10}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """An address that may be the contact's. `is_claim`: only the sender's own claim supports it, so
    that only a supervisor may confirm it. `taken_by`: the ID of the contact that holds it, from
    which it would have to be removed first."""

    kind: IdentityKind
    value: str
    shown: str
    evidence: str
    is_claim: bool = False
    taken_by: int | None = None

    @property
    def is_taken(self) -> bool:
        """Whether another contact holds it, so that it cannot be accepted yet."""
        return self.taken_by is not None

    @property
    def key(self) -> tuple[str, str]:
        """The kind and value of the identity that accepting it would create."""
        return self.kind.value, self.value

    @property
    def kind_label(self) -> str:
        """The kind in the language of the page."""
        return str(self.kind.label)


def suggestions(
    known: Sequence[Identity],
    keys: OrderKeys,
    matching: Matching,
    text: str,
    claims: Sequence[Claim] = (),
) -> tuple[Suggestion, ...]:
    """Return up to five suggestions for a contact.

    `known` are all of its identities, removed ones included, and `keys` their order keys; `text`
    is searched for order names. Two queries at most, five for a contact with unproven claims.
    """
    seen = {(i.kind, i.value) for i in known}
    found: dict[tuple[str, str], Suggestion] = {}
    certain = {head.pair for head in matching.heads}
    every = (
        *of_claims(claims, besides=certain, refused=keys.refused, stores=keys.stores),
        *_of_customers(matching),
        *_of_orders(keys, matching, text),
    )
    for suggestion in every:
        if suggestion.key not in seen:
            found.setdefault(suggestion.key, suggestion)
    if not found:
        return ()
    taken = _holders(found)
    return tuple(s for key, s in found.items() if key not in taken or (s.is_taken and s.is_claim))[
        :_AT_MOST
    ]


def of_claims(
    claims: Sequence[Claim],
    *,
    besides: Collection[Pair] = (),
    refused: Collection[Key] = (),
    stores: Collection[int] | None = None,
) -> list[Suggestion]:
    """Suggest the owners of addresses that a sender gave without proof.

    These are customers, except the ones in `besides`, who are known already, and guest orders.
    Anything that carries an address in `refused` is left out, and so are other stores than `stores`;
    None means all of them. Two queries if there are claims,
    and one for each customer.
    """
    given = {(c.kind, c.value): c for c in claims if c.is_understood}
    given = {key: claim for key, claim in given.items() if key not in refused}
    emails = [value for kind, value in given if kind == IdentityKind.EMAIL]
    phones = [value for kind, value in given if kind == IdentityKind.PHONE]
    if not given:
        return []
    people = customers.customers_for(pairs=(), emails=emails, phones=phones, stores=stores)
    found = [
        _claimed_customer(customer, by_email=customer.email in emails, by=claims[0].contact_id)
        for customer in people[:_AT_MOST]
        if (customer.store_id, customer.gid) not in besides
        and not _has_any_key(customer.store_id, customer.gid, customer, refused)
    ]
    guests = (
        Order.objects.visible()
        .at(stores)
        .filter(Q(email__in=emails) | Q(phone__in=phones), customer_gid="")
    )
    for order in guests.select_related("store").order_by("-placed_at")[:_AT_MOST]:
        if _has_any_key(order.store_id, "", order, refused):
            continue
        is_email = order.email in emails
        kind = IdentityKind.EMAIL if is_email else IdentityKind.PHONE
        value = order.email if is_email else order.phone
        words = {"order": order.name, "store": order.store}
        text = _("gave the email address on order %(order)s at %(store)s, unverified")
        if not is_email:
            text = _("gave the phone number on order %(order)s at %(store)s, unverified")
        found.append(
            Suggestion(kind=kind, value=value, shown=value, evidence=text % words, is_claim=True)
        )
    return found


def _has_any_key(store_id: int, gid: str, of: Customer | Order, keys: Collection[Key]) -> bool:
    """Whether a customer or an order has one of these identity keys."""
    own = (
        (IdentityKind.SHOPIFY_CUSTOMER.value, identities.customer_value(store_id, gid)),
        (IdentityKind.EMAIL.value, of.email),
        (IdentityKind.PHONE.value, of.phone),
    )
    return any(key in keys for key in own)


def _claimed_customer(customer: Customer, *, by_email: bool, by: int | None) -> Suggestion:
    """Suggest a customer whose address was claimed. `by` is the contact who claims it; None for a
    help desk's customer, who has no contact here."""
    head = customers.head(customer)
    text = _("gave the email address of %(name)s, unverified")
    if not by_email:
        text = _("gave the phone number of %(name)s, unverified")
    name = f"{head.name} · {head.store_name}"
    held = Identity.objects.active().filter(
        Q(kind=IdentityKind.SHOPIFY_CUSTOMER, value=identities.customer_value(*head.pair))
        | Q(kind=IdentityKind.EMAIL, value=head.email)
        | Q(kind=IdentityKind.PHONE, value=head.phone)
    )
    return Suggestion(
        kind=IdentityKind.SHOPIFY_CUSTOMER,
        value=identities.customer_value(*head.pair),
        shown=name,
        evidence=text % {"name": head.name},
        is_claim=True,
        taken_by=held.exclude(value="")
        .exclude(contact=by)
        .values_list("contact_id", flat=True)
        .first(),
    )


def _holders(found: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    any_of = Q(pk__in=[])
    for kind, value in found:
        any_of |= Q(kind=kind, value=value)
    return set(Identity.objects.active().filter(any_of).values_list("kind", "value"))


def _of_customers(matching: Matching) -> Iterator[Suggestion]:
    for match in matching.matches:
        words = {"name": match.head.name, "store": match.head.store_name}
        evidence = _("belongs to Shopify customer %(name)s at %(store)s") % words
        yield from _addresses(match.head.email, match.head.phone, evidence)


def _of_orders(keys: OrderKeys, matching: Matching, text: str) -> Iterator[Suggestion]:
    pairs = {match.head.pair for match in matching.matches}
    names = _order_names_in(text)
    wanted = Q(name_key__in=[order_names.key(name) for name in names])
    for store_id, gid in pairs:
        wanted |= Q(store_id=store_id, customer_gid=gid)
    if not names and not pairs:
        return
    orders = Order.objects.visible().at(keys.stores).filter(wanted).select_related("store")
    for order in orders.order_by("-placed_at")[:_ORDERS_READ]:
        words = {"order": order.name, "store": order.store}
        if (order.store_id, order.customer_gid) in pairs:
            evidence = _("on order %(order)s from the same Shopify customer at %(store)s") % words
            yield from _addresses(order.email, order.phone, evidence)
        elif not _is_own(order, keys) and not _has_any_key(
            order.store_id, order.customer_gid, order, keys.refused
        ):
            evidence = _("on order %(order)s at %(store)s, mentioned in the conversation") % words
            yield from _claims(order, evidence)


def _claims(order: Order, evidence: str) -> Iterator[Suggestion]:
    """Suggest one address by which the named order would be found; one is enough."""
    found = list(_addresses(order.email, order.phone, evidence, is_claim=True))
    if found:
        yield found[0]
    elif order.customer_gid:
        yield Suggestion(
            kind=IdentityKind.SHOPIFY_CUSTOMER,
            value=identities.customer_value(order.store_id, order.customer_gid),
            shown=order.customer_gid.rsplit("/", 1)[-1],
            evidence=evidence,
            is_claim=True,
        )


def _is_own(order: Order, keys: OrderKeys) -> bool:
    return (
        (order.store_id, order.customer_gid) in keys.customer_gids
        or order.email in keys.emails
        or order.phone in keys.phones
    )


def _addresses(
    email: str, phone: str, evidence: str, *, is_claim: bool = False
) -> Iterator[Suggestion]:
    pairs = (
        (IdentityKind.EMAIL, normalization.email(email)),
        (IdentityKind.PHONE, normal_phone(phone)),
    )
    for kind, value in pairs:
        if value:
            yield Suggestion(
                kind=kind, value=value, shown=value, evidence=evidence, is_claim=is_claim
            )


def _order_names_in(text: str) -> list[str]:
    found: Iterable[str] = dict.fromkeys(match.group() for match in _NAME.finditer(text))
    bare = [name.lstrip("#") for name in found][:_NAMES_READ]
    return [*bare, *(f"#{name}" for name in bare)]
