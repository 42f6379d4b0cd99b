"""What has to leave: rows with a state. A task makes it quick, the sweep makes it certain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import lateness, live
from inbox.channels import SENDERS, email, sms
from inbox.channels.base import NotSent
from inbox.models import (
    CampaignMessage,
    DeliveryState,
    Message,
    MessageKind,
    SendState,
    Via,
)
from orders.models.leases import is_due

logger = logging.getLogger(__name__)

# Longer than a slow mail server takes that uses all of EMAIL_TIMEOUT for each of its dozen
# replies: a message is not handed over a second time while the first time is under way.
LEASE: Final = timedelta(minutes=5)
_BACKOFF_S: Final = (5, 30, 120, 600, 1800, 3600, 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A campaign's message on one channel, or `refusal`: why there is none. `lacks`: the name of
    the value its text needs. `stays`: why it is written down and leaves for nobody."""

    via: Via
    recipient: str = ""
    subject: str = ""
    body: str = ""
    refusal: str = ""
    lacks: str = ""
    stays: str = ""

    @property
    def leaves(self) -> bool:
        return not self.refusal and not self.stays


def wake(message: Message) -> None:
    """After commit, ring for a worker to send it. May be lost."""
    if message.delivery_state != DeliveryState.PENDING:
        return
    from inbox.tasks import deliver_message, ring

    transaction.on_commit(lambda: ring(deliver_message, message.pk), robust=True)


def write_campaign(
    row: CampaignMessage, draft: Draft, *, now: datetime, message: Message | None = None
) -> None:
    """Fill in a campaign's row: as an e-mail or SMS it leaves after commit, in a conversation
    its Message does. Expects the transaction that decided it."""
    row.state, row.reason, row.written_at = SendState.WRITTEN, "", now
    row.subject, row.body = draft.subject, draft.body
    row.attempts, row.next_attempt_at = 0, None
    row.message = message
    if message is None:
        row.recipient, row.delivery_state = draft.recipient, DeliveryState.PENDING
    row.save(
        update_fields=[
            "state", "reason", "written_at", "subject", "body", "attempts", "next_attempt_at", "message",
            "recipient", "delivery_state",
        ]
    )  # fmt: skip
    if message is None:
        from inbox.tasks import deliver_campaign, ring

        transaction.on_commit(lambda: ring(deliver_campaign, row.pk), robust=True)


def due(model: type[models.Model], *, now: datetime) -> models.QuerySet[Any]:
    manager: models.Manager[Any] = model._default_manager
    ready = is_due("next_attempt_at", now=now)
    # What was never tried first: it must not stand behind what failed before.
    waiting = manager.filter(ready, delivery_state=DeliveryState.PENDING)
    return waiting.order_by(F("next_attempt_at").asc(nulls_first=True), "pk")


def deliver_message(message_id: int) -> None:
    """Send one reply or confirmation by its channel, if nobody else is at it."""
    if not _claim(Message, message_id):
        return
    message = Message.objects.select_related("conversation__contact", "channel", "author").get(
        pk=message_id
    )
    try:
        if message.kind == MessageKind.CONFIRMATION:
            _check_age(message.created_at)
        _hand_over(SENDERS[message.channel.kind], message)
    except NotSent as error:
        _failed(Message, message_id, error)
    else:
        _sent(Message, message_id)
    live.publish([f"conversation:{message.conversation_id}"])


def _send_mail(row: CampaignMessage) -> None:
    email.send_mail(
        to=row.recipient, subject=row.subject, text=row.body, message_id=f"campaign-{row.pk}"
    )


def _send_text(row: CampaignMessage) -> None:
    sms.send_text(to=row.recipient, text=row.body, message_id=f"campaign-{row.pk}")


# One line a channel that leaves from the campaign's own row; in a conversation the Message does.
_CARRIERS: Final[dict[str, Callable[[CampaignMessage], None]]] = {
    Via.EMAIL: _send_mail,
    Via.SMS: _send_text,
}


def deliver_campaign(row_id: int) -> None:
    """Send one campaign's e-mail or SMS, if nobody else is at it."""
    if not _claim(CampaignMessage, row_id):
        return
    row = CampaignMessage.objects.get(pk=row_id)
    try:
        _check_age(row.written_at or row.created_at)
        _hand_over(_CARRIERS[row.via], row)
    except NotSent as error:
        _failed(CampaignMessage, row_id, error)
    else:
        _sent(CampaignMessage, row_id)


def _hand_over(send: Callable[[Any], None], row: Any) -> None:
    """Raises NotSent, whatever a provider's class or a mail library raises: without an end to its
    tries, a row would be handed over each minute for ever."""
    try:
        send(row)
    except (NotSent, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        logger.exception("%s %s was not sent", row._meta.label, row.pk)
        raise NotSent(f"It failed: {type(error).__name__}.") from error


def _check_age(written_at: datetime) -> None:
    """Raises NotSent for what nobody wrote by hand and a long outage kept here."""
    if lateness.is_late(written_at, now=timezone.now()):
        raise NotSent(_("It could not be sent in time."), is_final=True)


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
    is_over = error.is_final or row.attempts > len(_BACKOFF_S)
    wait = timedelta(seconds=_BACKOFF_S[min(row.attempts, len(_BACKOFF_S)) - 1])
    model._default_manager.filter(pk=pk).update(
        delivery_state=DeliveryState.FAILED if is_over else DeliveryState.PENDING,
        next_attempt_at=None if is_over else timezone.now() + wait,
        error=str(error)[:300],
    )
