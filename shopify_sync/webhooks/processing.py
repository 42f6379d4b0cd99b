"""Stored webhooks to dirty orders, hundreds at a time."""

from __future__ import annotations

import logging
import traceback
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, transaction
from django.utils import timezone

from core import sweeps
from orders.services import mark_many_dirty
from shopify_sync.models import EventState, WebhookEvent
from shopify_sync.reading import orders

logger = logging.getLogger(__name__)

BATCH: Final = 300
_SINGLY_S: Final = 10.0
# The body says which scopes; but it is a hint like any other, and Shopify is asked.
SCOPES_CHANGED: Final = "app/scopes_update"


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """`taken` events were looked at; these orders may be read at once, and these stores are to
    be examined: what the app may do there was changed."""

    taken: int
    order_ids: tuple[int, ...]
    stores_to_watch: tuple[int, ...] = ()


def work_off(*, limit: int = BATCH) -> WorkedOff:
    """Turn the oldest waiting deliveries into dirty orders.

    Several may do so at once: each takes other rows. All of a batch is one transaction without
    a call to the network, so whoever is killed in it leaves the rows as they were. A delivery
    that cannot be read waits for another try and does not stop the others.
    """
    now = timezone.now()
    try:
        events, order_ids, singly = _together(limit, now)
    except OperationalError:
        raise
    except Exception:
        # One of them breaks the statements for all: then each on its own, which finds it out.
        logger.exception("a batch of webhooks failed; they are done one by one")
        events = list(WebhookEvent.objects.due(now=now).order_by("pk")[:limit])
        order_ids, singly = [], [event.pk for event in events]

    def one(event_id: int) -> None:
        if found := orders.process_event(event_id):
            order_ids.append(found)

    # Topics that name no order have verbs of their own, which may ask Shopify: for as long as a
    # task may take. What is left still waits in its row.
    sweeps.each(singly, one, seconds=_SINGLY_S, stops=(SoftTimeLimitExceeded,))
    to_watch = {event.store_id for event in events if event.topic == SCOPES_CHANGED}
    return WorkedOff(len(events), tuple(order_ids), tuple(sorted(to_watch)))


def _together(limit: int, now: datetime) -> tuple[list[WebhookEvent], list[int], list[int]]:
    """The batch, the orders it marked dirty, and the events that are processed one by one."""
    with transaction.atomic(durable=True):
        due = WebhookEvent.objects.due(now=now).order_by("pk")
        events = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
        named, singly = _look(events, now)
        return events, _mark(named, now), singly


def _look(
    events: list[WebhookEvent], now: datetime
) -> tuple[list[tuple[WebhookEvent, int | None]], list[int]]:
    """The events of orders with Shopify's number of the order each names, if it does; and the
    ids of those that are processed one by one."""
    named: list[tuple[WebhookEvent, int | None]] = []
    singly: list[int] = []
    for event in events:
        if not orders.may_name_an_order(event.topic):
            singly.append(event.pk)
            continue
        try:
            named.append((event, orders.named_order(event)))
        except Exception:  # noqa: BLE001  the edge where a poison row is recorded
            orders.postpone(event, traceback.format_exc(limit=3), now)
    return named, singly


def _mark(named: list[tuple[WebhookEvent, int | None]], now: datetime) -> list[int]:
    """Mark the orders dirty and the events done; returns the orders that may be read at once."""
    numbers: dict[int, set[int]] = defaultdict(set)
    for event, number in named:
        if number is not None:
            numbers[event.store_id].add(number)
    ids: dict[tuple[int, int], int] = {}
    due: list[int] = []
    for store_id, legacy_ids in sorted(numbers.items()):
        marked = mark_many_dirty(store_id=store_id, legacy_ids=legacy_ids, now=now)
        ids |= {(store_id, number): pk for number, pk in marked.ids.items()}
        due += marked.due
    for event, number in named:
        event.state, event.error = EventState.DONE, ""
        event.attempts += 1
        # Redaction finds the body of a person's order by this.
        event.order_id = None if number is None else ids[event.store_id, number]
    WebhookEvent.objects.bulk_update(
        [event for event, _ in named], ["state", "error", "attempts", "order_id"]
    )
    return due
