"""What has to leave: rows with a state. A task makes it quick, the sweep makes it certain."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from inbox import live
from inbox.channels import SENDERS, email
from inbox.channels.base import NotSent
from inbox.models import CampaignMessage, DeliveryState, Message

LEASE: Final = timedelta(seconds=60)
_BACKOFF_S: Final = (5, 30, 120, 600, 1800, 3600, 3600, 3600)


def wake(message: Message) -> None:
    """After commit, ring for a worker to send it. May be lost."""
    if message.delivery_state != DeliveryState.PENDING:
        return
    from inbox.tasks import deliver_message, ring

    transaction.on_commit(lambda: ring(deliver_message, message.pk), robust=True)


def wake_mail(row: CampaignMessage) -> None:
    from inbox.tasks import deliver_campaign_mail, ring

    transaction.on_commit(lambda: ring(deliver_campaign_mail, row.pk), robust=True)


def due(model: type[models.Model], *, now: datetime) -> models.QuerySet[Any]:
    ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    manager: models.Manager[Any] = model._default_manager
    return manager.filter(ready, delivery_state=DeliveryState.PENDING)


def deliver_message(message_id: int) -> None:
    """Send one reply or confirmation by its channel, if nobody else is at it."""
    if not _claim(Message, message_id):
        return
    message = Message.objects.select_related("conversation__contact", "channel", "author").get(
        pk=message_id
    )
    try:
        SENDERS[message.channel.kind](message)
    except NotSent as error:
        _failed(Message, message_id, error)
    else:
        _sent(Message, message_id)
    live.publish([f"conversation:{message.conversation_id}"])


def deliver_mail(row_id: int) -> None:
    """Send one campaign's e-mail, if nobody else is at it."""
    if not _claim(CampaignMessage, row_id):
        return
    row = CampaignMessage.objects.get(pk=row_id)
    try:
        email.send_mail(
            to=row.recipient, subject=row.subject, text=row.body, message_id=f"campaign-{row.pk}"
        )
    except NotSent as error:
        _failed(CampaignMessage, row_id, error)
    else:
        _sent(CampaignMessage, row_id)


def _claim(model: type[models.Model], pk: int) -> bool:
    now = timezone.now()
    return bool(
        due(model, now=now)
        .filter(pk=pk)
        .update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1)
    )


def _sent(model: type[models.Model], pk: int) -> None:
    model._default_manager.filter(pk=pk).update(
        delivery_state=DeliveryState.SENT, sent_at=timezone.now(), next_attempt_at=None, error=""
    )


def _failed(model: type[models.Model], pk: int, error: NotSent) -> None:
    row: Any = model._default_manager.get(pk=pk)
    is_over = error.is_final or row.attempts >= len(_BACKOFF_S)
    wait = timedelta(seconds=_BACKOFF_S[min(row.attempts, len(_BACKOFF_S)) - 1])
    model._default_manager.filter(pk=pk).update(
        delivery_state=DeliveryState.FAILED if is_over else DeliveryState.PENDING,
        next_attempt_at=None if is_over else timezone.now() + wait,
        error=str(error)[:300],
    )
