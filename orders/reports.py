"""What was refunded and canceled in a period (row G15), from the events, a currency at a time.

The sums are what Shopify booked, whoever asked for it; what a payment provider then did not pay
is left out. Days are UTC. A fixed number of queries, whatever the number of rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final

from django.db.models import CharField, Count, Exists, F, OuterRef, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Concat, NullIf, TruncDate

from orders.models import (
    ActionState,
    EventKind,
    EventSource,
    OrderAction,
    OrderEvent,
    OrderRefund,
)
from orders.money import Money
from orders.previews import REFUND_REASONS

LONGEST_DAYS: Final = 366
# Names origins (OrderAction.origin) by the channel they came through; inbox adds its own.
CHANNEL_NAMES: Final[list[Callable[[Iterable[str]], Mapping[str, str]]]] = []
_KINDS: Final = (EventKind.REFUNDED, EventKind.CANCELED)
_GROUPS: Final = ("reason", "agent", "store", "source", "day")


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both included; `store_id` None: every store."""

    since: date
    until: date
    store_id: int | None = None

    @property
    def days(self) -> Iterator[date]:
        return (self.since + timedelta(days=n) for n in range((self.until - self.since).days + 1))

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        begin = datetime.combine(self.since, time.min, UTC)
        last = min(self.until, date.max - timedelta(days=1))
        return begin, datetime.combine(last + timedelta(days=1), time.min, UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """`share`: the bar, in percent of the table's longest."""

    label: str
    refunds: int
    cancels: int
    money: Money
    share: int


@dataclass(frozen=True, slots=True)
class Table:
    key: str
    title: str
    head: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One day, in the units of the drawing: 10 wide, 100 high, `y` from the top."""

    x: int
    y: int
    height: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Days side by side. `summary` says what the picture shows; the table says all of it."""

    title: str
    summary: str
    bars: tuple[Column, ...]
    first: str
    last: str

    @property
    def width(self) -> int:
        return 10 * len(self.bars)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One currency. Sheets are never added up."""

    currency: str
    refunds: int
    cancels: int
    money: Money
    tables: tuple[Table, ...]
    chart: Chart

    @property
    def days(self) -> Table:
        return self.tables[0]

    @property
    def others(self) -> tuple[Table, ...]:
        return self.tables[1:]


@dataclass(frozen=True, slots=True)
class Report:
    """`seconds_to_refund`: the median from the click to Shopify's booking; None: no refund."""

    period: Period
    sheets: tuple[Sheet, ...]
    seconds_to_refund: float | None

    @property
    def took(self) -> str:
        """ "3 s", "4 min", "2.5 h"; empty where nothing was refunded."""
        seconds = self.seconds_to_refund
        if seconds is None:
            return ""
        if seconds < 120:
            return f"{seconds:.0f} s"
        return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@dataclass(slots=True)
class _Sum:
    refunds: int = 0
    cancels: int = 0
    amount: Decimal = Decimal(0)

    def add(self, kind: str, count: int, amount: Decimal | None) -> None:
        if kind == EventKind.REFUNDED:
            self.refunds += count
            self.amount += amount or Decimal(0)
        else:
            self.cancels += count


# The days come first: the chart is drawn from them.
_TITLES: Final = {
    "day": ("By day", "Day"),
    "reason": ("By reason", "Reason"),
    "agent": ("By agent", "Agent"),
    "store": ("By store", "Store"),
    "source": ("By source", "Who began it"),
    "channel": ("By channel", "Channel"),
}


def report(period: Period) -> Report:
    """Three queries, and those of CHANNEL_NAMES."""
    events: Any = _events(period)
    sums: dict[str, dict[str, dict[str, _Sum]]] = defaultdict(
        lambda: {key: defaultdict(_Sum) for key in _TITLES}
    )
    counted = events.values("kind", "currency_code", *_GROUPS).annotate(
        n=Count("pk"), sum=Sum("amount")
    )
    for row in counted.order_by():
        of = sums[row["currency_code"]]
        for key in _GROUPS:
            of[key][_label(key, row[key])].add(row["kind"], row["n"], row["sum"])
    counted = events.values("kind", "currency_code", "origin").annotate(
        n=Count("pk"), sum=Sum("amount")
    )
    by_origin = list(counted.order_by())
    names = channel_names({row["origin"] or "" for row in by_origin})
    for row in by_origin:
        label = names[row["origin"] or ""]
        sums[row["currency_code"]]["channel"][label].add(row["kind"], row["n"], row["sum"])
    sheets = tuple(_sheet(code, of, period) for code, of in sorted(sums.items()))
    return Report(period, sheets, _seconds_to_refund(period))


def channel_names(origins: Iterable[str]) -> dict[str, str]:
    """Each origin's channel, in words. Every origin gets a name."""
    asked = set(origins)
    names = {"": "Shopify's own pages", "api": "API"}
    for name in CHANNEL_NAMES:
        names |= name(asked)
    return {origin: names.get(origin, origin.partition(":")[0].capitalize()) for origin in asked}


def reason_words(reason: str) -> str:
    """Our own reasons by their label, Shopify's words readable, unknown ones as they are."""
    if not reason:
        return "No reason given"
    return str(REFUND_REASONS.get(reason, reason.replace("_", " ").capitalize()))


def _events(period: Period) -> QuerySet[OrderEvent, Any]:
    begin, end = period.bounds
    failed = (
        OrderRefund.objects.filter(order=OuterRef("order"), has_failed=True)
        .annotate(fact=Concat(Value("refunded:"), "gid", output_field=CharField()))
        .filter(fact=OuterRef("key"))
    )
    events = OrderEvent.objects.filter(
        ~Exists(failed), kind__in=_KINDS, occurred_at__gte=begin, occurred_at__lt=end
    )
    if period.store_id is not None:
        events = events.filter(order__store_id=period.store_id)
    return events.annotate(
        # A cancelation moves no money of its own: it counts under its order's currency.
        currency_code=Coalesce(NullIf("currency", Value("")), "order__currency"),
        day=TruncDate("occurred_at", tzinfo=UTC),
        agent=F("actor__username"),
        store=F("order__store__domain"),
        origin=F("action__origin"),
    )


def _label(key: str, value: Any) -> str:
    if key == "reason":
        return reason_words(value)
    if key == "source":
        return str(EventSource(value).label) if value in EventSource.values else str(value)
    if key == "day":
        return str(value.isoformat())
    return str(value or "Nobody here")


def _sheet(currency: str, of: dict[str, dict[str, _Sum]], period: Period) -> Sheet:
    whole = _Sum()
    for part in of["store"].values():
        whole.refunds += part.refunds
        whole.cancels += part.cancels
        whole.amount += part.amount
    for day in period.days:
        of["day"][day.isoformat()]  # a day without refunds is a row too
    tables = tuple(
        Table(key, title, head, _rows(of[key], currency, is_by_day=key == "day"))
        for key, (title, head) in _TITLES.items()
    )
    money = Money(whole.amount, currency)
    days, *_others = tables
    return Sheet(currency, whole.refunds, whole.cancels, money, tables, chart(days.rows))


def chart(days: tuple[Row, ...]) -> Chart:
    bars = tuple(
        Column(10 * n + 1, 100 - row.share, row.share, f"{row.label}: {row.money}")
        for n, row in enumerate(days)
    )
    highest = max(days, key=lambda row: row.money.amount)
    summary = f"Refunded by day, {days[0].label} to {days[-1].label}. "
    summary += f"Most on {highest.label}: {highest.money}. The table below has every day."
    return Chart("Refunded by day", summary, bars, days[0].label, days[-1].label)


def _rows(sums: dict[str, _Sum], currency: str, *, is_by_day: bool) -> tuple[Row, ...]:
    most = max((part.amount for part in sums.values()), default=Decimal(0))
    rows = [
        Row(label, part.refunds, part.cancels, Money(part.amount, currency),
            int(part.amount * 100 / most) if most > 0 else 0)
        for label, part in sums.items()
    ]  # fmt: skip
    if is_by_day:
        return tuple(sorted(rows, key=lambda row: row.label))
    return tuple(sorted(rows, key=lambda row: (-row.money.amount, -row.cancels, row.label)))


def _seconds_to_refund(period: Period) -> float | None:
    begin, end = period.bounds
    actions = OrderAction.objects.filter(
        state=ActionState.SUCCEEDED, amount__isnull=False, evidence_at__gte=begin,
        evidence_at__lt=end,
    )  # fmt: skip
    if period.store_id is not None:
        actions = actions.filter(order__store_id=period.store_id)
    took = [
        (at - asked).total_seconds()
        for asked, at in actions.values_list("requested_at", "evidence_at").iterator()
        if at is not None
    ]
    return median(took) if took else None
