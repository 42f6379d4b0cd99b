"""Webhook events once more: processed again, or what they told of read again at Shopify."""

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

# Where a body that is no JSON any more may still name its order.
_ORDER_GID: Final = re.compile(rb"gid://shopify/Order/(\d{1,19})(?!\d)")
_ORDER_ID: Final = re.compile(rb'"order_id"\s*:\s*"?(\d{1,19})(?!\d)')
_OWN_ID: Final = re.compile(rb'^\s*\{\s*"id"\s*:\s*(\d{1,19})(?!\d)')


def dead(*, topic: str = "", domain: str = "") -> WebhookEventQuerySet:
    """The dead events, of this topic and shop where they are given."""
    events = WebhookEvent.objects.filter(state=EventState.DEAD)
    if topic:
        events = events.filter(topic=topic)
    return events.filter(store__domain=domain) if domain else events


def replay(events: WebhookEventQuerySet, *, by: User | None) -> int:
    """Have these processed again, with all their tries; how many. Harmless: an event only
    causes a fresh read. Asked twice, the second time finds none of the dead ones. Those whose
    body is not kept any longer are left as they are: they could only die of it."""
    with transaction.atomic():
        # Of one statement: an event that a worker settles meanwhile is not counted.
        count = (
            events.exclude(body=b"")
            .order_by()
            .update(state=EventState.WAITING, attempts=0, next_attempt_at=None, error="")
        )
        if count:
            audit.record(AuditKind.STORE, actor=by, after="webhooks processed again", count=count)
    return count


def recognized_order(event: WebhookEvent) -> int | None:
    """Shopify's number of the order an event tells of, also where its body cannot be read."""
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
    """Mark the order with Shopify's number to be read, whatever the event's body says; returns
    our id. A dead event has then caused what it was to cause, and is done."""
    with transaction.atomic():
        order_id = orders.mark(event.store, legacy_id, timezone.now())
        dead_one = WebhookEvent.objects.filter(pk=event.pk, state=EventState.DEAD)
        # Redaction finds a body by the order it tells of, and searches one that tells of none;
        # it must not be taken for another order's, whose number somebody typed.
        told = {"order_id": order_id} if recognized_order(event) == legacy_id else {}
        dead_one.update(state=EventState.DONE, **told)
        audit.record(
            AuditKind.STORE,
            actor=by,
            store_id=event.store_id,
            order_id=order_id,
            after="order read again",
            row=event.pk,
        )
    return order_id
