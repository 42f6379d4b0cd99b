"""The balance page: prove with numbers that must agree that no webhook was lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncHour

from core.json_types import JsonObject
from orders.models import Order, Store
from shopify_sync.models import Comparison, Drift, EventState, WebhookEvent, WebhookTally

HOURS: Final = 48
_COUNTS: Final = (
    "requests",
    "stored",
    "duplicates",
    "unauthorized",
    "malformed",
    "unavailable",
)
# More lost webhooks than this in an hour are an alarm.
DRIFT_AN_HOUR: Final = 3
_READ_WITHIN: Final = timedelta(seconds=60)
_COMPARED_WITHIN: Final = timedelta(hours=6)
# A night may be missed; two are an alarm.
_COMPARED_EVERY: Final = timedelta(hours=54)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One store's webhooks of one hour; `store` is "" for requests that named no known store."""

    store: str
    hour: datetime
    requests: int
    stored: int
    duplicates: int
    unauthorized: int
    malformed: int
    unavailable: int
    done: int
    waiting: int
    dead: int

    @property
    def is_answered(self) -> bool:
        """Whether every request got exactly one answer."""
        answered = self.stored + self.duplicates + self.unauthorized
        return self.requests == answered + self.malformed + self.unavailable

    @property
    def is_kept(self) -> bool:
        """Whether every delivery that was answered as stored is still in the database."""
        return self.stored == self.done + self.waiting + self.dead

    @property
    def is_balanced(self) -> bool:
        """Whether every request is accounted for."""
        return self.is_answered and self.is_kept


@dataclass(frozen=True, slots=True)
class Line:
    """One statement about a store; `is_ok` says whether it's as it should be."""

    store: str
    text: str
    is_ok: bool


@dataclass(frozen=True, slots=True)
class TopicRow:
    """The stored events of one topic from one store."""

    store: str
    topic: str
    count: int
    last_at: datetime
    dead: int


def hours(*, now: datetime) -> list[Hour]:
    """Return the last HOURS hours, newest first. Three queries."""
    since = now - timedelta(hours=HOURS)
    tallies = WebhookTally.objects.filter(hour__gte=since).values("store_id", "hour")
    events = WebhookEvent.objects.filter(received_at__gte=since)
    kept: dict[tuple[int | None, datetime], dict[str, int]] = defaultdict(dict)
    by_state = events.annotate(at=TruncHour("received_at")).values("store_id", "at", "state")
    for row in by_state.annotate(n=Count("pk")):
        kept[row["store_id"], row["at"]][row["state"]] = row["n"]
    names = {store.pk: str(store) for store in Store.objects.all()}
    found = []
    sums: Any = tallies.annotate(**{f"n_{name}": Sum(name) for name in _COUNTS})
    for tally in sums:
        states = kept[tally["store_id"], tally["hour"]]
        counts: JsonObject = {name: tally[f"n_{name}"] for name in _COUNTS}
        found.append(
            Hour(
                store=names.get(tally["store_id"], ""),
                hour=tally["hour"],
                **counts,
                done=states.get(EventState.DONE, 0),
                waiting=states.get(EventState.WAITING, 0),
                dead=states.get(EventState.DEAD, 0),
            )
        )
    return sorted(found, key=lambda hour: (hour.hour, hour.store), reverse=True)


def lines(*, now: datetime) -> list[Line]:
    """Return what should hold of each active store: reads, drift, the last comparison."""
    return [line for store in Store.objects.active() for line in _lines(store, now)]


def topics(*, now: datetime) -> list[TopicRow]:
    """Return the number of events per store and topic in the last HOURS hours."""
    recent = WebhookEvent.objects.filter(received_at__gte=now - timedelta(hours=HOURS))
    rows = recent.values("store__domain", "topic").annotate(
        n=Count("pk"), last=Max("received_at"), dead=Count("pk", filter=Q(state=EventState.DEAD))
    )
    return [
        TopicRow(row["store__domain"], row["topic"], row["n"], row["last"], row["dead"])
        for row in rows.order_by("store__domain", "topic")
    ]


def _lines(store: Store, now: datetime) -> Iterator[Line]:
    name = str(store)
    dirty = Order.objects.dirty().filter(store=store)
    late = dirty.filter(fetch_after__lt=now - _READ_WITHIN).count()
    yield Line(name, f"{late} changed orders have waited longer than a minute to be read", not late)
    drift = Drift.objects.filter(store=store, found_at__gt=now - timedelta(hours=1)).count()
    text = f"{drift} changes in the last hour arrived without a webhook"
    yield Line(name, text, drift <= DRIFT_AN_HOUR)
    if (newest := Comparison.objects.filter(store=store).first()) and not newest.finished_at:
        yield _unfinished(newest, now)
    last = Comparison.objects.filter(store=store, finished_at__isnull=False).first()
    # A store that was just connected, or reconnected, hasn't had its first night yet.
    since = max(last.started_at, store.connected_at) if last else store.connected_at
    is_recent = now - since < _COMPARED_EVERY
    if last is None:
        text = "Every order is compared each night; the first comparison hasn't run yet"
        yield Line(name, text, is_recent)
        return
    if not is_recent:
        # What the last one found says nothing about today.
        yield Line(name, "No comparison finished in the last two nights", is_ok=False)
    at = f"{last.started_at:%d %B %Y, %H:%M} UTC"
    text = f"{at}: {last.orders_at_shop} orders, {last.missing} of them missing here, "
    text += f"{last.differing} differed and {last.vanished} no longer existed in Shopify"
    yield Line(name, text, not (last.missing or last.differing or last.vanished))
    sums = ", ".join(f"{a} and {b} {code}" for code, (a, b) in last.refunds.items()) or "none"
    yield Line(name, f"{at}: refunds in Shopify and here: {sums}", last.refunds_agree)
    twice = last.markers_twice
    yield Line(name, f"{at}: {twice} of our actions appear on more than one refund", not twice)


def _unfinished(row: Comparison, now: datetime) -> Line:
    """Describe an unfinished comparison, which has no result yet, good or bad."""
    at = f"{row.started_at:%d %B %Y, %H:%M} UTC"
    if not row.is_open:
        text = f"{at}: the comparison did not finish: {row.error or 'its worker stopped.'}"
        return Line(str(row.store), text, is_ok=False)
    text = f"{at}: the comparison is in progress, {row.orders_at_shop} orders so far"
    is_ok = now - row.started_at < _COMPARED_WITHIN
    return Line(str(row.store), text + ("" if is_ok else "; this is taking too long"), is_ok)
