"""Which refunds are due: of canceled orders whose money the shop still holds, and those that failed.

Money that someone decided to keep is never due. Every page, count and filter asks here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from django.db.models import Count, DecimalField, F, Min, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Least

from orders.models import Order, OrderRefund
from orders.models.orders import OrderQuerySet
from orders.money import Money

# When a failed refund without a date was due.
UNDATED: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ZERO: Final = Value(Decimal(0), output_field=DecimalField(max_digits=19, decimal_places=4))


def canceled(orders: OrderQuerySet) -> OrderQuerySet:
    """Canceled orders with money that no one decided to keep: all of it is due."""
    held: OrderQuerySet = orders.with_money_held().annotate(
        due=F("net_payment"), since=F("cancelled_at")
    )
    return held


def failed(orders: OrderQuerySet) -> OrderQuerySet:
    """Orders that stand, with a refund that failed and wasn't repeated or kept since.

    Refunds that went through after the failure count as repeating it. Never more than the shop
    still holds.
    """
    of_order = OrderRefund.objects.filter(order=OuterRef("pk")).order_by()
    failures = of_order.filter(failed__gt=0).values("order")
    repeated = of_order.filter(refunded_at__gt=OuterRef("since")).values("order")
    rows = (
        orders.filter(cancelled_at=None, net_payment__gt=0)
        .filter(pk__in=OrderRefund.objects.filter(failed__gt=0).values("order"))
        .exclude(kept=F("net_payment"), kept__isnull=False)
        .annotate(
            since=Coalesce(
                Subquery(failures.annotate(at=Min("refunded_at")).values("at")), Value(UNDATED)
            ),
            unpaid=Subquery(failures.annotate(sum=Sum("failed")).values("sum")),
        )
        .annotate(
            repaid=Coalesce(Subquery(repeated.annotate(sum=Sum("moved")).values("sum")), _ZERO)
        )
        .annotate(due=Least(F("unpaid") - F("repaid"), F("net_payment")))
        .filter(due__gt=0)
    )
    found: OrderQuerySet = rows
    return found


def totals(sources: Iterable[OrderQuerySet]) -> tuple[int, tuple[Money, ...]]:
    """Return how many orders these are, and what is due on them per currency, without test orders."""
    count, sums = 0, defaultdict[str, Decimal](Decimal)
    for source in sources:
        rows = source.order_by().values("currency", "is_test")
        for row in rows.annotate(n=Count("pk"), sum=Sum("due")):
            count += row["n"]
            if not row["is_test"]:
                sums[row["currency"]] += row["sum"]
    return count, tuple(Money(amount, currency) for currency, amount in sorted(sums.items()))


def held_by_store() -> dict[int, list[Money]]:
    """Return what is due on canceled orders per store and currency, without test orders."""
    rows = canceled(Order.objects.visible()).filter(is_test=False).values("store_id", "currency")
    sums: dict[int, list[Money]] = defaultdict(list)
    for row in rows.annotate(sum=Sum("due")).order_by("store_id", "currency"):
        sums[row["store_id"]].append(Money(row["sum"], row["currency"]))
    return sums
