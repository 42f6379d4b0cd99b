"""Search Shopify itself for a customer's orders.

Used while a back-fill hasn't imported them yet, and when an agent asks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from core.database import sweeps
from core.json_types import JsonObject
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

Json = JsonObject
_READ_AT_ONCE: Final = 20
# Pages of 50 per search; no person has more orders.
_PAGES_AT_MOST: Final = 100


def find_orders(*, emails: Iterable[str], phones: Iterable[str]) -> int:
    """Search every active store for orders of these addresses and read those we don't have.

    The first _READ_AT_ONCE of each store are read now, the rest soon by a sweep. Returns how many
    were read. A store that cannot be searched is skipped, and the error is recorded.
    """
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
        logger.warning("could not search %s: %s", store.domain, error)
        return 0
    found = _read_new(store, nodes)
    _note_customers(store, client, emails, phones)
    return found


def _note_customers(
    store: Store, client: AdminClient, emails: list[str], phones: list[str]
) -> None:
    """Mark the customers with these addresses dirty.

    Failing here isn't fatal: the orders have been found, and the doctor reports a missing scope.
    """
    now = timezone.now()
    queries = [f"email:{_quoted(email)}" for email in filter(_is_plain, emails)]
    queries += [f"phone:{_quoted(phone)}" for phone in filter(_is_plain, phones)]
    try:
        for query in queries:
            for node in _search_pages(client, "CustomersByAddress", "customers", query=query):
                mark_customer_dirty(store=store, gid=str(node["id"]), now=now)
    except ShopifyError as error:
        logger.warning("could not search %s for customers: %s", store.domain, error)


def _ask(client: AdminClient, emails: list[str], phones: list[str]) -> list[Json]:
    """Return every order of these addresses, the newest of each address first."""
    nodes: list[Json] = []
    for email in filter(_is_plain, emails):
        nodes += _search_pages(client, "OrdersByEmail", "orders", query=f"email:{_quoted(email)}")
    for phone in filter(_is_plain, phones):
        for customer in _search_pages(
            client, "OrdersByPhone", "customers", query=f"phone:{_quoted(phone)}"
        ):
            first = customer.get("orders") or {}
            nodes += mapping.nodes(first)
            nodes += _next_pages(client, "CustomerOrders", "customer", first, id=customer["id"])
    return nodes


def _search_pages(
    client: AdminClient, document: str, connection: str, **variables: str
) -> Iterator[Json]:
    """Yield the objects a search finds, on all pages."""
    first = client.read(document, dict(variables)).get(connection) or {}
    yield from mapping.nodes(first)
    yield from _next_pages(client, document, "", first, **variables)


def _next_pages(
    client: AdminClient, document: str, owner: str, page: Json, **variables: str
) -> Iterator[Json]:
    """Yield the objects after `page` of a connection at the root, or inside the object `owner`."""
    for _page in range(_PAGES_AT_MOST):
        info = page.get("pageInfo") or {}
        if not info.get("hasNextPage") or not info.get("endCursor"):
            return
        data = client.read(document, {**variables, "after": info["endCursor"]})
        holder = (data.get(owner) or {}) if owner else data
        page = next((value for value in holder.values() if isinstance(value, dict)), {})
        yield from mapping.nodes(page)
    logger.warning("%s: more than %s pages; ignoring the rest", document, _PAGES_AT_MOST)


def _quoted(value: str) -> str:
    """Quote a value for Shopify's search syntax; o'brien@example.ie needs double quotes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _is_plain(value: str) -> bool:
    """Return whether a value is safe inside quotes in Shopify's search syntax.

    Others are skipped; no real address or phone number needs the excluded characters.
    """
    return not set(value) & set('"\\*()') and value.isprintable()


def _read_new(store: Store, nodes: list[Json]) -> int:
    wanted = {str(node["id"]): int(node["legacyResourceId"]) for node in nodes}
    held = Order.objects.filter(store=store, gid__in=wanted).exclude(document="")
    for gid in held.values_list("gid", flat=True):
        del wanted[gid]
    now = timezone.now()
    ids = [mark_dirty(store=store, gid=g, legacy_id=n, now=now) for g, n in wanted.items()]
    # An agent may be waiting, so read only a few here; the sweep reads the other dirty orders.
    return sum(orders.fetch_order(pk) for pk in ids[:_READ_AT_ONCE])
