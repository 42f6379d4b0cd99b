"""When something that happened to an order is history, and no customer is told of it any more.

After an outage, a pause or a new connection, events come to be known long after they happened.
"We are refunding €7.00", three months late, is a new promise to whoever reads it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import ngettext

from orders.models import OrderEvent

# By Shopify's own time of the event. Long enough for a weekend's outage of ours or of a mail
# server, and for carriers that report late; what is older is on the timeline, for agents.
TOLD_WITHIN: Final = timedelta(hours=48)
# A reminder of a checkout that lay still longer helps nobody: none is begun then.
REMINDED_WITHIN: Final = timedelta(hours=24)


def is_late(since: datetime, *, now: datetime) -> bool:
    return now - since > TOLD_WITHIN


def news_since(event: OrderEvent) -> datetime:
    """When an event became news: one whose bank took its time, after it was last seen to be
    open."""
    return max(event.unsettled_at or event.occurred_at, event.occurred_at)


def refusal(event: OrderEvent, *, now: datetime) -> str:
    """Why campaigns leave an event out, for their log; "" while it is news."""
    if event.unsettled_at:
        return refusal_since(news_since(event), now=now)
    if not is_late(event.occurred_at, now=now):
        return ""
    if is_late(event.occurred_at, now=event.recorded_at):
        days = (event.recorded_at - event.occurred_at).days
        text = ngettext(
            "It happened %(days)d day before we heard of it.",
            "It happened %(days)d days before we heard of it.",
            days,
        )
        return text % {"days": days}
    return refusal_since(event.occurred_at, now=now)


def refusal_since(at: datetime, *, now: datetime) -> str:
    """Why a message that was due at a moment does not leave any more; "" while it may."""
    if not is_late(at, now=now):
        return ""
    days = (now - at).days
    text = ngettext(
        "It happened %(days)d day ago, and nothing could be sent in time.",
        "It happened %(days)d days ago, and nothing could be sent in time.",
        days,
    )
    return text % {"days": days}
