"""Stored webhooks to dirty orders, hundreds at a time."""

from __future__ import annotations

import traceback
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders.services import mark_many_dirty
from shopify_sync import ingest
from shopify_sync.models import EventState, WebhookEvent

BATCH: Final = 300


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """`taken` events were looked at; these orders may be read at once."""

    taken: int
    order_ids: tuple[int, ...]


def work_off(*, limit: int = BATCH) -> WorkedOff:
    """Turn the oldest waiting deliveries into dirty orders.

    Several may do so at once: each takes other rows. All of a batch is one transaction without
    a call to the network, so whoever is killed in it leaves the rows as they were. A delivery
    that cannot be read waits for another try and does not stop the others.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        due = WebhookEvent.objects.due(now=now).order_by("pk")
        events = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
        named, singly = _look(events, now)
        order_ids = [
            order_id
            for store_id, legacy_ids in sorted(named.items())
            for order_id in mark_many_dirty(store_id=store_id, legacy_ids=legacy_ids, now=now)
        ]
    # Topics that name no order have verbs of their own, which may ask Shopify.
    order_ids += [found for pk in singly if (found := ingest.process_event(pk))]
    return WorkedOff(len(events), tuple(order_ids))


def _look(events: list[WebhookEvent], now: datetime) -> tuple[dict[int, set[int]], list[int]]:
    """Which orders the events name, by store, and the events to be processed one by one."""
    named: dict[int, set[int]] = defaultdict(set)
    singly: list[int] = []
    done: list[int] = []
    for event in events:
        if not ingest.may_name_an_order(event.topic):
            singly.append(event.pk)
            continue
        try:
            legacy_id = ingest.named_order(event)
        except Exception:  # noqa: BLE001  the edge where a poison row is recorded
            ingest.postpone(event, traceback.format_exc(limit=3), now)
            continue
        if legacy_id is not None:
            named[event.store_id].add(legacy_id)
        done.append(event.pk)
    WebhookEvent.objects.filter(pk__in=done).update(
        state=EventState.DONE, attempts=F("attempts") + 1, error=""
    )
    return named, singly
