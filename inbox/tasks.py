"""Celery's doors to the inbox. Ids only; rows are the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import QuerySet
from django.utils import timezone

from core import queue, sweeps
from inbox import outbox
from inbox.campaigns import (
    checkouts,
    marketing,
    order_events,
)
from inbox.conversations import waking
from inbox.live import events
from inbox.models import CampaignMessage, Message
from inbox.suppression import opt_outs
from orders.models import OrderEvent

SWEEP_ROWS: Final = 100
# Well below the time limit of a task; the next sweep goes on.
SWEEP_S: Final = 15.0


@shared_task
def deliver_message(message_id: int) -> None:
    _go_on(outbox.deliver_message(message_id))


@shared_task
def deliver_campaign(row_id: int) -> None:
    _go_on(outbox.deliver_campaign(row_id))


@shared_task
def keep_opt_outs() -> None:
    """New ones, for after a backup is restored."""
    opt_outs.keep()


@shared_task
def settle_marketing(row_id: int) -> None:
    marketing.settle(row_id)


@shared_task
def handle_event(event_id: int) -> None:
    order_events.handle_event(event_id)


@shared_task
def sweep_outbox() -> None:
    """Ring for what may leave, as much of it as there is room for; nothing is sent here, where
    one host that does not answer would keep all others waiting."""
    now = timezone.now()
    for model in (Message, CampaignMessage):
        _each(partial(outbox.end_overdue, model), outbox.overdue(model, now=now))
    jobs = [job for way in outbox.Way for job in outbox.ready(way, now=now)]
    sweeps.each(jobs, _ring_for, seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,))


def _go_on(way: outbox.Way | None) -> None:
    """The next by the way that has become free: it may have waited for just that. One that cannot
    go, as another worker has it or its channel is full, keeps none of the others here."""
    until = time.monotonic() + SWEEP_S
    while way is not None:
        jobs = outbox.ready(way, now=timezone.now())
        if jobs and time.monotonic() >= until:
            _ring_for(jobs[0])
            return
        taken = (_deliver(job) for job in jobs)
        way = next((by for by in taken if by is not None), None)


def _deliver(job: outbox.Job) -> outbox.Way | None:
    is_message = job.model is Message
    return (outbox.deliver_message if is_message else outbox.deliver_campaign)(job.pk)


def _ring_for(job: outbox.Job) -> None:
    task = "deliver_message" if job.model is Message else "deliver_campaign"
    queue.enqueue(f"inbox.tasks.{task}", job.pk)


@shared_task
def sweep_events() -> None:
    waiting = OrderEvent.objects.to_announce(now=timezone.now())
    _each(order_events.handle_event, waiting.order_by("pk"), put_off=_put_off_event)
    # From the other end as well: many that wait must not keep the new ones from a turn.
    _each(order_events.handle_event, waiting.order_by("-pk"), put_off=_put_off_event)


@shared_task
def sweep_marketing() -> None:
    """Checkouts that fell silent, and whatever waits for Shopify's answer."""
    now = timezone.now()
    if checkouts.are_of_interest():
        checkouts.read_unread(now=now)
        checkouts.ask_due(now=now)
    _each(marketing.settle, marketing.waiting(now=now))


@shared_task
def sweep_snoozed() -> None:
    waking.wake_snoozed(now=timezone.now())


@shared_task
def prune_live_events() -> None:
    events.prune()


def _each(
    work: Callable[[int], object],
    rows: QuerySet[Any],
    *,
    put_off: Callable[[int], object] | None = None,
) -> None:
    """The first rows, each on its own, for as long as a sweep may take. Where no `put_off` is
    given, the work begins with a claim that has the row rest if it fails."""
    sweeps.each(
        list(rows.values_list("pk", flat=True)[:SWEEP_ROWS]),
        work,
        put_off=put_off,
        seconds=SWEEP_S,
        stops=(SoftTimeLimitExceeded,),
    )


def _put_off_event(event_id: int) -> None:
    again_at = timezone.now() + sweeps.AGAIN_AFTER
    OrderEvent.objects.unannounced().filter(pk=event_id).update(announce_after=again_at)
