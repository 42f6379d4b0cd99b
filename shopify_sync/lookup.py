"""Finding a customer and their orders in Shopify itself: while a back-fill has not brought them,
and when an agent asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from orders import sweeping
from orders.models import Order, Store
from orders.services import mark_customer_dirty, mark_dirty
from shopify_sync import ingest
from shopify_sync.client import AdminClient
from shopify_sync.connections import client_for, note_error
from shopify_sync.errors import NeedsAdmin, ShopifyError

logger = logging.getLogger(__name__)


def find_orders(*, emails: Iterable[str], phones: Iterable[str]) -> int:
    """Ask every active store for orders of these addresses, and read those we do not hold;
    returns how many were read. A store that cannot be asked is skipped and noted."""
    found = 0
    wanted = list(emails), list(phones)

    def search(store: Store) -> None:
        nonlocal found
        found += _search(store, *wanted)

    sweeping.each(Store.objects.active(), search, stops=(SoftTimeLimitExceeded,))
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
            answer = client.read("CustomersByAddress", {"query": query})
            for node in (answer.get("customers") or {}).get("nodes") or []:
                if node:
                    mark_customer_dirty(store=store, gid=str(node["id"]), now=now)
    except ShopifyError as error:
        logger.warning("%s could not be searched for customers: %s", store.domain, error)


def _ask(client: AdminClient, emails: list[str], phones: list[str]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for email in filter(_is_plain, emails):
        answer = client.read("OrdersByEmail", {"query": f"email:{_quoted(email)}"})
        nodes += (answer.get("orders") or {}).get("nodes") or []
    for phone in filter(_is_plain, phones):
        answer = client.read("OrdersByPhone", {"query": f"phone:{_quoted(phone)}"})
        for customer in (answer.get("customers") or {}).get("nodes") or []:
            nodes += ((customer or {}).get("orders") or {}).get("nodes") or []
    return [node for node in nodes if node]


def _quoted(value: str) -> str:
    """A value of Shopify's search syntax: o'brien@example.ie has to stand in double quotes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _is_plain(value: str) -> bool:
    """Whether it can stand in quotes in Shopify's search syntax. No address needs more."""
    return not set(value) & set('"\\*()') and value.isprintable()


def _read_new(store: Store, nodes: list[dict[str, Any]]) -> int:
    wanted = {str(node["id"]): int(node["legacyResourceId"]) for node in nodes}
    held = Order.objects.filter(store=store, gid__in=wanted).exclude(document="")
    for gid in held.values_list("gid", flat=True):
        del wanted[gid]
    now = timezone.now()
    ids = [mark_dirty(store=store, gid=g, legacy_id=n, now=now) for g, n in wanted.items()]
    return sum(ingest.fetch_order(pk) for pk in ids)
