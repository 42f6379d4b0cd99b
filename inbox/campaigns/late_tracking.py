"""“Order shipped” messages whose tracking number arrives after the shipment.

A message whose text needs the number waits for it while the shipment is still news, and its row
says so. The order's next change triggers another look; a sweep catches a change that was missed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from inbox.models import CampaignMessage, Purpose, SendState
from inbox.outbox import Draft
from orders.models import EventKind, OrderEvent

_NUMBERS: Final = "tracking.numbers"
# Shipping apps often add the number moments after the fulfillment, so until then every sweep looks.
_SOON: Final = timedelta(minutes=10)
_LOOK_AGAIN: Final = timedelta(hours=1)


def may_come(draft: Draft, event: OrderEvent) -> bool:
    """Return whether the message lacks only the number, which a later change may bring."""
    return draft.lacks == _NUMBERS and event.kind == EventKind.FULFILLED


def keep_waiting(row: CampaignMessage, *, next_attempt_at: datetime | None = None) -> None:
    """Mark a row as waiting for the tracking number."""
    row.state, row.reason = SendState.WAITING, _("Waiting for the shipment’s tracking number.")
    row.attempts, row.next_attempt_at = 0, next_attempt_at
    row.save(update_fields=["state", "reason", "attempts", "next_attempt_at"])


def put_off(event: OrderEvent, *, now: datetime) -> None:
    """Have sweeps look at the event again: every one while it is recent, hourly after that."""
    again_at = now + _LOOK_AGAIN if now - event.recorded_at > _SOON else None
    OrderEvent.objects.filter(pk=event.pk).update(announce_after=again_at)


def next_look(*, now: datetime) -> datetime:
    """Return when a waiting marketing row is checked again."""
    return now + _LOOK_AGAIN


def never_came() -> str:
    """Return the reason for giving up on the number, for the row."""
    return _("The shipment didn’t get a tracking number in time.")


def end(event: OrderEvent) -> None:
    """Skip rows of a shipment that still wait for campaigns that are off by now.

    Without this they would wait forever.
    """
    if event.kind == EventKind.FULFILLED:
        _waiting().filter(event=event).update(
            state=SendState.SKIPPED, reason=_("The campaign has since been turned off.")
        )


def events_to_look_at(order_id: int) -> QuerySet[OrderEvent]:
    """Return the order's events that may have waited for its change.

    They wait for a bank's answer or a tracking number.
    """
    waits = Q(kind=EventKind.FULFILLED) | Q(announce_after__isnull=False)
    return OrderEvent.objects.unannounced().filter(waits, order=order_id)


def _waiting() -> QuerySet[CampaignMessage]:
    """Return waiting transactional rows; marketing rows are decided on their own."""
    return CampaignMessage.objects.filter(
        state=SendState.WAITING, campaign__purpose=Purpose.TRANSACTIONAL
    )
