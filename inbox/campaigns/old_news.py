"""After a backup was restored, campaigns begin anew: what was sent since it was made is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from inbox.models import CampaignMessage, DeliveryState, Message, MessageKind, SendState
from orders.models import OrderEvent, Store


def skip_all(*, now: datetime) -> tuple[int, int]:
    """Leave out every event and message of campaigns that is not settled, and whatever happened
    until now and is heard of later. Returns how many events and messages. Replies that people
    wrote stay as they are. Shopify's times have whole seconds: all of this one counts, since nobody
    knows what of it was told."""
    reason = _("A backup was restored, so it may have been sent before.")
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
