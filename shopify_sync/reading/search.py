"""Finding a customer and their orders in Shopify itself: while a back-fill has not brought them,
and when an agent asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from core import sweeps
from orders.models import Order, Store
from orders.services import mark_customer_dirty, mark_dirty
from shopify_sync import mapping
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
)
from shopify_sync.reading import orders
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_READ_AT_ONCE: Final = 20
# So many pages of fifty of one search. No person has more.
_PAGES_AT_MOST: Final = 100


def find_orders(*, emails: Iterable[str], phones: Iterable[str]) -> int:
    """Ask every active store for orders of these addresses, and read those we do not hold: the
    newest now, the rest soon. Returns how many were read. A store that cannot be asked is skipped
    and noted."""
    found = 0
    wanted = list(emails), list(phones)

    def search(store: Store) -> None:
        nonlocal found
        found += _search(store, *wanted)

    sweeps.each(Store.objects.active(), search, stops=(SoftTimeLimitExceeded,))
    return found


def _search(store: Store, emails: list[str], phones: list[str]) -> int:
    try:
        client = client_for(store)
        nodes = _ask(client, emails, phones)
    except NeedsAdmin as error:
        note_error(store, error, now=timezone.now())
        return 0
    except ShopifyError as error:
        logger.warning("%s could not be searched: %s", store.domain, error)
        return 0
    found = _read_new(store, nodes)
    _note_customers(store, client, emails, phones)
    return found


def _note_customers(
    store: Store, client: AdminClient, emails: list[str], phones: list[str]
) -> None:
    """Have the customers of these addresses read. What the app may not read of customers is the
    doctor's to tell: the orders are here."""
    now = timezone.now()
    queries = [f"email:{_quoted(email)}" for email in filter(_is_plain, emails)]
    queries += [f"phone:{_quoted(phone)}" for phone in filter(_is_plain, phones)]
    try:
        for query in queries:
            for node in _found(client, "CustomersByAddress", "customers", query=query):
                mark_customer_dirty(store=store, gid=str(node["id"]), now=now)
    except ShopifyError as error:
        logger.warning("%s could not be searched for customers: %s", store.domain, error)


def _ask(client: AdminClient, emails: list[str], phones: list[str]) -> list[Json]:
    """Every order of these addresses, the newest of each first."""
    nodes: list[Json] = []
    for email in filter(_is_plain, emails):
        nodes += _found(client, "OrdersByEmail", "orders", query=f"email:{_quoted(email)}")
    for phone in filter(_is_plain, phones):
        for customer in _found(
            client, "OrdersByPhone", "customers", query=f"phone:{_quoted(phone)}"
        ):
            first = customer.get("orders") or {}
            nodes += mapping.nodes(first)
            nodes += _further(client, "CustomerOrders", "customer", first, id=customer["id"])
    return nodes


def _found(client: AdminClient, document: str, connection: str, **variables: str) -> Iterator[Json]:
    """The objects of a search, page by page."""
    first = client.read(document, dict(variables)).get(connection) or {}
    yield from mapping.nodes(first)
    yield from _further(client, document, "", first, **variables)


def _further(
    client: AdminClient, document: str, owner: str, page: Json, **variables: str
) -> Iterator[Json]:
    """What comes after a page: of the connection at the root, or of the `owner`'s there."""
    for _page in range(_PAGES_AT_MOST):
        info = page.get("pageInfo") or {}
        if not info.get("hasNextPage") or not info.get("endCursor"):
            return
        data = client.read(document, {**variables, "after": info["endCursor"]})
        holder = (data.get(owner) or {}) if owner else data
        page = next((value for value in holder.values() if isinstance(value, dict)), {})
        yield from mapping.nodes(page)
    logger.warning("%s: more than %s pages, the rest was left out", document, _PAGES_AT_MOST)


def _quoted(value: str) -> str:
    """A value of Shopify's search syntax: o'brien@example.ie has to stand in double quotes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _is_plain(value: str) -> bool:
    """Whether it can stand in quotes in Shopify's search syntax. No address needs more."""
    return not set(value) & set('"\\*()') and value.isprintable()


def _read_new(store: Store, nodes: list[Json]) -> int:
    wanted = {str(node["id"]): int(node["legacyResourceId"]) for node in nodes}
    held = Order.objects.filter(store=store, gid__in=wanted).exclude(document="")
    for gid in held.values_list("gid", flat=True):
        del wanted[gid]
    now = timezone.now()
    ids = [mark_dirty(store=store, gid=g, legacy_id=n, now=now) for g, n in wanted.items()]
    # Somebody waits: the sweep over what is dirty reads the others.
    return sum(orders.fetch_order(pk) for pk in ids[:_READ_AT_ONCE])
