"""What was refunded and canceled in a period, computed from timeline events, per currency.

Sums are what went back to customers, no matter who refunded it, transaction by transaction: if half
of a refund failed, the other half counts. Amounts a payment provider hasn't confirmed yet are
reported separately. Test orders move no real money and are left out. Days are UTC days of Shopify's
booking. The number of queries doesn't depend on the number of rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from django.db.models import Count, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, NullIf, TruncDate

from core.database import replica
from orders import previews
from orders.models import (
    EventKind,
    EventSource,
    OrderEvent,
)
from orders.money import Money
from orders.reports.placed import Placed, change_text, placed, rate_text
from orders.reports.refund_times import RefundTimes, refund_times, span_text
from orders.reports.shop_sums import ShopSum, shop_sums

LONGEST_DAYS: Final = 366
# Functions that map origins (OrderAction.origin) to the name of their channel; inbox adds one.
CHANNEL_NAMES: Final[list[Callable[[Iterable[str]], Mapping[str, str]]]] = []
_KINDS: Final = (EventKind.REFUNDED, EventKind.CANCELED)
_GROUPS: Final = ("reason", "agent", "store", "source", "day")


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both ends included. `store_id` None means every store."""

    since: date
    until: date
    store_id: int | None = None

    @property
    def days(self) -> Iterator[date]:
        """Every day of the period, in order."""
        return (self.since + timedelta(days=n) for n in range((self.until - self.since).days + 1))

    @property
    def before(self) -> Period | None:
        """The days before it, as many as it has; None if the calendar doesn't go that far back."""
        length = self.until - self.since + timedelta(days=1)
        if self.since - date.min < length:
            return None
        return Period(self.since - length, self.since - timedelta(days=1), self.store_id)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The period as UTC times: from the first, up to but excluding the second."""
        begin = datetime.combine(self.since, time.min, UTC)
        last = min(self.until, date.max - timedelta(days=1))
        return begin, datetime.combine(last + timedelta(days=1), time.min, UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """A table row.

    `money` was refunded, in `refunds` refunds; `waiting` may follow and is not included in it.
    `share` is the length of the row's bar, in percent of the table's longest. `orders` were placed
    in the row's store or on its day, or else in the whole period.
    """

    label: str
    refunds: int
    cancels: int
    money: Money
    waiting: Money
    share: int
    orders: int

    @property
    def refund_rate(self) -> str:
        """Refunds as a share of the orders placed, such as "4.2%"; "" without orders."""
        return rate_text(self.refunds, self.orders)


@dataclass(frozen=True, slots=True)
class Table:
    """One breakdown, such as by reason. `head` is the heading of its label column."""

    key: str
    title: str
    head: str
    rows: tuple[Row, ...]

    @property
    def has_rates(self) -> bool:
        """Whether any of the rows has orders to compare with."""
        return any(row.orders for row in self.rows)


@dataclass(frozen=True, slots=True)
class Column:
    """One day's bar, in the drawing's units: 10 wide, 100 high, `y` from the top."""

    x: int
    y: int
    height: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart by day. `summary` describes it for screen readers; the table has every number."""

    title: str
    summary: str
    bars: tuple[Column, ...]
    first: str
    last: str

    @property
    def width(self) -> int:
        """The drawing's width, in its own units."""
        return 10 * len(self.bars)


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of a period in one currency, and how many orders were placed in it."""

    orders: int
    refunds: int
    cancels: int
    money: Money

    @property
    def refund_rate(self) -> str:
        """Refunds as a share of the orders placed, such as "4.2%"; "" without orders."""
        return rate_text(self.refunds, self.orders)

    @property
    def cancel_rate(self) -> str:
        """Canceled orders as a share of the orders placed; "" without orders."""
        return rate_text(self.cancels, self.orders)


@dataclass(frozen=True, slots=True)
class Sheet(Figures):
    """One currency's report; sheets are never added up.

    `waiting` is what payment providers haven't confirmed yet, in `waiting_refunds` refunds; it
    isn't part of `money`. `before` is None if the calendar has no such period.
    """

    currency: str
    waiting_refunds: int
    waiting: Money
    tables: tuple[Table, ...]
    chart: Chart
    before: Figures | None

    @property
    def change(self) -> str:
        """How the refunded money compares, such as "12% less than before (€50.00)"."""
        return change_text(self.money, self.before.money) if self.before else ""

    @property
    def days(self) -> Table:
        """The table by day, which the chart is drawn from."""
        return self.tables[0]

    @property
    def others(self) -> tuple[Table, ...]:
        """All other tables."""
        return self.tables[1:]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report.

    `in_shop` is the same money as in the sheets, in the stores' currencies.
    """

    period: Period
    sheets: tuple[Sheet, ...]
    in_shop: tuple[ShopSum, ...]
    times: RefundTimes

    @property
    def is_converted(self) -> bool:
        """Whether `in_shop` says more than the sheets: money of other currencies is in it."""
        theirs = {sheet.currency: sheet.money for sheet in self.sheets if sheet.money}
        ours = {each.money.currency: each.money for each in self.in_shop if each.money}
        # In one currency alone, they differ by what Shopify no longer lists.
        return theirs.keys() != ours.keys() or (len(theirs) > 1 and theirs != ours)

    @property
    def took(self) -> str:
        """The median from the click, for people: "4 min"; empty without refunds."""
        return span_text(self.times.from_click)

    @property
    def took_from_message(self) -> str:
        """The median from the customer's first message, for people; empty if unknown."""
        return span_text(self.times.from_message)


# Counts and sums of events, with the columns they are grouped by.
Counted = dict[str, Any]


@dataclass(slots=True)
class _Sum:
    refunds: int = 0
    cancels: int = 0
    amount: Decimal = Decimal(0)
    waiting_refunds: int = 0
    waiting: Decimal = Decimal(0)

    def add(self, row: Counted) -> None:
        """Add a row of `_counted`."""
        if row["kind"] == EventKind.REFUNDED:
            self.refunds += row["moved_n"]
            self.amount += row["moved_sum"] or Decimal(0)
            self.waiting_refunds += row["waiting_n"]
            self.waiting += row["waiting_sum"] or Decimal(0)
        else:
            self.cancels += row["n"]

    def __iadd__(self, other: _Sum) -> Self:
        self.refunds += other.refunds
        self.cancels += other.cancels
        self.amount += other.amount
        self.waiting_refunds += other.waiting_refunds
        self.waiting += other.waiting
        return self


# "day" must come first: Sheet.days and the chart rely on it.
_TITLES: Final = {
    "day": ("By day", "Day"),
    "reason": ("By reason", "Reason"),
    "agent": ("By agent", "Agent"),
    "store": ("By store", "Store"),
    "source": ("By source", "Started by"),
    "channel": ("By channel", "Channel"),
}


@replica.may_lag
def report(period: Period) -> Report:
    """Build the report. Seven queries, plus those of CHANNEL_NAMES."""
    events = _events(period)
    sums: dict[str, dict[str, dict[str, _Sum]]] = defaultdict(
        lambda: {key: defaultdict(_Sum) for key in _TITLES}
    )
    for row in _counted(events, *_GROUPS):
        of = sums[row["currency_code"]]
        for key in _GROUPS:
            of[key][_label(key, row[key])].add(row)
    by_origin = _counted(events, "origin")
    names = channel_names({row["origin"] or "" for row in by_origin})
    for row in by_origin:
        label = names[row["origin"] or ""]
        sums[row["currency_code"]]["channel"][label].add(row)
    orders = placed(*period.bounds, store_id=period.store_id)
    before = _figures(period.before) if period.before else None
    sheets = tuple(
        _sheet(code, of, period, orders.get(code, Placed()), before)
        for code, of in sorted(sums.items())
    )
    return Report(period, sheets, shop_sums(_events(period)), refund_times(_events(period)))


def _figures(period: Period) -> dict[str, Figures]:
    """Return the sums of a period by currency, without tables. Two queries."""
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for row in _counted(_events(period)):
        sums[row["currency_code"]].add(row)
    orders = placed(*period.bounds, store_id=period.store_id)
    return {
        code: Figures(
            orders.get(code, Placed()).whole,
            sums[code].refunds,
            sums[code].cancels,
            Money(sums[code].amount, code),
        )
        for code in {*sums, *orders}
    }


def channel_names(origins: Iterable[str]) -> dict[str, str]:
    """Name each origin's channel. Every origin gets a name."""
    asked = set(origins)
    names = {"": "Shopify admin", "api": "API"}
    for name in CHANNEL_NAMES:
        names |= name(asked)
    return {origin: names.get(origin, origin.partition(":")[0].capitalize()) for origin in asked}


def reason_words(reason: str) -> str:
    """Return a refund reason's label, as in the refund dialog."""
    return previews.reason_words(reason) or "No reason given"


def _events(period: Period) -> QuerySet[OrderEvent, Any]:
    begin, end = period.bounds
    events = OrderEvent.objects.with_moved().filter(
        kind__in=_KINDS, occurred_at__gte=begin, occurred_at__lt=end, order__is_test=False
    )
    if period.store_id is not None:
        events = events.filter(order__store_id=period.store_id)
    return events.annotate(
        # Cancellation events have no currency of their own, so use the order's.
        currency_code=Coalesce(NullIf("currency", Value("")), "order__currency"),
        day=TruncDate("occurred_at", tzinfo=UTC),
        agent=F("actor__username"),
        store=F("order__store__domain"),
        origin=F("action__origin"),
    )


def _counted(events: QuerySet[OrderEvent, Any], *groups: str) -> list[Counted]:
    """Return one row per kind, currency and group. Refunds count only if money moved."""
    rows = events.values("kind", "currency_code", *groups).annotate(
        n=Count("pk"),
        moved_n=Count("pk", filter=Q(moved__gt=0)),
        moved_sum=Sum("moved"),
        waiting_n=Count("pk", filter=Q(waiting__gt=0)),
        waiting_sum=Sum("waiting"),
    )
    return list(rows.order_by())


def _label(key: str, value: Any) -> str:
    if key == "reason":
        return reason_words(value)
    if key == "source":
        return str(EventSource(value).label) if value in EventSource.values else str(value)
    if key == "day":
        return str(value.isoformat())
    return str(value or "Outside Agent Inbox")


def _sheet(
    currency: str,
    of: dict[str, dict[str, _Sum]],
    period: Period,
    orders: Placed,
    before: dict[str, Figures] | None,
) -> Sheet:
    """`before`: the period before, by currency; None if there is none."""
    whole = _Sum()
    for part in of["store"].values():
        whole += part
    for day in period.days:
        of["day"][day.isoformat()]  # creates the row of a day without refunds
    tables = tuple(
        Table(key, title, head, _rows(of[key], currency, orders, key=key))
        for key, (title, head) in _TITLES.items()
    )
    days, *_others = tables
    nothing = Figures(0, 0, 0, Money.zero(currency))
    return Sheet(
        orders=orders.whole,
        before=None if before is None else before.get(currency, nothing),
        currency=currency,
        refunds=whole.refunds,
        cancels=whole.cancels,
        money=Money(whole.amount, currency),
        waiting_refunds=whole.waiting_refunds,
        waiting=Money(whole.waiting, currency),
        tables=tables,
        chart=chart(days.rows),
    )


def chart(days: tuple[Row, ...]) -> Chart:
    """Draw the days as bars. Expects at least one day."""
    bars = tuple(
        Column(10 * n + 1, 100 - row.share, row.share, f"{row.label}: {row.money}")
        for n, row in enumerate(days)
    )
    highest = max(days, key=lambda row: row.money.amount)
    summary = f"Refunded by day, {days[0].label} to {days[-1].label}. "
    summary += f"Most on {highest.label}: {highest.money}. The table below has every day."
    return Chart("Refunded by day", summary, bars, days[0].label, days[-1].label)


def _rows(sums: dict[str, _Sum], currency: str, orders: Placed, *, key: str) -> tuple[Row, ...]:
    most = max((part.amount for part in sums.values()), default=Decimal(0))
    rows = [
        Row(
            label,
            part.refunds,
            part.cancels,
            Money(part.amount, currency),
            Money(part.waiting, currency),
            int(part.amount * 100 / most) if most > 0 else 0,
            orders.of(key, label),
        )
        for label, part in sums.items()
    ]
    if key == "day":
        return tuple(sorted(rows, key=lambda row: row.label))
    return tuple(sorted(rows, key=lambda row: (-row.money.amount, -row.cancels, row.label)))
