"""When an order's event is too old to announce to the customer.

After an outage, a pause or a new connection, we learn of events long after they happened. To the
customer, "We are refunding €7.00" three months late is a new promise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import ngettext

from orders.models import OrderEvent

# Counted from Shopify's time of the event. Covers a weekend's outage, ours or a mail server's, and
# carriers that report late. Agents see older events on the timeline.
TOLD_WITHIN: Final = timedelta(hours=48)
# No reminder is started for a checkout that has been inactive for longer than this.
REMINDED_WITHIN: Final = timedelta(hours=24)


def is_late(since: datetime, *, now: datetime) -> bool:
    """Return whether something that became news at `since` is too old to announce."""
    return now - since > TOLD_WITHIN


def news_since(event: OrderEvent) -> datetime:
    """Return when an event became news.

    For a refund that waited for its bank, that is when it was last seen pending.
    """
    return max(event.unsettled_at or event.occurred_at, event.occurred_at)


def refusal(event: OrderEvent, *, now: datetime) -> str:
    """Return why campaigns skip an event, for their log; "" while it is still news."""
    if event.unsettled_at:
        return refusal_since(news_since(event), now=now)
    if not is_late(event.occurred_at, now=now):
        return ""
    if is_late(event.occurred_at, now=event.recorded_at):
        days = (event.recorded_at - event.occurred_at).days
        text = ngettext(
            "It happened %(days)d day before we learned of it.",
            "It happened %(days)d days before we learned of it.",
            days,
        )
        return text % {"days": days}
    return refusal_since(event.occurred_at, now=now)


def refusal_since(at: datetime, *, now: datetime) -> str:
    """Return why a message due at `at` may no longer leave; "" while it may."""
    if not is_late(at, now=now):
        return ""
    days = (now - at).days
    text = ngettext(
        "It happened %(days)d day ago, and nothing could be sent in time.",
        "It happened %(days)d days ago, and nothing could be sent in time.",
        days,
    )
    return text % {"days": days}
