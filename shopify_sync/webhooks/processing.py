"""Turn stored webhooks into dirty orders, hundreds at a time, and have those read."""

from __future__ import annotations

import logging
import time
import traceback
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, transaction
from django.utils import timezone

from core import queue
from core.database import sweeps
from orders.services import mark_many_dirty
from shopify_sync.models import EventState, WebhookEvent
from shopify_sync.reading import backlog, orders

logger = logging.getLogger(__name__)

BATCH: Final = 300
# How long one task goes on with further batches.
WORK_OFF_S: Final = 10.0
_SINGLY_S: Final = 10.0
# Up to this many orders, each is read by a task of its own.
_FEW: Final = 10
# The body lists the new scopes, but like any body it's only a hint: the doctor asks Shopify.
SCOPES_CHANGED: Final = "app/scopes_update"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch did: how many events it took, and what to do next.

    `order_ids` can be read right away. `stores_to_watch` need the hourly check now, because the
    app's scopes there have changed.
    """

    taken: int
    order_ids: tuple[int, ...]
    stores_to_watch: tuple[int, ...] = ()


def process_waiting() -> None:
    """Process waiting deliveries in batches until none is left or the time is up."""
    until = time.monotonic() + WORK_OFF_S
    while True:
        done = work_off()
        # If this message is lost, the hourly check still runs.
        queue.enqueue_each("shopify_sync.tasks.watch_store", done.stores_to_watch)
        if len(done.order_ids) == 1:
            orders.fetch_order(done.order_ids[0])
        elif len(done.order_ids) <= _FEW:
            queue.enqueue_each("shopify_sync.tasks.fetch_order", done.order_ids)
        else:
            # A flood from one store must not fill the queue: its reader takes them in turn.
            backlog.wake_readers()
        if done.taken < BATCH:
            return
        if time.monotonic() > until:
            queue.enqueue("shopify_sync.tasks.process_webhooks")
            return


def work_off(*, limit: int = BATCH) -> BatchResult:
    """Turn the oldest waiting deliveries into dirty orders.

    Safe to run concurrently: each worker skips the rows that another has locked. A batch is one
    transaction without network calls, so a worker that is killed leaves its rows untouched. A
    delivery that cannot be read is retried later and doesn't stop the others.
    """
    now = timezone.now()
    try:
        events, order_ids, singly = _process_batch(limit, now)
    except OperationalError:
        raise
    except Exception:
        # One event broke the batch's statements; processing each by itself isolates it.
        logger.exception("a batch of webhooks failed; processing them one by one")
        events = list(WebhookEvent.objects.due(now=now).order_by("pk")[:limit])
        order_ids, singly = [], [event.pk for event in events]

    def one(event_id: int) -> None:
        if found := orders.process_event(event_id):
            order_ids.append(found)

    # Topics that name no order have their own handlers, which may call Shopify, so they get a
    # time limit. What is left stays waiting in its row.
    sweeps.each(singly, one, seconds=_SINGLY_S, stops=(SoftTimeLimitExceeded,))
    to_watch = {event.store_id for event in events if event.topic == SCOPES_CHANGED}
    return BatchResult(len(events), tuple(order_ids), tuple(sorted(to_watch)))


def _process_batch(limit: int, now: datetime) -> tuple[list[WebhookEvent], list[int], list[int]]:
    """Return the batch's events, the orders due for a read, and the events to process singly."""
    with transaction.atomic(durable=True):
        due = WebhookEvent.objects.due(now=now).order_by("pk")
        events = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
        named, singly = _split(events, now)
        return events, _mark(named, now), singly


def _split(
    events: list[WebhookEvent], now: datetime
) -> tuple[list[tuple[WebhookEvent, int | None]], list[int]]:
    """Split the events by topic.

    Return those about orders, each with Shopify's numeric ID of its order (None if it names
    none), and the IDs of those to process singly. An unreadable event is postponed.
    """
    named: list[tuple[WebhookEvent, int | None]] = []
    singly: list[int] = []
    for event in events:
        if not orders.may_name_an_order(event.topic):
            singly.append(event.pk)
            continue
        try:
            named.append((event, orders.named_order(event)))
        except Exception:  # noqa: BLE001  whatever is wrong with a body is recorded on its row
            orders.postpone(event, traceback.format_exc(limit=3), now)
    return named, singly


def _mark(named: list[tuple[WebhookEvent, int | None]], now: datetime) -> list[int]:
    """Mark the orders dirty and the events done; return the orders that can be read at once."""
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
        # Redaction finds the bodies about a customer's orders by this.
        event.order_id = None if number is None else ids[event.store_id, number]
    WebhookEvent.objects.bulk_update(
        [event for event, _ in named], ["state", "error", "attempts", "order_id"]
    )
    return due
