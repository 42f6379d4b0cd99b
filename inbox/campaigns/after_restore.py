"""Start campaigns over after a backup was restored: what was sent since the backup is unknown."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from inbox.models import CampaignMessage, DeliveryState, Message, MessageKind, SendState
from orders.models import OrderEvent, Store


def skip_all(*, now: datetime) -> tuple[int, int]:
    """Skip every campaign message that isn't settled, and every event up to now.

    Events up to now that we learn of later are skipped as well, because the stores count as
    connected from the next second on: Shopify's times have whole seconds, and it's unknown what of
    this one was already announced. Replies written by agents stay as they are. Opens its own
    transaction; returns how many events and messages were skipped.
    """
    reason = _("A backup was restored, so this may have been sent before.")
    with transaction.atomic(durable=True):
        Store.objects.update(connected_at=now.replace(microsecond=0) + timedelta(seconds=1))
        events = OrderEvent.objects.unannounced().update(announced_at=now, announce_after=None)
        waiting = CampaignMessage.objects.filter(state=SendState.WAITING)
        messages = waiting.update(state=SendState.SKIPPED, reason=reason, next_attempt_at=None)
        for unsent in (
            CampaignMessage.objects.filter(delivery_state=DeliveryState.PENDING),
            Message.objects.filter(
                delivery_state=DeliveryState.PENDING, kind=MessageKind.CONFIRMATION
            ),
        ):
            messages += unsent.update(
                delivery_state=DeliveryState.FAILED, error=reason, next_attempt_at=None
            )
    return events, messages
