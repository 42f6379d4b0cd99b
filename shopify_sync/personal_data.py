"""Register this app's personal data for privacy requests and retention: raw webhook bodies."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from functools import lru_cache

from django.db.models import Q

from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Kind,
    Mask,
    Rows,
    Scope,
    Whose,
    Wiper,
)
from orders.privacy.retention import (
    Rule,
    register,
)
from shopify_sync.models import EventState, ShopConnection, SyncCursor, WebhookEvent


# Cached, because it's called with the same person for every row.
@lru_cache(maxsize=4)
def _person_pattern(
    gids: tuple[str, ...], orders: tuple[int, ...], addresses: tuple[str, ...]
) -> re.Pattern[str] | None:
    """Return a pattern for anything in a body that identifies the person; None for nothing.

    IDs match as whole numbers, email addresses and phone numbers anywhere.
    """
    numbers = [gid.rsplit("/", 1)[-1] for gid in gids] + [str(number) for number in orders]
    parts = [rf"(?<!\d){number}(?!\d)" for number in numbers if number.isdigit()]
    parts += [re.escape(address.lower()) for address in addresses]
    return re.compile("|".join(parts)) if parts else None


def _names_person(event: WebhookEvent, scope: Scope) -> bool:
    if not event.body_bytes:
        return False
    if scope.is_whole_store or event.order_id in scope.order_ids:
        return True
    if event.customer_number in _numbers(scope):
        return True
    addresses = (*scope.emails, *scope.phones)
    pattern = _person_pattern(scope.customer_gids, scope.order_legacy_ids, addresses)
    if pattern is None:
        return False
    text = event.body_bytes.decode(errors="replace")
    if "\\u" in text:
        # JSON may escape the @ and so hide an address from the pattern.
        try:
            text = json.dumps(json.loads(text), ensure_ascii=False)
        except (ValueError, RecursionError):
            return True
    return pattern.search(text.lower()) is not None


def _numbers(scope: Scope) -> list[int]:
    texts = [gid.rsplit("/", 1)[-1] for gid in scope.customer_gids]
    return [int(text) for text in texts if text.isdecimal()]


def _processed(scope: Scope) -> Rows:
    processed = WebhookEvent.objects.exclude(state=EventState.WAITING).exclude(body=b"")
    own = processed.filter(store_id=scope.store_id)
    if scope.is_whole_store:
        return own
    # Bodies linked to an order or a customer are found by that; the few others are searched.
    unknown = Q(order_id=None, customer_number=None)
    theirs = Q(order_id=None, customer_number__in=_numbers(scope))
    return own.filter(Q(order_id__in=scope.order_ids) | theirs | unknown)


def _unprocessed(scope: Scope) -> Rows:
    # A waiting body is still needed: usually for seconds, for hours if it keeps failing.
    return WebhookEvent.objects.filter(store_id=scope.store_id, state=EventState.WAITING)


def _digest(event: WebhookEvent) -> str:
    return event.body_sha256 or hashlib.sha256(event.body_bytes).hexdigest()


BODIES = Holding(
    model=WebhookEvent,
    whose=Whose.CUSTOMER,
    of=_processed,
    holds=_names_person,
    waits_for=_unprocessed,
    fields={
        # The digest stays as proof of what was delivered.
        "body_sha256": Mask(Kind.DOCUMENT, rewrite=_digest),
        "body": Mask(Kind.DOCUMENT, value=b""),
        "error": Mask(Kind.TEXT),
    },
)
REGISTRY.add(BODIES)


def _wipe(model: type[WebhookEvent | SyncCursor | ShopConnection]) -> Wiper:
    def wipe(scope: Scope, limit: int) -> int:
        ids = list(
            model.objects.filter(store_id=scope.store_id).values_list("pk", flat=True)[:limit]
        )
        model.objects.filter(pk__in=ids).delete()
        return len(ids)

    return wipe


REGISTRY.wipers |= {
    "shopify_sync.WebhookEvent": _wipe(WebhookEvent),
    "shopify_sync.SyncCursor": _wipe(SyncCursor),
    # With its token and secret: there is no shop left to connect to.
    "shopify_sync.ShopConnection": _wipe(ShopConnection),
}


def _old_bodies(cutoff: datetime) -> Rows:
    processed = WebhookEvent.objects.exclude(state=EventState.WAITING)
    return processed.filter(received_at__lt=cutoff).exclude(body=b"", error="")


register(
    Rule(
        name="webhook bodies",
        setting="RETENTION_WEBHOOK_BODY_DAYS",
        due=_old_bodies,
        apply=lambda rows: BODIES.mask(rows),
        by="received_at",
    )
)

_HEADER = "a header of Shopify's, without a person in it"
_SEALED = "a secret of the shop's, encrypted"
REGISTRY.declare(
    "shopify_sync.WebhookEvent",
    webhook_id=_HEADER,
    event_id=_HEADER,
    topic=_HEADER,
    api_version=_HEADER,
    triggered_at=_HEADER,
)
_OURS = "a sentence of ours"
REGISTRY.declare(
    "shopify_sync.ShopConnection",
    access_token=_SEALED,
    api_secret=_SEALED,
    previous_api_secret=_SEALED,
    refresh_token=_SEALED,
    previous_refresh_token=_SEALED,
    client_id="the app's public name",
    findings=_OURS,
    scopes="names of permissions",
    last_error=_OURS,
)
REGISTRY.declare(
    "shopify_sync.Backfill",
    operation_gid="an operation's id",
    error=_OURS,
    url="where Shopify keeps the file for a week; emptied when it is read",
)
REGISTRY.declare("shopify_sync.Drift", order_gid="an order's id")
_PLACE = "where a run goes on: times, numbers of orders and Shopify's place in a list"
REGISTRY.declare(
    "shopify_sync.Comparison", refunds="sums by currency", progress=_PLACE, error=_OURS
)
REGISTRY.declare("shopify_sync.SyncCursor", progress=_PLACE)
