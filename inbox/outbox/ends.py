"""How sending a row ends: it left, it is tried again, or it is given up, which people see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from core.leases import is_free
from inbox import read_marks
from inbox.channels.base import NotSent
from inbox.live import events
from inbox.models import (
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
)
from inbox.outbox import delivery_status, routes
from inbox.outbox.claiming import ATTEMPTS, Claimed, backoff
from inbox.outbox.writing import wake
from inbox.suppression import lateness

_NOT_UNDER_WAY: Final[dict[str, Any]] = {"lease_until": None, "next_attempt_at": None}


def sent(claimed: Claimed) -> None:
    """It left. Whatever another worker may think of it meanwhile, this is the truth."""
    row, model = claimed.row, type(claimed.row)
    with transaction.atomic(durable=True):
        model._default_manager.filter(pk=row.pk).update(
            delivery_state=DeliveryState.SENT,
            sent_at=timezone.now(),
            error="",
            failed_at=None,
            **_NOT_UNDER_WAY,
        )
        if isinstance(row, Message):
            # As it is by now: it may have been given up while it was under way.
            if Conversation.objects.filter(pk=row.conversation_id, has_undelivered=True).exists():
                _recount(row.conversation_id)
            events.announce(f"conversation:{row.conversation_id}")
    routes.answered(claimed.route)


def failed(claimed: Claimed, error: NotSent) -> None:
    """It is tried again later, or given up; and the route learns whether anybody is there."""
    row, now = claimed.row, timezone.now()
    if error.is_down:
        routes.did_not_answer(claimed.route, now=now)
    elif error.was_tried:
        routes.answered(claimed.route)
    if error.is_final or row.attempts >= ATTEMPTS:
        give_up(row, str(error), now=now)
        return
    with transaction.atomic(durable=True):
        _as_it_was(row).update(
            lease_until=None, next_attempt_at=now + backoff(row.attempts), error=str(error)[:300]
        )
        if isinstance(row, Message):
            events.announce(f"conversation:{row.conversation_id}")


def give_up(row: Any, reason: str, *, now: datetime) -> None:
    """It is not tried again, unless it was taken since it was read. What an agent or a confirmation
    says to a customer comes back to the team: the conversation opens, unread and marked, until
    somebody has dealt with it."""
    with transaction.atomic(durable=True):
        is_message = isinstance(row, Message)
        more = {"handled_by": None, "handled_at": None} if is_message else {}
        is_mine = _as_it_was(row).update(
            delivery_state=DeliveryState.FAILED,
            failed_at=now,
            error=reason[:300],
            **_NOT_UNDER_WAY,
            **more,
        )
        if is_mine and is_message:
            _bring_back(row, now)


def _as_it_was(row: Any) -> QuerySet[Any]:
    """Compared and set: the word of a later attempt counts for more. A lease tells one from another
    where an agent has had the attempts begin anew."""
    manager: models.Manager[Any] = type(row)._default_manager
    return manager.filter(
        pk=row.pk,
        delivery_state=DeliveryState.PENDING,
        attempts=row.attempts,
        lease_until=row.lease_until,
    )


def overdue(model: type[models.Model], *, now: datetime) -> QuerySet[Any]:
    """What has waited for too long, or was tried for the last time by a worker that died."""
    manager: models.Manager[Any] = model._default_manager
    waiting: QuerySet[Any] = manager.filter(
        is_free("lease_until", now=now), delivery_state=DeliveryState.PENDING
    ).annotate(since=since(model))
    return waiting.filter(
        Q(attempts__gte=ATTEMPTS) | Q(since__lt=now - lateness.TOLD_WITHIN)
    ).order_by("pk")


def end_overdue(model: type[models.Model], pk: int) -> None:
    """Give up one row that is overdue, and say why."""
    now = timezone.now()
    row = overdue(model, now=now).filter(pk=pk).first()
    if row is None:
        return
    if isinstance(row, Message) and not row.channel.is_active:
        reason = _("The channel is switched off.")
    elif row.attempts >= ATTEMPTS:
        reason = row.error or delivery_status.tried(row.attempts)
    else:
        reason = " ".join(filter(None, (_("It could not be sent in time."), row.error)))
    give_up(row, reason, now=now)


def send_again(*, message: Message, failed_at: datetime, by: User) -> bool:
    """Try a message once more that was given up at that time; it begins anew. False: somebody has
    dealt with that failure already. The receiver knows it by the same id as before."""
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
            **_NOT_UNDER_WAY,
        )
        if not is_mine:
            return False
        _settled(message)
        message.refresh_from_db()
        wake(message)
    return True


def dismiss(*, message: Message, failed_at: datetime, by: User) -> bool:
    """Somebody has seen that it was not delivered, and leaves it at that. False: as above."""
    with transaction.atomic(durable=True):
        mine = Message.objects.undelivered().filter(pk=message.pk, failed_at=failed_at)
        if not mine.update(handled_by=by, handled_at=timezone.now()):
            return False
        _settled(message)
    return True


def since(model: type[models.Model]) -> Any:
    """Since when a row has been in the outbox."""
    columns = ["created_at"] if model is Message else ["written_at", "created_at"]
    return Coalesce("queued_at", *columns)


def _bring_back(message: Message, now: datetime) -> None:
    found = Conversation.objects.select_for_update().get(pk=message.conversation_id)
    has_moved = found.state != ConversationState.OPEN
    read_marks.make_unread(found)
    Conversation.objects.filter(pk=found.pk).update(
        state=ConversationState.OPEN,
        snoozed_until=None,
        # It opens by itself.
        state_changed_by=None if has_moved else found.state_changed_by,
        state_changed_at=now if has_moved else found.state_changed_at,
        has_undelivered=True,
        # Whoever wrote has no answer yet.
        waiting_since=Coalesce(F("waiting_since"), message.created_at),
        # To the top of the list, where it is seen.
        last_message_at=now,
    )
    _announce(message)


def _settled(message: Message) -> None:
    _recount(message.conversation_id)
    _announce(message)


def _recount(conversation_id: int) -> None:
    # Locked first: of two that settle a message each, the second sees what the first has done.
    Conversation.objects.select_for_update().get(pk=conversation_id)
    left = Message.objects.undelivered().filter(conversation=conversation_id).exists()
    Conversation.objects.filter(pk=conversation_id).update(has_undelivered=left)


def _announce(message: Message) -> None:
    events.announce("inbox", f"conversation:{message.conversation_id}")
