"""The outcome of sending a row: it was sent, is retried, or is given up, which agents see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from core.database.leases import is_free
from inbox import read_marks
from inbox.channels.errors import NotSent
from inbox.live import events
from inbox.models import (
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
)
from inbox.outbox import delivery_lanes, status_text
from inbox.outbox.claiming import ATTEMPTS, Claimed, Row, backoff
from inbox.outbox.writing import wake
from inbox.suppression import lateness

_RELEASED: Final[dict[str, object]] = {"lease_until": None, "next_attempt_at": None}


def sent(claimed: Claimed) -> None:
    """Record that a row was sent. This overrides whatever another worker has recorded since."""
    row, model = claimed.row, type(claimed.row)
    with transaction.atomic(durable=True):
        model._default_manager.filter(pk=row.pk).update(
            delivery_state=DeliveryState.SENT,
            sent_at=timezone.now(),
            error="",
            failed_at=None,
            **_RELEASED,
        )
        if isinstance(row, Message):
            # Not the loaded instance: the row may have been given up while it was being sent.
            if Conversation.objects.filter(pk=row.conversation_id, has_undelivered=True).exists():
                _update_has_undelivered(row.conversation_id)
            events.announce(f"conversation:{row.conversation_id}")
    delivery_lanes.answered(claimed.route)


def failed(claimed: Claimed, error: NotSent) -> None:
    """Schedule a retry or give up, and record on the route whether the other side responds."""
    row, now = claimed.row, timezone.now()
    if error.is_down:
        delivery_lanes.did_not_answer(claimed.route, now=now)
    elif error.was_tried:
        delivery_lanes.answered(claimed.route)
    if error.is_final or row.attempts >= ATTEMPTS:
        give_up(row, str(error), now=now)
        return
    with transaction.atomic(durable=True):
        _if_unchanged(row).update(
            lease_until=None, next_attempt_at=now + backoff(row.attempts), error=str(error)[:300]
        )
        if isinstance(row, Message):
            events.announce(f"conversation:{row.conversation_id}")


def give_up(row: Any, reason: str, *, now: datetime) -> None:
    """Stop trying to send a row, unless another worker has claimed it since it was read.

    A reply or confirmation that was given up goes back to the team: its conversation is reopened,
    unread and flagged, until an agent has dealt with it. Opens its own transaction.
    """
    with transaction.atomic(durable=True):
        is_message = isinstance(row, Message)
        more = {"handled_by": None, "handled_at": None} if is_message else {}
        is_mine = _if_unchanged(row).update(
            delivery_state=DeliveryState.FAILED,
            failed_at=now,
            error=reason[:300],
            **_RELEASED,
            **more,
        )
        if is_mine and is_message:
            _reopen_conversation(row, now)


def _if_unchanged(row: Row) -> QuerySet[Any]:
    """Match the row only if no later attempt has begun (compare-and-set). The number of attempts
    alone doesn't tell, because it starts over when an agent sends again; the lease does."""
    manager: models.Manager[Any] = type(row)._default_manager
    return manager.filter(
        pk=row.pk,
        delivery_state=DeliveryState.PENDING,
        attempts=row.attempts,
        lease_until=row.lease_until,
    )


def overdue(model: type[models.Model], *, now: datetime) -> QuerySet[Any]:
    """Return rows that have waited too long, or whose last attempt died with its worker."""
    manager: models.Manager[Any] = model._default_manager
    waiting: QuerySet[Any] = manager.filter(
        is_free("lease_until", now=now), delivery_state=DeliveryState.PENDING
    ).annotate(since=since(model))
    return waiting.filter(
        Q(attempts__gte=ATTEMPTS) | Q(since__lt=now - lateness.TOLD_WITHIN)
    ).order_by("pk")


def end_overdue(model: type[models.Model], pk: int) -> None:
    """Give up a row with a reason, if it is still overdue."""
    now = timezone.now()
    row = overdue(model, now=now).filter(pk=pk).first()
    if row is None:
        return
    if isinstance(row, Message) and not row.channel.is_active:
        reason = _("The channel is turned off.")
    elif row.attempts >= ATTEMPTS:
        reason = row.error or status_text.tried(row.attempts)
    else:
        reason = " ".join(filter(None, (_("It could not be sent in time."), row.error)))
    give_up(row, reason, now=now)


def send_again(*, message: Message, failed_at: datetime, by: User) -> bool:
    """Send a message again that was given up at `failed_at`, with a full set of attempts.

    Return False if that failure has been handled already. The receiver sees the same message ID as
    before, so it can drop a duplicate. Opens its own transaction.
    """
    with transaction.atomic(durable=True):
        mine = Message.objects.undelivered().filter(pk=message.pk, failed_at=failed_at)
        now = timezone.now()
        is_mine = mine.update(
            delivery_state=DeliveryState.PENDING,
            attempts=0,
            error="",
            failed_at=None,
            queued_at=now,
            handled_by=by,
            handled_at=now,
            **_RELEASED,
        )
        if not is_mine:
            return False
        _handled(message)
        message.refresh_from_db()
        wake(message)
    return True


def dismiss(*, message: Message, failed_at: datetime, by: User) -> bool:
    """Accept that a message was not delivered. Return False if that failure has been handled
    already. Opens its own transaction."""
    with transaction.atomic(durable=True):
        mine = Message.objects.undelivered().filter(pk=message.pk, failed_at=failed_at)
        if not mine.update(handled_by=by, handled_at=timezone.now()):
            return False
        _handled(message)
    return True


def since(model: type[models.Model]) -> Coalesce:
    """Return the expression for the time since which a row has been in the outbox."""
    columns = ["created_at"] if model is Message else ["written_at", "created_at"]
    return Coalesce("queued_at", *columns)


def _reopen_conversation(message: Message, now: datetime) -> None:
    found = Conversation.objects.select_for_update().get(pk=message.conversation_id)
    has_moved = found.state != ConversationState.OPEN
    read_marks.make_unread(found)
    Conversation.objects.filter(pk=found.pk).update(
        state=ConversationState.OPEN,
        snoozed_until=None,
        # No agent reopened it.
        state_changed_by=None if has_moved else found.state_changed_by,
        state_changed_at=now if has_moved else found.state_changed_at,
        has_undelivered=True,
        # The customer has no answer yet.
        waiting_since=Coalesce(F("waiting_since"), message.created_at),
        # Move it to the top of the list, where agents see it.
        last_message_at=now,
    )
    _announce(message)


def _handled(message: Message) -> None:
    _update_has_undelivered(message.conversation_id)
    _announce(message)


def _update_has_undelivered(conversation_id: int) -> None:
    # Lock first: if two agents handle a message each, the second sees what the first has done.
    Conversation.objects.select_for_update().get(pk=conversation_id)
    left = Message.objects.undelivered().filter(conversation=conversation_id).exists()
    Conversation.objects.filter(pk=conversation_id).update(has_undelivered=left)


def _announce(message: Message) -> None:
    events.announce("inbox", f"conversation:{message.conversation_id}")
