"""Amounts in the shop's currency, which limits are set in."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from orders.models import Order
from orders.money import Money


def in_shop_currency(amount: Money, order: Order) -> Money:
    """Convert at the order's own exchange rate, rounding up so no limit is exceeded by rounding."""
    if amount.currency == order.shop_currency or not order.shop_currency:
        return Money(amount.amount, order.shop_currency or amount.currency)
    theirs, shop = _amount_pair(order)
    value = amount.amount * shop / theirs
    return Money(value.quantize(Decimal("0.0001"), rounding=ROUND_UP), order.shop_currency)


def _amount_pair(order: Order) -> tuple[Decimal, Decimal]:
    """Return one amount of the order in the customer's and in the shop's currency.

    Shopify doesn't state an exchange rate, but gives every sum in both currencies. Uses the first
    nonzero sum; an order without any falls back to 1:1, which is safe because nothing on it can be
    refunded.
    """
    pairs = [(order.total, order.total_shop), (order.net_payment, order.net_payment_shop)]
    if order.document:
        money = order.snapshot.money
        bags = [money.received, money.refunded, money.outstanding, money.capturable]
        bags += [payment.amount for payment in order.snapshot.transactions]
        pairs += [
            (bag.presentment.amount, bag.shop.amount)
            for bag in bags
            if bag.presentment.currency == order.currency
            and bag.shop.currency == order.shop_currency
        ]
    found = next(((p, s) for p, s in pairs if p > 0 and s > 0), None)
    return found or (Decimal(1), Decimal(1))
