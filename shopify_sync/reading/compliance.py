"""Handlers for topics that delete data, which all need more proof than a signature.

Shopify's HMAC covers the body but not the headers, so anyone who has one genuine body can send
it under any topic. Therefore the body must name this very shop and have its topic's exact shape.
An uninstallation and the deletion of a shop count only if Shopify itself refuses our access.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from core.json_types import JsonObject
from orders import privacy
from orders.models import PrivacyKind, Store
from orders.privacy.registry import Scope
from shopify_sync.api.errors import (
    NeedsAdmin,
    NotApplied,
)
from shopify_sync.models import ShopConnection, WebhookEvent
from shopify_sync.stores.clients import client_for

# Shopify's answers once the app is gone; 402, 404 and 423 mean a shop in trouble.
_REFUSALS: Final = frozenset({401, 403})
_SHOP_KEYS: Final = {"shop_id", "shop_domain"}


class UnprovenBody(Exception):
    """A signed body that doesn't have its topic's shape, or names another shop."""


def is_refused(store: Store) -> bool:
    """Ask Shopify now whether it refuses our access.

    Raises ShopifyError for any answer that is neither a clear yes nor a clear no. Must not run in
    a transaction.
    """
    if not ShopConnection.objects.filter(store=store).exists():
        raise NotApplied(_("The store has no connection to test."))
    try:
        client_for(store).read("ShopInfo", {})
    except NeedsAdmin as error:
        if error.status in _REFUSALS:
            return True
        raise
    return False


def customer_number(event: WebhookEvent) -> int | None:
    """Return Shopify's numeric ID of the customer in a customers/… or checkouts/… webhook.

    None for other topics and for a body that names no customer or cannot be read.
    """
    if not event.topic.startswith(("customers/", "checkouts/")):
        return None
    try:
        body = json.loads(event.body_bytes)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    is_customer = event.topic.startswith("customers/") and not isinstance(
        body.get("customer"), dict
    )
    customer = body if is_customer else body.get("customer")
    number = customer.get("id") if isinstance(customer, dict) else None
    return number if _is_id(number) else None


def _uninstalled(store: Store, body: JsonObject, now: datetime) -> None:
    if body.get("myshopify_domain") != store.domain or "id" not in body:
        raise UnprovenBody("app/uninstalled is about another shop")
    if is_refused(store):
        privacy.note_uninstalled(store, now=now)


def _redact_customer(store: Store, body: JsonObject, now: datetime) -> None:
    scope = _customer_scope(store, body, {"customer", "orders_to_redact"}, "orders_to_redact")
    _ask(store, PrivacyKind.CUSTOMER_REDACT, body, scope, now)


def _export_customer(store: Store, body: JsonObject, now: datetime) -> None:
    keys = {"customer", "orders_requested", "data_request"}
    scope = _customer_scope(store, body, keys, "orders_requested")
    _ask(store, PrivacyKind.DATA_REQUEST, body, scope, now)


def _redact_shop(store: Store, body: JsonObject, now: datetime) -> None:
    _check_shape(store, body, set())
    scope = Scope(store_id=store.pk, is_whole_store=True)
    _ask(store, PrivacyKind.SHOP_REDACT, body, scope, now)


# Topic -> handler. Handlers raise UnprovenBody and are called outside any transaction.
HANDLERS: Final[dict[str, Callable[[Store, JsonObject, datetime], None]]] = {
    "app/uninstalled": _uninstalled,
    "customers/data_request": _export_customer,
    "customers/redact": _redact_customer,
    "shop/redact": _redact_shop,
}


def _ask(store: Store, kind: PrivacyKind, body: JsonObject, scope: Scope, now: datetime) -> None:
    fingerprint = json.dumps(body, sort_keys=True)
    privacy.ask(store=store, kind=kind, fingerprint=fingerprint, scope=scope, now=now)


def _check_shape(store: Store, body: JsonObject, keys: set[str]) -> None:
    """Require exactly the topic's keys, because a body of another topic has different ones."""
    if set(body) != _SHOP_KEYS | keys:
        raise UnprovenBody("the body doesn't have this topic's shape")
    if body["shop_domain"] != store.domain:
        raise UnprovenBody("the body names another shop")


def _customer_scope(store: Store, body: JsonObject, keys: set[str], orders_key: str) -> Scope:
    _check_shape(store, body, keys)
    customer, orders = body["customer"], body[orders_key]
    if not isinstance(customer, dict) or not _is_id(customer.get("id")):
        raise UnprovenBody("the body names no customer")
    if not isinstance(orders, list) or not all(_is_id(number) for number in orders):
        raise UnprovenBody("the body's orders aren't IDs")
    email, phone = customer.get("email"), customer.get("phone")
    return Scope(
        store_id=store.pk,
        customer_gids=(f"gid://shopify/Customer/{customer['id']}",),
        emails=(email.strip().lower(),) if isinstance(email, str) and email.strip() else (),
        phones=("".join(phone.split()),) if isinstance(phone, str) and phone.strip() else (),
        order_legacy_ids=tuple(orders),
    )


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63
