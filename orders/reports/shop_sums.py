"""Refunds of all currencies in the stores' currencies, as Shopify converted them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from orders.models import EventKind, OrderEvent
from orders.models.events import moved_in_shop
from orders.money import Money


@dataclass(frozen=True, slots=True)
class ShopSum:
    """What moved in `refunds` refunds, in one store currency.

    `unknown` more refunds are known only in the customer's currency, and aren't part of `money`.
    Those of which not even the store's currency is known are counted with the first sum.
    """

    money: Money
    refunds: int
    unknown: int


def shop_sums(events: QuerySet[OrderEvent, Any]) -> tuple[ShopSum, ...]:
    """Sum up those of the events that are refunds; sorted by currency. One query.

    Expects the annotation of `with_moved`. Stores that share a currency are added up.
    """
    moved = events.annotate(moved_shop=moved_in_shop())
    moved = moved.filter(Q(moved__gt=0), kind=EventKind.REFUNDED)
    rows = (
        moved.values("order__shop_currency")
        .annotate(
            total=Sum("moved_shop"),
            known=Count("pk", filter=Q(moved_shop__isnull=False)),
            unknown=Count("pk", filter=Q(moved_shop__isnull=True)),
        )
        .order_by("order__shop_currency")
    )
    found: list[ShopSum] = []
    unknown = 0
    for row in rows:
        if currency := row["order__shop_currency"]:
            total = Money(row["total"] or Decimal(0), currency)
            found.append(ShopSum(total, row["known"], row["unknown"]))
        else:
            # Of an order that a release before shop currencies read, only the customer's is known.
            unknown += row["known"] + row["unknown"]
    if found and unknown:
        found[0] = replace(found[0], unknown=found[0].unknown + unknown)
    return tuple(found)
