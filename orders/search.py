"""Find orders by what people say about them: a number, an address, a parcel, or a name.

Each way of finding is a query of its own that an index serves; together, with OR, PostgreSQL would
read whole tables. A search asks only in those ways that the words can mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import Exists, OuterRef, Q

from orders.models import Customer, Order, OrderTracking, tracking_key
from orders.models.orders import OrderQuerySet

_GID: Final = "gid://shopify/Order/"
# Shorter texts are no tracking numbers, and too short to find a name by its parts.
_TRACKING_LEAST: Final = 6
NAME_LEAST: Final = 3
# A more frequent name doesn't tell whose order is meant.
_NAMESAKES: Final = 200


def find(
    words: str, *, among: OrderQuerySet, email: str = "", phone: str = "", at_most: int
) -> list[Order]:
    """Return the orders that the words may mean, the surest way of finding first, then the newest.

    `email` and `phone` are the words as a normalized address, or "". `among` limits what may be
    found, before anything is cut off; its stores are loaded with the orders. At most seven queries.
    """
    found: dict[int, Order] = {}
    for rows in _ways(words, among, email=email, phone=phone):
        newest = rows.select_related("store").order_by("-placed_at", "-pk")
        for order in newest[:at_most]:
            found.setdefault(order.pk, order)
        if len(found) >= at_most:
            break
    return list(found.values())[:at_most]


def find_by_number(words: str, *, among: OrderQuerySet, at_most: int) -> list[int]:
    """Return the IDs of the orders with this number, or with a parcel of this number."""
    found = list(among.named(words).values_list("pk", flat=True)[:at_most])
    if parcels := _orders_of_parcel(words, among):
        found += among.filter(pk__in=parcels).values_list("pk", flat=True)
    return found


def _ways(words: str, among: OrderQuerySet, *, email: str, phone: str) -> Iterator[OrderQuerySet]:
    if email:
        yield among.filter(email=email)
        return
    yield among.named(words)
    number = words.removeprefix(_GID)
    if number.isascii() and number.isdigit() and len(number) < 19:
        yield among.filter(legacy_id=int(number))
    if parcels := _orders_of_parcel(words, among):
        yield among.filter(pk__in=parcels)
    if phone:
        yield among.filter(phone=phone)
    if known := _of_customers(words, among):
        yield among.filter(known)


def _orders_of_parcel(words: str, among: OrderQuerySet) -> list[int]:
    """Return the IDs of those orders with this tracking number, in any case and spacing."""
    key = tracking_key(words)
    if len(key) < _TRACKING_LEAST or not any(letter.isdigit() for letter in key):
        return []
    # SQLite would read every order for `order__in=among`.
    theirs = among.filter(pk=OuterRef("order"))
    rows = OrderTracking.objects.keyed(key).filter(Exists(theirs))
    return list(rows.values_list("order_id", flat=True)[:_NAMESAKES])


def _of_customers(words: str, among: OrderQuerySet) -> Q | None:
    """Return what finds those orders whose customers' names have all these words."""
    parts = words.split()
    # Trigrams find nothing by less.
    if max(map(len, parts), default=0) < NAME_LEAST or not all(map(_is_word, parts)):
        return None
    # Of these orders only, or customers of other stores would use up the limit.
    theirs = among.filter(store=OuterRef("store"), customer_gid=OuterRef("gid"))
    rows = Customer.objects.filter(Exists(theirs)).order_by()
    for part in parts:
        rows = rows.filter(name__icontains=part)
    match: Q | None = None
    by_store: dict[int, list[str]] = {}
    for store_id, gid in rows.values_list("store_id", "gid")[:_NAMESAKES]:
        by_store.setdefault(store_id, []).append(gid)
    for store_id, gids in by_store.items():
        of_store = Q(store_id=store_id, customer_gid__in=gids)
        match = of_store if match is None else match | of_store
    return match


def _is_word(part: str) -> bool:
    return any(letter.isalpha() for letter in part) and not any(map(str.isdigit, part))
