"""Update orders in our copy: stored event -> dirty order -> fresh read -> record_snapshot.

A payload is only a hint. Deliveries arrive late, twice, out of order and with stale bodies; a
fresh read makes all of that irrelevant.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F
from django.utils import timezone

from core.json_types import JsonObject
from orders.models import Order, Store
from orders.services import (
    keep_hidden,
    mark_dirty,
    mark_missing,
    note_checkout,
    record_snapshot,
)
from orders.snapshot import OrderSnapshot
from shopify_sync import mapping
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
    Throttled,
)
from shopify_sync.models import Backfill, EventState, WebhookEvent
from shopify_sync.reading import (
    complete_order,
    compliance,
    customers,
)
from shopify_sync.stores import read_window
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)

logger = logging.getLogger(__name__)

FETCH_LEASE: Final = timedelta(seconds=60)
# An order counts as deleted once two reads at least this far apart haven't found it.
CONFIRM_MISSING_AFTER: Final = timedelta(hours=1)
_EVENT_BACKOFF_S: Final = (5, 15, 60, 300, 900, 1800, 3600)
_FETCH_BACKOFF_S: Final = (2, 5, 10, 30, 60, 120, 300)


class PoisonBody(Exception):
    """A signed and stored body that isn't what its topic promises."""


def _order_id(body: JsonObject) -> int | None:
    return _integer(body.get("id"))


def _parent_order_id(body: JsonObject) -> int | None:
    nested = body.get("order")
    nested_id = nested.get("id") if isinstance(nested, dict) else None
    return _integer(body.get("order_id") or nested_id)


# The part of the topic before the slash -> where the body names the order. Topics without an
# entry are stored and counted, but cause no read of an order.
_ORDER_OF: Final[dict[str, Callable[[JsonObject], int | None]]] = {
    "orders": _order_id,
    "refunds": _parent_order_id,
    "order_transactions": _parent_order_id,
    "fulfillments": _parent_order_id,
    "fulfillment_events": _parent_order_id,
    "fulfillment_orders": _parent_order_id,
    "returns": _parent_order_id,
    "reverse_fulfillment_orders": _parent_order_id,
    "disputes": _parent_order_id,
}


def process_event(event_id: int) -> int | None:
    """Turn one stored delivery into a dirty order; return that order's ID, if any.

    Safe to run twice. If it fails, it's tried eight times with back-off and then marked dead,
    with its error, for an administrator to replay. It never blocks its order.
    """
    now = timezone.now()
    event = WebhookEvent.objects.select_related("store").filter(pk=event_id).first()
    if event is None or event.state != EventState.WAITING:
        return None
    try:
        order_id = _mark(event, now)
    except Exception:  # noqa: BLE001  whatever is wrong with a body is recorded on its row
        postpone(event, traceback.format_exc(limit=3), now)
        return None
    WebhookEvent.objects.filter(pk=event.pk).update(
        state=EventState.DONE,
        attempts=F("attempts") + 1,
        error="",
        order_id=order_id,
        customer_number=compliance.customer_number(event) if order_id is None else None,
    )
    return order_id


def fetch_order(order_id: int, *, is_background: bool = False) -> bool:
    """Read a dirty order from Shopify and store the result.

    Returns False if there's nothing to do, or if it failed and will be retried. A lease keeps it
    to one fetcher per order; no transaction is open during the read.
    """
    now = timezone.now()
    claimed = (
        Order.objects.due_for_reading(now=now)
        .filter(pk=order_id)
        .update(fetch_lease_until=now + FETCH_LEASE)
    )
    if not claimed:
        return False
    order = Order.objects.select_related("store").get(pk=order_id)
    try:
        return refresh(order, is_background=is_background)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  any failure postpones the row
        _fetch_failed(order, error)
        return False


def refresh(order: Order, *, is_background: bool = False) -> bool:
    """Read one order now and store the result, even if another worker is reading it too.

    Returns whether Shopify has the order. Raises ShopifyError and MalformedAnswer.
    """
    seq, started = order.dirty_seq, timezone.now()
    client = client_for(order.store, is_background=is_background)
    snapshot = read_snapshot(client, order.gid)
    now = timezone.now()
    if snapshot is None and read_window.may_be_hidden(order, client, now=now):
        keep_hidden(order=order, seq=seq)
        return False
    if snapshot is None:
        mark_missing(order=order, seq=seq, now=now, confirm_after=CONFIRM_MISSING_AFTER)
        return False
    if not record_snapshot(
        order=order, snapshot=snapshot, seq=seq, read_started_at=started, now=now
    ):
        # A later read by another worker is already stored; the caller should see that one.
        order.refresh_from_db()
    return True


def read_snapshot(client: AdminClient, gid: str) -> OrderSnapshot | None:
    """Read the order with complete lists; None if Shopify has no such order.

    Raises ShopifyError and MalformedAnswer.
    """
    data = complete_order.read_order(client, gid)
    return None if data is None else mapping.order_snapshot(data)


def mark(store: Store, legacy_id: int, now: datetime) -> int:
    """Mark an order dirty by Shopify's numeric ID; return our ID."""
    gid = f"gid://shopify/Order/{legacy_id}"
    return mark_dirty(store=store, gid=gid, legacy_id=legacy_id, now=now)


def may_name_an_order(topic: str) -> bool:
    """Return whether deliveries of this topic are about an order."""
    return topic.split("/", 1)[0] in _ORDER_OF


def named_order(event: WebhookEvent) -> int | None:
    """Return Shopify's numeric ID of the order in a delivery; None if it names none.

    The topic must be one that `may_name_an_order`. Raises PoisonBody for an unreadable body, or
    if an orders/… or refunds/… body names no order.
    """
    legacy_id = _ORDER_OF[event.topic.split("/", 1)[0]](_content(event))
    if legacy_id is None and event.topic.startswith(("orders/", "refunds/")):
        raise PoisonBody("names no order")
    return legacy_id


def _mark(event: WebhookEvent, now: datetime) -> int | None:
    if handle := compliance.HANDLERS.get(event.topic):
        handle(event.store, _content(event), now)
        return None
    if event.topic == "bulk_operations/finish":
        Backfill.objects.open().filter(store=event.store).update(next_step_at=now)
        return None
    if event.topic.startswith("customers/"):
        # shopify.app.toml may subscribe to more topics than we do; ignore those without an ID.
        customers.take_hint(event.store, event.topic, _content(event), now)
        return None
    if event.topic.startswith("checkouts/"):
        _note_checkout(event, now)
        return None
    if not may_name_an_order(event.topic):
        return None
    legacy_id = named_order(event)
    return None if legacy_id is None else mark(event.store, legacy_id, now)


def _note_checkout(event: WebhookEvent, now: datetime) -> None:
    """Note a checkout by its ID, all we take from the body; campaigns read it from Shopify."""
    number = _integer(_content(event).get("id"))
    if number is None:
        raise PoisonBody("names no checkout")
    note_checkout(
        store=event.store,
        gid=f"gid://shopify/AbandonedCheckout/{number}",
        # Not `now`: after a long queue, an abandoned checkout would look active.
        now=event.received_at,
        is_gone=event.topic == "checkouts/delete",
    )


def _content(event: WebhookEvent) -> JsonObject:
    try:
        body = json.loads(event.body_bytes)
    except (ValueError, RecursionError) as error:
        # Leave out the error's text: it may quote the body, which is personal data.
        raise PoisonBody(f"not JSON: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise PoisonBody("not a JSON object")
    return body


def _integer(value: object) -> int | None:
    """Parse a Shopify ID; None unless it's positive and fits a database column."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        return None
    number = int(value)
    return number if 0 < number < 2**63 else None


def postpone(event: WebhookEvent, error: str, now: datetime) -> None:
    """Record a failed attempt: retry with back-off, or mark it dead after the eighth."""
    tries = event.attempts + 1
    dead = tries > len(_EVENT_BACKOFF_S)
    again_at = None if dead else now + timedelta(seconds=_EVENT_BACKOFF_S[tries - 1])
    WebhookEvent.objects.filter(pk=event.pk).update(
        state=EventState.DEAD if dead else EventState.WAITING,
        attempts=tries,
        next_attempt_at=again_at,
        error=error[-2000:].replace("\x00", ""),
    )
    logger.warning("webhook event %s (%s) failed, try %s", event.pk, event.topic, tries)


def _fetch_failed(order: Order, error: Exception) -> None:
    now = timezone.now()
    wait_s: float = _FETCH_BACKOFF_S[min(order.fetch_failures, len(_FETCH_BACKOFF_S) - 1)]
    if isinstance(error, Throttled):
        wait_s = min(max(error.retry_after_s, 0.1), _FETCH_BACKOFF_S[-1])
    if isinstance(error, NeedsAdmin):
        note_error(order.store, error, now=now)
    Order.objects.filter(pk=order.pk).update(
        fetch_failures=F("fetch_failures") + 1,
        fetch_lease_until=None,
        fetch_after=now + timedelta(seconds=wait_s),
    )
    is_known = isinstance(error, ShopifyError | mapping.MalformedAnswer)
    logger.warning("order %s was not read: %s", order.pk, error, exc_info=not is_known)
