"""Find contacts by name or address, or by an order of theirs.

Each way of finding is a query of its own that an index serves (see orders.search).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet

from inbox import normalization
from inbox.contacts import identities
from inbox.models import Claim, Contact, Identity, IdentityKind
from inbox.visibility import Scope
from orders import search as order_search

# What finds more contacts than this doesn't say who is meant.
AT_MOST: Final = 1000
_ORDERS: Final = 40
# Shorter parts of an address or number are in too many to be of use.
_PART_LEAST: Final = 5
_DIALED: Final = re.compile(r"[\d\s()+/.-]+")
_ADDRESSES: Final = (IdentityKind.EMAIL, IdentityKind.PHONE)


@dataclass(frozen=True, slots=True)
class Found:
    """The contacts that a search is about.

    `ids` are those found by an address or an order, and by name, too, unless too many have it:
    then `names` are the words in them.
    """

    ids: frozenset[int]
    names: tuple[str, ...] = ()


def find(query: str, *, scope: Scope) -> Found:
    """Find contacts by name, email, phone, or the number or parcel of one of their orders.

    Ownership of orders by the same rule as in the panel; orders are those of the scope.
    """
    names: tuple[str, ...] = ()
    if email := normalization.email(query):
        # The beginning of a longer one, too, as long as it's being typed.
        ids = _ids(_known().filter(value__startswith=email), scope)
        ids |= _ids(Claim.objects.understood().filter(value=email), scope)
    else:
        ids = _by_address(query, scope) | _by_order(query, scope)
        words = tuple(query.split())
        rows = Contact.objects.filter(_named(words)).values_list("pk", flat=True)
        theirs = list(rows[: AT_MOST + 1])
        if len(theirs) > AT_MOST:
            names = words
        else:
            ids |= set(theirs)
    return Found(frozenset(ids), names)


def namesakes(words: Iterable[str], among: Collection[int]) -> frozenset[int]:
    """Return the IDs of those contacts whose names have all of these words."""
    rows = Contact.objects.filter(_named(words), pk__in=among)
    return frozenset(rows.values_list("pk", flat=True))


def some_named(words: Iterable[str]) -> frozenset[int]:
    """Return the IDs of AT_MOST contacts whose names have all of these words; none without words."""
    if not words:
        return frozenset()
    rows = Contact.objects.filter(_named(words)).values_list("pk", flat=True)
    return frozenset(rows[:AT_MOST])


def _named(words: Iterable[str]) -> Q:
    """Match names with all of these words, or parts of words.

    Trigrams find nothing by two letters, except at the beginning.
    """
    words = list(words)
    if all(len(word) < order_search.NAME_LEAST for word in words):
        return Q(name__istartswith=" ".join(words))
    return Q(*[("name__icontains", word) for word in words])


def _known() -> QuerySet[Identity]:
    return Identity.objects.active().filter(kind__in=_ADDRESSES)


def _by_address(query: str, scope: Scope) -> set[int]:
    """Find by the beginning of an address, a phone number as dialed, or a part of either."""
    known = _known()
    claims = Claim.objects.understood()
    text = query.lower()
    # Unproven addresses find the conversation, though they never find orders.
    found = _ids(known.filter(value__startswith=text), scope)
    if _DIALED.fullmatch(query):
        text = re.sub(r"[^\d+]", "", query)
        if number := normalization.phone(query):
            found |= _ids(known.filter(value=number), scope)
            return found | _ids(claims.filter(value=number), scope)
        # As dialed, without the country's code.
        text = text.lstrip("+0")
    if len(text) >= _PART_LEAST and " " not in text:
        found |= _ids(known.filter(value__icontains=text), scope)
        found |= _ids(claims.filter(value__icontains=text), scope)
    return found


def _by_order(query: str, scope: Scope) -> set[int]:
    orders = order_search.find_by_number(query, among=scope.orders(), at_most=_ORDERS)
    return set(identities.contacts_of_many(orders)) if orders else set()


def _ids(rows: QuerySet[Identity] | QuerySet[Claim], scope: Scope) -> set[int]:
    """Return the contacts that have these addresses; at most AT_MOST of those in the scope."""
    if scope.teams is not None:
        # First, or contacts of other teams would use up the limit.
        rows = rows.filter(contact__in=scope.contacts())
    return set(rows.order_by().values_list("contact_id", flat=True)[:AT_MOST])
