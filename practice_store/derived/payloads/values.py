"""Times and amounts as REST payloads write them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.json_types import JsonObject
from practice_store.derived import order_sums
from practice_store.state import Order


def when(moment: datetime | None) -> str | None:
    """Return the time in ISO 8601, as Shopify writes times; None if there is none."""
    return moment.isoformat() if moment else None


def amount_text(order: Order, amount: Decimal) -> str:
    """Return a presentment amount as text, with the currency's decimals."""
    return f"{order_sums.rounded(amount, order.presentment_currency)}"


def money_set(order: Order, amount: Decimal) -> JsonObject:
    """Return an amount in both currencies."""
    both = order_sums.bag(order, amount)
    return {
        key: {"amount": f"{side['amount']}", "currency_code": side["currencyCode"]}
        for key, side in (
            ("shop_money", both["shopMoney"]),
            ("presentment_money", both["presentmentMoney"]),
        )
    }
