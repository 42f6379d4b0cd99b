"""Replay webhook events: process them again, or read the order they name from Shopify again."""

from __future__ import annotations

import re
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from orders import audit
from orders.models import AuditKind
from shopify_sync.models import EventState, WebhookEvent, WebhookEventQuerySet
from shopify_sync.reading import orders

# Where a body that is no longer valid JSON may still name its order.
_ORDER_GID: Final = re.compile(rb"gid://shopify/Order/(\d{1,19})(?!\d)")
_ORDER_ID: Final = re.compile(rb'"order_id"\s*:\s*"?(\d{1,19})(?!\d)')
_OWN_ID: Final = re.compile(rb'^\s*\{\s*"id"\s*:\s*(\d{1,19})(?!\d)')


def dead(*, topic: str = "", domain: str = "") -> WebhookEventQuerySet:
    """Return the dead events, optionally of one topic and one shop."""
    events = WebhookEvent.objects.filter(state=EventState.DEAD)
    if topic:
        events = events.filter(topic=topic)
    return events.filter(store__domain=domain) if domain else events


def replay(events: WebhookEventQuerySet, *, by: User | None) -> int:
    """Reset events so that they are processed again, with all their attempts; return how many.

    Harmless, since an event only causes a fresh read, and idempotent for dead events. Events
    whose body has been deleted are left alone: without it they could only fail again.
    """
    with transaction.atomic():
        # One statement, so that an event that a worker settles concurrently isn't counted.
        count = (
            events.exclude(body=b"")
            .order_by()
            .update(state=EventState.WAITING, attempts=0, next_attempt_at=None, error="")
        )
        if count:
            audit.record(AuditKind.STORE, actor=by, after="webhooks processed again", count=count)
    return count


def recognized_order(event: WebhookEvent) -> int | None:
    """Return Shopify's numeric ID of the event's order, even from a damaged body if possible."""
    if not orders.may_name_an_order(event.topic):
        return None
    try:
        return orders.named_order(event)
    except orders.PoisonBody:
        pass
    patterns = [_ORDER_GID, _ORDER_ID]
    if event.topic.startswith("orders/"):
        patterns.append(_OWN_ID)
    for pattern in patterns:
        if found := pattern.search(event.body_bytes):
            number = int(found[1])
            return number if 0 < number < 2**63 else None
    return None


def read_again(event: WebhookEvent, *, legacy_id: int, by: User) -> int:
    """Mark the order with this Shopify ID dirty, whatever the event's body says; return our ID.

    A dead event becomes done: the read it was meant to cause will happen.
    """
    with transaction.atomic():
        order_id = orders.mark(event.store, legacy_id, timezone.now())
        dead_one = WebhookEvent.objects.filter(pk=event.pk, state=EventState.DEAD)
        # Redaction finds a body by its order_id and searches bodies without one. So don't file
        # this body under an order number that an administrator typed unless the body names it.
        link = {"order_id": order_id} if recognized_order(event) == legacy_id else {}
        dead_one.update(state=EventState.DONE, **link)
        audit.record(
            AuditKind.STORE,
            actor=by,
            store_id=event.store_id,
            order_id=order_id,
            after="order read again",
            row=event.pk,
        )
    return order_id
