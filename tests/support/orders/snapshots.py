"""Build order snapshots for pure tests, with sensible defaults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orders.money import Money
from orders.snapshot import (
    Fulfillment,
    LineItem,
    LineQuantity,
    MoneyBag,
    OrderMoney,
    OrderSnapshot,
    Transaction,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def bag(amount: str, currency: str = "EUR") -> MoneyBag:
    money = Money(Decimal(amount), currency)
    return MoneyBag(shop=money, presentment=money)


def line(**changes: Any) -> LineItem:
    base = LineItem(
        gid="line-1",
        title="Mug",
        quantity=2,
        current_quantity=2,
        refundable_quantity=2,
        unfulfilled_quantity=2,
        unit_price=Money(Decimal("10.00"), "EUR"),
        total=Money(Decimal("20.00"), "EUR"),
    )
    return replace(base, **changes)


def parcel(**changes: Any) -> Fulfillment:
    base = Fulfillment(
        gid="parcel-1",
        status="SUCCESS",
        display_status="FULFILLED",
        created_at=NOW - timedelta(days=3),
        lines=(LineQuantity(line_gid="line-1", quantity=2),),
    )
    return replace(base, **changes)


def payment(**changes: Any) -> Transaction:
    base = Transaction(
        gid="payment-1", kind="SALE", status="SUCCESS", gateway="cards", amount=bag("20.00")
    )
    return replace(base, **changes)


def order(*, paid: str = "20.00", refunded: str = "0", **changes: Any) -> OrderSnapshot:
    """A paid, unshipped order of 20.00 EUR."""
    net = str(Decimal(paid) - Decimal(refunded))
    zero = bag("0")
    money = OrderMoney(
        total=bag("20.00"),
        current_total=bag("20.00"),
        subtotal=bag("20.00"),
        tax=zero,
        discounts=zero,
        shipping=zero,
        received=bag(paid),
        refunded=bag(refunded),
        net_payment=bag(net),
        outstanding=bag(str(Decimal("20.00") - Decimal(paid))),
        capturable=zero,
        tips=zero,
    )
    base = OrderSnapshot(
        gid="gid://shopify/Order/1",
        legacy_id=1,
        name="#1001",
        created_at=NOW - timedelta(days=5),
        processed_at=NOW - timedelta(days=5),
        updated_at=NOW - timedelta(days=1),
        financial_status="PAID",
        fulfillment_status="UNFULFILLED",
        is_refundable=True,
        currency="EUR",
        shop_currency="EUR",
        money=money,
        lines=(line(),),
        transactions=(payment(),),
    )
    return replace(base, **changes)


def shipped(*parcels: Fulfillment, **changes: Any) -> OrderSnapshot:
    return order(
        fulfillment_status="FULFILLED",
        fulfillments=parcels or (parcel(),),
        lines=(line(unfulfilled_quantity=0),),
        **changes,
    )
