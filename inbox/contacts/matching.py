"""Which Shopify customer a contact is, how we know, and where that is uncertain.

A contact's orders in a store are certain if an agent linked their customer explicitly, or if there
is only one candidate and none of its addresses belongs to another contact. Until then the orders
are shown but no money moves: `Matching.refusal` enforces that for pages and the API alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q
from django.utils.translation import gettext as _

from inbox.contacts import identities
from inbox.models import Contact, Identity, IdentityKind
from orders.errors import Refusal
from orders.models import Order
from orders.panels import FoundOrders
from orders.panels import customers as heads
from orders.panels.customers import (
    CustomerHead,
    Pair,
)

if TYPE_CHECKING:
    from inbox.contacts.identities import OrderKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A customer who certainly is the contact, and the identity that matched.

    `identity` is None if an order led to the customer: the order carries the contact's address,
    while the customer record has a different one.
    """

    head: CustomerHead
    identity: Identity | None

    @property
    def how(self) -> str:
        """How the match was made, for display."""
        return (
            str(self.identity.get_kind_display())
            if self.identity
            else _("Email address on an order")
        )

    @property
    def is_by_agent(self) -> bool:
        """Whether an explicit link, rather than an address, led to the customer."""
        return self.identity is not None and self.identity.is_shopify_customer


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A customer who may be the contact; hints are masked because it may be someone else."""

    value: str
    name: str
    hints: tuple[str, ...]
    order_count: int | None
    # Another contact is linked to it; that link has to be removed first.
    is_taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The question "Which customer is this?" for one store."""

    store_id: int
    store_name: str
    candidates: tuple[Candidate, ...]
    why: str

    @property
    def can_be_all(self) -> bool:
        """Whether "all of them" is a possible answer."""
        return len(self.candidates) > 1 and not any(c.is_taken for c in self.candidates)


@dataclass(frozen=True, slots=True)
class Matching:
    """The certain customers of a contact, and an open question for each uncertain store."""

    matches: tuple[Match, ...]
    questions: tuple[Question, ...]
    _linked: frozenset[Pair]
    # Addresses, as (kind, value), that other contacts hold.
    _foreign: frozenset[tuple[str, str]]
    # Addresses that an agent took from this contact or set aside.
    _refused: frozenset[tuple[str, str]] = frozenset()

    @property
    def heads(self) -> tuple[CustomerHead, ...]:
        """The customers that are certainly the contact's."""
        return tuple(match.head for match in self.matches)

    def refusal(self, order: Order) -> Refusal | None:
        """Return why this order is not certainly the contact's; None if it is.

        Every entry point that moves money applies this rule. Ask it only about orders that the
        matching was built for.
        """
        own = (order.store_id, order.customer_gid)
        is_linked = own in self._linked
        if is_linked and not self._is_foreign(_customer(*own)):
            return None
        if any(question.store_id == order.store_id for question in self.questions):
            return _ambiguous()
        keys = [] if is_linked else _keys_of_order(order)
        if self._is_foreign(*keys):
            return _shared()
        if any(key in self._refused for key in keys):
            return _taken_away()
        return None

    def _is_foreign(self, *keys: tuple[str, str]) -> bool:
        return any(key in self._foreign for key in keys)


def match(
    contact: Contact | None,
    active: Sequence[Identity],
    keys: OrderKeys,
    found: FoundOrders | None = None,
) -> Matching:
    """Match a contact to Shopify customers. `contact` is None for a help desk's unknown customer.

    `active` are the contact's identities that count, `keys` those of all its identities, removed
    ones included. Two queries if `found` holds all of the contact's orders, else three.
    `Matching.refusal` may be asked about the orders in `found` only.
    """
    orders = found.orders if found else ()
    pairs = {*keys.customer_gids}
    if found is None or not found.is_all:
        pairs |= _pairs(keys)
    else:
        pairs |= {(o.store_id, o.customer_gid) for o in orders if o.customer_gid}
    customers = heads.customers_for(
        pairs=pairs, emails=keys.emails, phones=keys.phones, stores=keys.stores
    )
    shown = [heads.head(customer) for customer in customers]
    asked = {key for head in shown for key in _keys(head)}
    # The orders' customers too: one that we know from orders alone is not among the heads above.
    asked |= {key for order in orders for key in _keys_of_order(order)}
    foreign = _held_by_others(contact, asked)
    linked = frozenset(keys.customer_gids)
    matches: list[Match] = []
    questions: list[Question] = []
    for store_id in dict.fromkeys(head.store_id for head in shown):
        here = [head for head in shown if head.store_id == store_id]
        named = [head for head in here if head.pair in linked]
        candidates = named or here
        taken = {head.pk for head in candidates if _customer(*head.pair) in foreign}
        shared = not named and any(key in foreign for head in here for key in _keys(head))
        # An address leads to a customer that, according to an agent, is another person.
        refused = not named and any(key in keys.refused for head in here for key in _keys(head))
        if taken or shared or refused or (len(here) > 1 and not named):
            questions.append(_question(candidates, taken, is_refused=refused))
        else:
            matches += [Match(head=h, identity=_led_by(h, active)) for h in candidates]
    return Matching(tuple(matches), tuple(questions), linked, foreign, keys.refused)


def matching_of(contact: Contact, order: Order) -> Matching:
    """Match from the database, for entry points that have just the contact and one order."""
    known = list(contact.identities.all())
    active = identities.active_of(known)
    return match_order(contact, active, identities.keys_of(known), order)


def match_order(
    contact: Contact | None, active: Sequence[Identity], keys: OrderKeys, order: Order
) -> Matching:
    """Match for a single order, to decide what may be done to it."""
    # Not marked as all orders: the customers of the contact's other orders count as well.
    return match(contact, active, keys, FoundOrders((order,), has_more=True))


def _pairs(keys: OrderKeys) -> set[Pair]:
    found = Order.objects.visible().at(keys.stores).of_customer(**keys.as_kwargs())
    found = found.exclude(customer_gid="")
    return set(found.order_by().values_list("store_id", "customer_gid").distinct())


def _customer(store_id: int, gid: str) -> tuple[str, str]:
    return IdentityKind.SHOPIFY_CUSTOMER.value, identities.customer_value(store_id, gid)


def _keys(head: CustomerHead) -> list[tuple[str, str]]:
    """Return the identity keys of a customer; another contact may hold any of them."""
    keys = [
        _customer(*head.pair),
        (IdentityKind.EMAIL.value, head.email),
        (IdentityKind.PHONE.value, head.phone),
    ]
    return [(kind, value) for kind, value in keys if value]


def _keys_of_order(order: Order) -> list[tuple[str, str]]:
    """Return the identity keys of an order; another contact may hold any of them."""
    keys = [(IdentityKind.EMAIL.value, order.email), (IdentityKind.PHONE.value, order.phone)]
    if order.customer_gid:
        keys.append(_customer(order.store_id, order.customer_gid))
    return [(kind, value) for kind, value in keys if value]


def _held_by_others(
    contact: Contact | None, keys: set[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    by_kind: dict[str, list[str]] = {}
    for kind, value in sorted(keys):
        by_kind.setdefault(kind, []).append(value)
    if not by_kind:
        return frozenset()
    any_of = Q(pk__in=[])
    for kind, values in by_kind.items():
        any_of |= Q(kind=kind, value__in=values)
    others = Identity.objects.active().filter(any_of)
    if contact:
        others = others.exclude(contact=contact)
    return frozenset(others.values_list("kind", "value"))


def _led_by(head: CustomerHead, active: Sequence[Identity]) -> Identity | None:
    """Return the identity that led to a customer, strongest first: link, email, phone."""
    wanted = [
        _customer(*head.pair),
        (IdentityKind.EMAIL.value, head.email),
        (IdentityKind.PHONE.value, head.phone),
    ]
    for key in wanted:
        for identity in active:
            if (identity.kind, identity.value) == key:
                return identity
    links = [i for i in active if i.is_shopify_customer]
    # The link names the customer that was merged into this one.
    return next((i for i in links if i.value.startswith(f"{head.store_id}:")), None)


def _question(candidates: Sequence[CustomerHead], taken: set[int], *, is_refused: bool) -> Question:
    first = candidates[0]
    why = _("More than one customer of %(store)s matches this contact.")
    if is_refused:
        why = _(
            "An agent removed a customer of %(store)s, or one of that customer’s addresses, "
            "from this contact."
        )
    elif len(candidates) == 1:
        why = _("An address of this %(store)s customer also belongs to another contact.")
    return Question(
        store_id=first.store_id,
        store_name=first.store_name,
        candidates=tuple(
            Candidate(
                value=identities.customer_value(*head.pair),
                name=head.name or head.number,
                hints=tuple(
                    hint
                    for hint in (heads.masked_email(head.email), heads.masked_phone(head.phone))
                    if hint
                ),
                order_count=head.order_count,
                is_taken=head.pk in taken,
            )
            for head in candidates
        ),
        why=why % {"store": first.store_name},
    )


def _ambiguous() -> Refusal:
    return Refusal(
        "ambiguous_customer",
        _("It’s not clear which Shopify customer this contact is."),
        _("Answer “Which customer is this?” in the conversation first."),
    )


def _shared() -> Refusal:
    return Refusal(
        "ambiguous_customer",
        _("An address on this order also belongs to another contact."),
        _("First remove the address from the contact it doesn’t belong to."),
    )


def _taken_away() -> Refusal:
    return Refusal(
        "ambiguous_customer",
        _("An address on this order was removed from this contact."),
        _("If it’s theirs, restore it on the contact’s page first."),
    )
