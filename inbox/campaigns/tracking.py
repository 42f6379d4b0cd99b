"""“Order shipped” with tracking numbers, where the number comes after the parcel (row F47).

A message whose text needs the number waits for it, for as long as the shipment is news; its row
says so. The order's next change is looked at, and a sweep does the same for one that was missed.
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
# A shop's other program adds the number a moment after it ships: every sweep looks then.
_SOON: Final = timedelta(minutes=10)
_LOOK_AGAIN: Final = timedelta(hours=1)


def may_come(draft: Draft, event: OrderEvent) -> bool:
    """Whether a message lacks only what the order's next change may bring."""
    return draft.lacks == _NUMBERS and event.kind == EventKind.FULFILLED


def keep_waiting(row: CampaignMessage, *, next_attempt_at: datetime | None = None) -> None:
    row.state, row.reason = SendState.WAITING, _("Waits for the shipment’s tracking number.")
    row.attempts, row.next_attempt_at = 0, next_attempt_at
    row.save(update_fields=["state", "reason", "attempts", "next_attempt_at"])


def put_off(event: OrderEvent, *, now: datetime) -> None:
    again_at = now + _LOOK_AGAIN if now - event.recorded_at > _SOON else None
    OrderEvent.objects.filter(pk=event.pk).update(announce_after=again_at)


def next_look(*, now: datetime) -> datetime:
    return now + _LOOK_AGAIN


def never_came() -> str:
    return _("The shipment got no tracking number in time.")


def end(event: OrderEvent) -> None:
    """Of a campaign that is off by now, a row would wait for ever."""
    if event.kind == EventKind.FULFILLED:
        _waiting().filter(event=event).update(
            state=SendState.SKIPPED, reason=_("The campaign was switched off meanwhile.")
        )


def events_to_look_at(order_id: int) -> QuerySet[OrderEvent]:
    """An order's events that its change may bring on: a bank's answer, or a number."""
    waits = Q(kind=EventKind.FULFILLED) | Q(announce_after__isnull=False)
    return OrderEvent.objects.unannounced().filter(waits, order=order_id)


def _waiting() -> QuerySet[CampaignMessage]:
    """Marketing that waits is decided by itself."""
    return CampaignMessage.objects.filter(
        state=SendState.WAITING, campaign__purpose=Purpose.TRANSACTIONAL
    )
