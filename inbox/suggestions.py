"""Addresses that likely are a contact's too, with the evidence (row G09). An agent decides.

Nothing here is applied by itself: until it is accepted, a suggested address finds no order and
opens no way to money. What was set aside or taken away is not suggested again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from inbox import identities
from inbox.identities import OrderKeys
from inbox.matching import Matching
from inbox.models import Identity, IdentityKind
from orders import names as order_names
from orders.addresses import normal_phone
from orders.models import Order

_AT_MOST: Final = 5
_ORDERS_READ: Final = 20
_NAMES_READ: Final = 10
# "#1043", "order 1043", "EU-1043": what may be an order's name.
_NAME: Final = re.compile(r"#?(?:[A-Z]{1,4}-?)?\d{3,10}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """`is_claim`: all that speaks for it is what the customer wrote."""

    kind: IdentityKind
    value: str
    shown: str
    evidence: str
    is_claim: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.kind.value, self.value

    @property
    def kind_label(self) -> str:
        return str(self.kind.label)


def suggestions(
    known: Sequence[Identity], keys: OrderKeys, matching: Matching, text: str
) -> tuple[Suggestion, ...]:
    """`known`: all of the contact's identities, those taken away too; `keys`: of the others. Two
    queries at most."""
    seen = {(i.kind, i.value) for i in known}
    found: dict[tuple[str, str], Suggestion] = {}
    for suggestion in (*_of_customers(matching), *_of_orders(keys, matching, text)):
        if suggestion.key not in seen:
            found.setdefault(suggestion.key, suggestion)
    if not found:
        return ()
    any_of = Q(pk__in=[])
    for kind, value in found:
        any_of |= Q(kind=kind, value=value)
    taken = set(Identity.objects.active().filter(any_of).values_list("kind", "value"))
    return tuple(s for key, s in found.items() if key not in taken)[:_AT_MOST]


def _of_customers(matching: Matching) -> Iterator[Suggestion]:
    for match in matching.matches:
        words = {"name": match.head.name, "store": match.head.store_name}
        evidence = _("the Shopify customer %(name)s at %(store)s has it") % words
        yield from _addresses(match.head.email, match.head.phone, evidence)


def _of_orders(keys: OrderKeys, matching: Matching, text: str) -> Iterator[Suggestion]:
    pairs = {match.head.pair for match in matching.matches}
    names = _names(text)
    wanted = Q(name_key__in=[order_names.key(name) for name in names])
    for store_id, gid in pairs:
        wanted |= Q(store_id=store_id, customer_gid=gid)
    if not names and not pairs:
        return
    orders = Order.objects.visible().filter(wanted).select_related("store")
    for order in orders.order_by("-placed_at")[:_ORDERS_READ]:
        words = {"order": order.name, "store": order.store}
        if (order.store_id, order.customer_gid) in pairs:
            evidence = _("order %(order)s of the same Shopify customer at %(store)s") % words
            yield from _addresses(order.email, order.phone, evidence)
        elif not _is_own(order, keys):
            evidence = _("order %(order)s at %(store)s, named in the conversation") % words
            yield from _claims(order, evidence)


def _claims(order: Order, evidence: str) -> Iterator[Suggestion]:
    """The address by which the named order would be found: one is enough."""
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
        (IdentityKind.EMAIL, identities.normal_email(email)),
        (IdentityKind.PHONE, normal_phone(phone)),
    )
    for kind, value in pairs:
        if value:
            yield Suggestion(
                kind=kind, value=value, shown=value, evidence=evidence, is_claim=is_claim
            )


def _names(text: str) -> list[str]:
    found: Iterable[str] = dict.fromkeys(match.group() for match in _NAME.finditer(text))
    bare = [name.lstrip("#") for name in found][:_NAMES_READ]
    return [*bare, *(f"#{name}" for name in bare)]
