"""Celery tasks of the inbox. They take IDs only and read everything else from the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from smtplib import SMTPException
from typing import Any, Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import QuerySet
from django.utils import timezone

from core import queue
from core.database import sweeps
from inbox import outbox, report_emails
from inbox.accounts import mail
from inbox.accounts.login import sessions, throttling
from inbox.campaigns import (
    checkouts,
    marketing,
    order_events,
)
from inbox.conversations import moving, services
from inbox.decisions import emails
from inbox.live import events
from inbox.models import CampaignMessage, Message
from inbox.outgoing_webhooks import sending
from inbox.suppression import opt_outs
from orders.models import OrderEvent
from orders.reports import monthly

SWEEP_ROWS: Final = 100
# Well below the time limit of a task; the next sweep continues.
SWEEP_S: Final = 15.0


@shared_task
def deliver_message(message_id: int) -> None:
    """Send a reply or confirmation, then what waited for its place."""
    _deliver_waiting(outbox.deliver_message(message_id))


@shared_task
def deliver_campaign(row_id: int) -> None:
    """Send a campaign message, then what waited for its place."""
    _deliver_waiting(outbox.deliver_campaign(row_id))


@shared_task(autoretry_for=(OSError, SMTPException), max_retries=5, retry_backoff=5)
def send_account_mail(to: str, subject: str, text: str) -> None:
    """Send a link or a notice about an account."""
    mail.deliver(to, subject, text)


@shared_task
def deliver_request_notice(notice_id: int) -> None:
    """Find those who may approve a new request, or email one of them."""
    emails.deliver(notice_id)


@shared_task
def sweep_request_notices() -> None:
    """Enqueue the emails about requests whose task got lost, or whose next try has come."""
    _each(emails.wake, emails.due(now=timezone.now()))


@shared_task
def deliver_report_email(row_id: int) -> None:
    """Email last month's money report to one person."""
    report_emails.deliver(row_id)


@shared_task
def sweep_report_emails() -> None:
    """Enqueue the money reports of the month that is over."""
    _each(report_emails.wake, monthly.due(now=timezone.now()))


@shared_task
def prune_failed_log_ins() -> None:
    """Delete old counters of wrong passwords, and the lists of sessions that are long over."""
    throttling.prune(now=timezone.now())
    sessions.prune(now=timezone.now())


@shared_task
def keep_opt_outs() -> None:
    """Append new opt-outs to the ledger file, so that they survive restoring a backup."""
    opt_outs.keep()


@shared_task
def recheck_opt_outs() -> None:
    """Once a night, find opt-outs that the ledger file has lost."""
    opt_outs.recheck()


@shared_task
def settle_marketing(row_id: int) -> None:
    """Ask Shopify for consent and decide one marketing message."""
    marketing.settle(row_id)


@shared_task
def handle_event(event_id: int) -> None:
    """Write the campaign messages of one order event."""
    order_events.handle_event(event_id)


@shared_task
def sweep_outbox() -> None:
    """Enqueue what may leave, as much as there is room for.

    Nothing is sent here: one host that doesn't answer would keep all others waiting.
    """
    now = timezone.now()
    for model in (Message, CampaignMessage):
        _each(partial(outbox.end_overdue, model), outbox.overdue(model, now=now))
    jobs = [job for way in outbox.MESSAGE_WAYS for job in outbox.ready(way, now=now)]
    sweeps.each(jobs, _enqueue, seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,))


def _deliver_waiting(way: outbox.Way | None) -> None:
    """Deliver what waits for the capacity that has just become free, until nothing is left.

    A job that can't go now, because another worker has it or its channel is full, is skipped.
    When time is up, the next job is enqueued for another task.
    """
    until = time.monotonic() + SWEEP_S
    while way is not None:
        jobs = outbox.ready(way, now=timezone.now())
        if jobs and time.monotonic() >= until:
            _enqueue(jobs[0])
            return
        taken = (_deliver(job) for job in jobs)
        way = next((by for by in taken if by is not None), None)


def _deliver(job: outbox.Job) -> outbox.Way | None:
    is_message = job.model is Message
    return (outbox.deliver_message if is_message else outbox.deliver_campaign)(job.pk)


def _enqueue(job: outbox.Job) -> None:
    task = "deliver_message" if job.model is Message else "deliver_campaign"
    queue.enqueue(f"inbox.tasks.{task}", job.pk)


@shared_task
def deliver_webhook(delivery_id: int) -> None:
    """Send a webhook, then what waited for its place until time is up."""
    until = time.monotonic() + SWEEP_S
    if not sending.deliver(delivery_id):
        return
    for pk in sending.ready(now=timezone.now()):
        if time.monotonic() >= until:
            return
        sending.deliver(pk)


@shared_task
def sweep_outgoing_webhooks() -> None:
    """Give up webhooks that have waited too long, and enqueue as many as there is room for."""
    now = timezone.now()
    _each(sending.end_overdue, sending.overdue(now=now))
    sweeps.each(
        sending.ready(now=now), _enqueue_webhook, seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,)
    )


def _enqueue_webhook(delivery_id: int) -> None:
    queue.enqueue("inbox.tasks.deliver_webhook", delivery_id)


@shared_task
def sweep_events() -> None:
    """Handle order events whose task got lost, or that were put off until now."""
    waiting = OrderEvent.objects.to_announce(now=timezone.now())
    _each(order_events.handle_event, waiting.order_by("pk"), put_off=_put_off_event)
    # Newest first as well: a long queue of waiting events must not starve the new ones.
    _each(order_events.handle_event, waiting.order_by("-pk"), put_off=_put_off_event)


@shared_task
def sweep_marketing() -> None:
    """Find abandoned checkouts, and decide marketing messages that wait for Shopify's answer."""
    now = timezone.now()
    if checkouts.are_of_interest():
        checkouts.read_unread(now=now)
        checkouts.ask_due(now=now)
    _each(marketing.settle, marketing.waiting(now=now))


@shared_task
def sweep_snoozed() -> None:
    """Reopen conversations whose snooze is over."""
    services.wake_snoozed(now=timezone.now())


@shared_task
def follow_channel(channel_id: int) -> None:
    """Move a channel's conversations to the team it was given to."""
    moving.follow(channel_id, seconds=SWEEP_S)


@shared_task
def release_team(team_id: int) -> None:
    """Unassign a team's conversations from people who left it."""
    moving.release(team_id, seconds=SWEEP_S)


@shared_task
def sweep_moves() -> None:
    """Continue what a lost task, or one without time, has left of the above."""
    jobs = [
        *(partial(moving.release, pk) for pk in moving.unfinished_teams()),
        *(partial(moving.follow, pk) for pk in moving.unfinished_channels()),
    ]
    each_s = SWEEP_S / 3
    sweeps.each(
        jobs, lambda job: job(seconds=each_s), seconds=SWEEP_S, stops=(SoftTimeLimitExceeded,)
    )


@shared_task
def prune_live_events() -> None:
    """Delete live events that are too old for any browser to catch up from."""
    events.prune()


def _each(
    work: Callable[[int], object],
    rows: QuerySet[Any],
    *,
    put_off: Callable[[int], object] | None = None,
) -> None:
    """Work on the first rows one by one, within the time a sweep may take.

    Without `put_off`, the work must begin with a claim that keeps a failing row from coming
    straight back.
    """
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
