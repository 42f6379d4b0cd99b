"""The outcome of an attempt: delivered, tried again, given up; and endpoints that are turned off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from core.database.leases import is_free
from inbox.accounts import mail, roles
from inbox.models import OffReason, WebhookDelivery, WebhookEndpoint, WebhookState
from inbox.outbox import delivery_lanes
from inbox.outgoing_webhooks import endpoints
from inbox.outgoing_webhooks.claiming import ATTEMPTS

# An endpoint that has accepted nothing for this long is turned off.
GIVEN_UP_AFTER: Final = timedelta(days=5)
# All waits together, with room for pauses of the endpoint.
DELIVERED_WITHIN: Final = timedelta(days=4)
_RELEASED: Final[dict[str, object]] = {"lease_until": None, "next_attempt_at": None}
_GONE: Final = 410
# Request Timeout, Too Early and Too Many Requests: like 5xx, the endpoint can't take more now.
_OVERLOADED: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt ended. `status` None: there was no response, for the reason in `error`.

    `was_tried`: the endpoint was contacted; a failure on our side says nothing about it.
    """

    status: int | None
    duration_ms: int
    error: str = ""
    was_tried: bool = True

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint has taken the message."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_down(self) -> bool:
        """Whether the messages behind this one needn't find out one by one."""
        return self.status is None or self.status >= 500 or self.status in _OVERLOADED


def record(delivery: WebhookDelivery, attempt: Attempt) -> None:
    """Record how an attempt ended, in the log and for the endpoint. Opens its own transaction."""
    now = timezone.now()
    route = delivery_lanes.of_endpoint(delivery.endpoint_id)
    said: dict[str, object] = {
        "tried_at": now,
        "response_status": attempt.status,
        "duration_ms": attempt.duration_ms,
        "error": attempt.error[:200],
    }
    if attempt.is_accepted:
        _accepted(delivery, said, now)
    else:
        _refused(delivery, attempt, said, now)
    if not attempt.was_tried:
        return
    if attempt.is_down:
        delivery_lanes.did_not_answer(route, now=now)
    else:
        delivery_lanes.answered(route)


def _accepted(delivery: WebhookDelivery, said: dict[str, object], now: datetime) -> None:
    # Whatever another worker has recorded since: the endpoint has it.
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=WebhookState.DELIVERED, delivered_at=now, **said, **_RELEASED
    )
    failing = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    failing.exclude(failing_since=None).update(failing_since=None)


def _refused(
    delivery: WebhookDelivery, attempt: Attempt, said: dict[str, object], now: datetime
) -> None:
    with transaction.atomic(durable=True):
        mine = _if_unchanged(delivery)
        if delivery.attempts >= ATTEMPTS:
            mine.update(state=WebhookState.FAILED, **said, **_RELEASED)
        else:
            mine.update(lease_until=None, **said)
        if attempt.was_tried:
            _count_against(delivery.endpoint, attempt, now)


def _count_against(endpoint: WebhookEndpoint, attempt: Attempt, now: datetime) -> None:
    """Turn the endpoint off if it is gone, or has accepted nothing for days."""
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    row.filter(failing_since=None).update(failing_since=now)
    reason = OffReason.FAILING
    if attempt.status == _GONE:
        reason = OffReason.GONE
    elif not row.filter(failing_since__lte=now - GIVEN_UP_AFTER).exists():
        return
    if endpoints.turn_off(endpoint, reason, now=now):
        transaction.on_commit(partial(_tell_administrators, endpoint, reason), robust=True)


def _tell_administrators(endpoint: WebhookEndpoint, reason: OffReason) -> None:
    # The admin is in English only, and so is what is said about it.
    address = reverse("admin:inbox_webhookendpoint_change", args=[endpoint.pk])
    text = (
        f"Webhooks to “{endpoint.name}” are turned off: {reason.label}.\n\n"
        f"Turn the endpoint on again once its program accepts them:\n\n"
        f"{settings.PUBLIC_URL}{address}\n\n"
        "Messages that still wait then go out, up to four days after they were written. What "
        "happened in the meantime isn't sent afterwards; the program can read it through the REST API."
    )
    administer = Q(groups__name=roles.ADMINS) | Q(is_superuser=True)
    people = User.objects.filter(administer, is_active=True).exclude(email="")
    for user in people.distinct():
        mail.send(user.email, "Webhooks were turned off", text)


def _if_unchanged(delivery: WebhookDelivery) -> QuerySet[WebhookDelivery]:
    """Match the row only if no later attempt has begun, nor anyone has sent it again."""
    return WebhookDelivery.objects.pending().filter(
        pk=delivery.pk, attempts=delivery.attempts, lease_until=delivery.lease_until
    )


def overdue(*, now: datetime) -> QuerySet[WebhookDelivery]:
    """Return what has waited too long: its endpoint was off or paused, or a worker died."""
    waiting = WebhookDelivery.objects.pending().filter(is_free("lease_until", now=now))
    return waiting.filter(queued_at__lt=now - DELIVERED_WITHIN).order_by("queued_at", "pk")


def end_overdue(pk: int) -> None:
    """Give up a webhook that is still overdue."""
    overdue(now=timezone.now()).order_by().filter(pk=pk).update(
        state=WebhookState.FAILED, error="It could not be delivered in time.", **_RELEASED
    )


def send_again(pk: int) -> bool:
    """Send a webhook again that was delivered or given up, under the same ID.

    False if it still waits. The caller wakes a worker after commit.
    """
    now = timezone.now()
    ended = WebhookDelivery.objects.filter(pk=pk).exclude(state=WebhookState.PENDING)
    return bool(
        ended.update(
            state=WebhookState.PENDING,
            attempts=0,
            error="",
            delivered_at=None,
            queued_at=now,
            next_attempt_at=now,
        )
    )
