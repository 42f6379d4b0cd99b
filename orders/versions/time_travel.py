"""Time travel (row G10): an order as it was at a moment, and what has changed since.

The moments are those at which this inbox showed a state: later than at Shopify by the time a
webhook takes. What was before the order was first read is not known.
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
    """From when on an agent wants to know."""

    CUSTOMER_WROTE = gettext_lazy("Changed since the customer wrote")
    AGENT_REPLIED = gettext_lazy("Changed since the last reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What is different from an order's state at a moment. Never empty."""

    moment: Moment
    at: datetime
    changes: tuple[Change, ...]

    @property
    def label(self) -> str:
        return f"{self.moment.value} ({len(self.changes)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of an order: shown since then, and what it changed. `is_first`: the earliest
    known; nothing to compare it with."""

    since: datetime
    changes: tuple[Change, ...]
    is_now: bool
    is_first: bool


def as_of(order: Order, at: datetime) -> OrderSnapshot | None:
    """The order as it was shown at a moment; None: it was not known here yet, or no more."""
    if version := order.versions.at(at).first():
        return version.snapshot
    if order.document and order.state_since and order.state_since <= at:
        return order.snapshot
    return None


def changes_since(
    order_ids: Collection[int], moments: Mapping[Moment, datetime]
) -> dict[int, tuple[Since, ...]]:
    """What changed in each of these orders since each moment. At most one query.

    An order that did not change is left out, and a moment that says the same as one before it.
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
    told: dict[tuple[Change, ...], Since] = {}
    for moment in moments:
        if moment in by_moment:
            told.setdefault(by_moment[moment].changes, by_moment[moment])
    return tuple(told.values())


def states(order: Order) -> tuple[State, ...]:
    """What is known of an order's past, newest first. One query."""
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
