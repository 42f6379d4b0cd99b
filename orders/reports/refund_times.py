"""How long refunds took: from the click, and from the customer's first message about the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Final

from django.db.models import QuerySet

from orders.models import ActionState, EventKind, OrderEvent


@dataclass(frozen=True, slots=True)
class Asked:
    """A refund that someone asked for here.

    `ordered_at`: when the customer placed the order; None if unknown.
    """

    action_id: int
    origin: str
    ordered_at: datetime | None
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class RefundTimes:
    """Medians in seconds until Shopify booked the refunds; None if there is nothing to count.

    `from_message` is only of those that were asked for beside a conversation in which the customer
    had written since the order.
    """

    from_click: float | None
    from_message: float | None


# Functions that map actions (Asked.action_id) to the customer's first message; inbox adds one.
FIRST_MESSAGES: Final[list[Callable[[Sequence[Asked]], Mapping[int, datetime]]]] = []


def refund_times(events: QuerySet[OrderEvent, Any]) -> RefundTimes:
    """Compute the medians of those events that are refunds requested here.

    One query, plus those of FIRST_MESSAGES.
    """
    # By their events, which an index finds by time; actions are only read one by one.
    refunds = events.filter(
        kind=EventKind.REFUNDED,
        action__state=ActionState.SUCCEEDED,
        action__amount__isnull=False,
    )
    rows = refunds.order_by().values_list(
        "action_id",
        "action__origin",
        "order__placed_at",
        "action__requested_at",
        "action__evidence_at",
    )
    booked = {
        Asked(action_id, origin, ordered_at, asked_at): at
        for action_id, origin, ordered_at, asked_at, at in rows.iterator()
        if action_id is not None and at is not None
    }
    first: dict[int, datetime] = {}
    for find in FIRST_MESSAGES:
        first |= find(list(booked))
    return RefundTimes(
        _median((at - asked.asked_at).total_seconds() for asked, at in booked.items()),
        _median(
            (at - first[asked.action_id]).total_seconds()
            for asked, at in booked.items()
            if asked.action_id in first
        ),
    )


def span_text(seconds: float | None) -> str:
    """Write a time for people: "3 s", "4 min", "2.5 h", "3.5 days"; "" for None."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def _median(times: Iterable[float]) -> float | None:
    found = list(times)
    return median(found) if found else None
