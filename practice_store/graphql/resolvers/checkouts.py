"""AbandonedCheckout, for node(id:) and abandonedCheckouts."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums, payloads
from practice_store.graphql import (
    scopes,
    search,
)
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    Args,
    connection,
    resolves,
)
from practice_store.state import (
    ZERO,
    Checkout,
    CheckoutLine,
)


def _bag(checkout: Checkout, amount: Decimal) -> JsonObject:
    side = {
        "amount": order_sums.rounded(amount, checkout.currency),
        "currencyCode": checkout.currency,
    }
    return {"shopMoney": side, "presentmentMoney": side}


def _recovery_url(checkout: Checkout, context: Context) -> str:
    """Return the recovery link.

    The field is non-null, so refusing it hides the whole checkout.
    """
    scopes.needs_customer_pages(context, "AbandonedCheckout.abandonedCheckoutUrl")
    return payloads.recovery_url(context.shop, checkout)


RESOLVERS["AbandonedCheckout"] = {
    "abandonedCheckoutUrl": lambda p, c, a: _recovery_url(p, c),
    "customer": lambda p, c, a: c.shop.customers.get(p.customer_number or 0),
    "customAttributes": lambda p, c, a: [],
    "defaultCursor": lambda p, c, a: str(p.number_id),
    "discountCodes": lambda p, c, a: [],
    "lineItems": lambda p, c, a: connection([(p, line) for line in p.lines], a),
    "lineItemsQuantity": lambda p, c, a: sum(line.quantity for line in p.lines),
    "taxLines": lambda p, c, a: [],
    "taxesIncluded": lambda p, c, a: False,
    "subtotalPriceSet": lambda p, c, a: _bag(p, p.total),
    "totalLineItemsPriceSet": lambda p, c, a: _bag(p, p.total),
    "totalPriceSet": lambda p, c, a: _bag(p, p.total),
    "totalDiscountSet": lambda p, c, a: _bag(p, ZERO),
    "totalTaxSet": lambda p, c, a: _bag(p, ZERO),
}


def _line_total(parent: tuple[Checkout, CheckoutLine], *_: object) -> JsonObject:
    checkout, line = parent
    return _bag(checkout, line.unit_price * line.quantity)


def _line_unit(parent: tuple[Checkout, CheckoutLine], *_: object) -> JsonObject:
    return _bag(parent[0], parent[1].unit_price)


RESOLVERS["AbandonedCheckoutLineItem"] = {
    "id": lambda p, c, a: p[1].id,
    "title": lambda p, c, a: p[1].title,
    "quantity": lambda p, c, a: p[1].quantity,
    "customAttributes": lambda p, c, a: [],
    "originalTotalPriceSet": _line_total,
    "discountedTotalPriceSet": _line_total,
    "discountedTotalPriceWithCodeDiscount": _line_total,
    "originalUnitPriceSet": _line_unit,
    "discountedUnitPriceSet": _line_unit,
    "discountedUnitPriceWithCodeDiscount": _line_unit,
}


@resolves("QueryRoot", "abandonedCheckouts")
def _checkouts(_parent: object, context: Context, args: Args) -> JsonObject:
    rows = sorted(context.shop.checkouts.values(), key=lambda row: row.number_id)
    return connection(search.checkouts(rows, args.get("query") or ""), args)
