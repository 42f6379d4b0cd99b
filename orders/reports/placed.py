"""How many orders were placed in a period, and words that compare with it and with the time before."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db.models import Count
from django.db.models.functions import TruncDate

from orders.models import Order
from orders.money import Money


@dataclass(slots=True)
class Placed:
    """How many orders were placed, in one currency; `by_day` has ISO dates, `by_store` domains."""

    whole: int = 0
    by_store: Counter[str] = field(default_factory=Counter)
    by_day: Counter[str] = field(default_factory=Counter)

    def of(self, key: str, label: str) -> int:
        """Return what a row of a table is compared with: its own orders, or else all of them."""
        by = {"store": self.by_store, "day": self.by_day}.get(key)
        return self.whole if by is None else by[label]


def placed(begin: datetime, end: datetime, *, store_id: int | None) -> dict[str, Placed]:
    """Count the orders placed from `begin` up to but excluding `end`, by the customer's currency.

    Test orders are left out; canceled and deleted ones aren't. One query.
    """
    orders = Order.objects.filter(placed_at__gte=begin, placed_at__lt=end, is_test=False)
    if store_id is not None:
        orders = orders.filter(store_id=store_id)
    rows = (
        orders.annotate(day=TruncDate("placed_at", tzinfo=UTC))
        .values_list("currency", "store__domain", "day")
        .annotate(n=Count("pk"))
        .order_by()
    )
    found: dict[str, Placed] = defaultdict(Placed)
    for currency, store, day, n in rows:
        of = found[currency]
        of.whole += n
        of.by_store[store] += n
        of.by_day[day.isoformat()] += n
    return dict(found)


def rate(count: int, orders: int) -> float | None:
    """Return how many there were per order placed; None if no order was."""
    return count / orders if orders else None


def rate_text(count: int, orders: int) -> str:
    """Write the rate in percent: "4.2%"; "" if no order was placed."""
    found = rate(count, orders)
    return "" if found is None else f"{100 * found:.1f}%"


def change_text(now: Money, before: Money) -> str:
    """Say how a sum compares with that of the days before, in one currency."""
    if before.amount <= 0:
        return "nothing in the days before" if now else "as before"
    percent = round(100 * (now.amount - before.amount) / before.amount)
    if percent == 0:
        return f"about as before ({before})"
    return f"{abs(percent)}% {'more' if percent > 0 else 'less'} than before ({before})"
