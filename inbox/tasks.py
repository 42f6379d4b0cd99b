"""Celery's doors to the inbox. Ids only; rows are the truth."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError

from inbox import campaigns, checkout_campaigns, marketing, outbox, services
from inbox.models import CampaignMessage, Message
from orders.models import OrderEvent

logger = logging.getLogger(__name__)

SWEEP_ROWS: Final = 100


@shared_task
def deliver_message(message_id: int) -> None:
    outbox.deliver_message(message_id)


@shared_task
def deliver_campaign(row_id: int) -> None:
    outbox.deliver_campaign(row_id)


@shared_task
def settle_marketing(row_id: int) -> None:
    marketing.settle(row_id)


@shared_task
def handle_event(event_id: int) -> None:
    campaigns.handle_event(event_id)


@shared_task
def sweep_outbox() -> None:
    now = timezone.now()
    _each(outbox.deliver_message, outbox.due(Message, now=now))
    _each(outbox.deliver_campaign, outbox.due(CampaignMessage, now=now))


@shared_task
def sweep_events() -> None:
    waiting = OrderEvent.objects.unannounced()
    _each(campaigns.handle_event, waiting.order_by("pk"))
    # From the other end as well: many that wait or fail must not keep the new ones from a turn.
    _each(campaigns.handle_event, waiting.order_by("-pk"))


@shared_task
def sweep_marketing() -> None:
    """Checkouts that fell silent, and whatever waits for Shopify's answer."""
    now = timezone.now()
    if checkout_campaigns.are_of_interest():
        checkout_campaigns.read_unread(now=now)
        checkout_campaigns.ask_due(now=now)
    _each(marketing.settle, marketing.waiting(now=now))


@shared_task
def sweep_snoozed() -> None:
    services.wake_snoozed(now=timezone.now())


def _each(work: Callable[[int], object], rows: QuerySet[Any]) -> None:
    """The first rows, each on its own: one that fails must not keep the others waiting."""
    for pk in list(rows.values_list("pk", flat=True)[:SWEEP_ROWS]):
        try:
            work(pk)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("%s %s failed", work.__name__, pk)


def ring(task: Any, pk: int) -> None:
    """Wake a worker. With the broker down nothing is lost: the sweep comes."""
    try:
        task.delay(pk)
    except OperationalError:
        logger.warning("the broker is down; %s %s waits for the sweep", task.name, pk)
