"""Time travel: an order as it was at some moment, and what has changed since.

A state's times are when this inbox showed it, which is later than at Shopify by the webhook's
delay. Nothing is known from before the order was first read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext_lazy

from orders.models import Order, OrderVersion
from orders.snapshot import OrderSnapshot
from orders.versions.diff import (
    Change,
    differences,
)

VERSIONS_SHOWN: Final = 50


class Moment(Enum):
    """A moment since which an agent wants to see changes."""

    CUSTOMER_WROTE = gettext_lazy("Changed since the customer wrote")
    AGENT_REPLIED = gettext_lazy("Changed since the last reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """How an order differs from its state at a moment. Never empty."""

    moment: Moment
    at: datetime
    changes: tuple[Change, ...]

    @property
    def label(self) -> str:
        """The heading, with the number of changes."""
        return f"{self.moment.value} ({len(self.changes)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of an order: since when it was shown, and what it changed.

    `is_first` marks the earliest known state, with nothing to compare it to.
    """

    since: datetime
    changes: tuple[Change, ...]
    is_now: bool
    is_first: bool


def as_of(order: Order, at: datetime) -> OrderSnapshot | None:
    """Return the order as it was shown at a moment; None if we don't know that state (any more)."""
    if version := order.versions.at(at).first():
        return version.snapshot
    if order.document and order.state_since and order.state_since <= at:
        return order.snapshot
    return None


def changes_since(
    order_ids: Collection[int], moments: Mapping[Moment, datetime]
) -> dict[int, tuple[Since, ...]]:
    """Return what changed in each of these orders since each moment. At most one query.

    Orders that didn't change are left out, and so is a moment with the same changes as an earlier
    one in `moments`.
    """
    if not order_ids or not moments:
        return {}
    match = Q(pk__in=[])
    for at in moments.values():
        match |= Q(since__lte=at, until__gt=at)
    shown = OrderVersion.objects.filter(match, order__in=order_ids)
    found: dict[int, dict[Moment, Since]] = {}
    for version in shown.select_related("order__store"):
        changes = _since(version)
        for moment, at in moments.items():
            if changes and version.since <= at < version.until:
                since = Since(moment=moment, at=at, changes=changes)
                found.setdefault(version.order_id, {})[moment] = since
    return {order_id: _distinct(by_moment, moments) for order_id, by_moment in found.items()}


def _since(version: OrderVersion) -> tuple[Change, ...]:
    order = version.order
    return differences(version.snapshot, order.snapshot, zone=order.store.zone)


def _distinct(
    by_moment: Mapping[Moment, Since], moments: Mapping[Moment, datetime]
) -> tuple[Since, ...]:
    found: dict[tuple[Change, ...], Since] = {}
    for moment in moments:
        if moment in by_moment:
            found.setdefault(by_moment[moment].changes, by_moment[moment])
    return tuple(found.values())


def states(order: Order) -> tuple[State, ...]:
    """Return an order's known states, newest first. One query."""
    # One more than shown, so that the oldest one shown has a state to compare with.
    versions = list(order.versions.order_by("-number")[: VERSIONS_SHOWN + 1])
    since = order.state_since or order.read_started_at
    if not order.document or since is None:
        return ()
    known = [(since, order.snapshot), *((v.since, v.snapshot) for v in versions)]
    found = [
        State(
            since=at,
            changes=differences(known[place + 1][1], snapshot, zone=order.store.zone),
            is_now=place == 0,
            is_first=False,
        )
        for place, (at, snapshot) in enumerate(known[:-1])
    ]
    if len(versions) > VERSIONS_SHOWN:
        return tuple(found)
    first = State(since=known[-1][0], changes=(), is_now=not versions, is_first=True)
    return (*found, first)
