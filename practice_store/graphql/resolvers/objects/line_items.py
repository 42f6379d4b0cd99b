"""Fields of an order's lines and shipping lines."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.changes import refunding
from practice_store.derived import order_sums, quantities
from practice_store.graphql.resolvers.base import Part
from practice_store.graphql.resolvers.objects.fields import add_fields, add_sums
from practice_store.state import FulfillmentLine, FulfillmentOrderLine, LineItem, Order, RefundLine

add_sums(
    "LineItem",
    {
        "originalUnitPrice": lambda p: p.unit_price,
        "originalTotal": lambda p: p.unit_price * p.quantity,
        "discountedTotal": lambda p: order_sums.line_total(p.row),
        "discountedUnitPrice": lambda p: _per_unit(p),
        "discountedUnitPriceAfterAllDiscounts": lambda p: _per_unit(p),
        "totalDiscount": lambda p: p.discount,
        "unfulfilledDiscountedTotal": lambda p: order_sums.share(
            p.order,
            order_sums.line_total(p.row),
            quantities.unfulfilled_quantity(p.order, p.number_id),
            p.quantity,
        ),
    },
)


def _per_unit(part: Part[LineItem]) -> Decimal:
    return order_sums.share(part.order, order_sums.line_total(part.row), 1, part.row.quantity)


add_fields(
    "LineItem",
    {
        "name": lambda p, c, a: " - ".join(x for x in (p.title, p.variant_title) if x),
        "currentQuantity": lambda p, c, a: p.row.current_quantity,
        "refundableQuantity": lambda p, c, a: quantities.refundable_quantity(p.order, p.number_id),
        "unfulfilledQuantity": lambda p, c, a: quantities.unfulfilled_quantity(
            p.order, p.number_id
        ),
        "fulfillableQuantity": lambda p, c, a: quantities.unfulfilled_quantity(
            p.order, p.number_id
        ),
        "nonFulfillableQuantity": lambda p, c, a: p.refunded + p.removed,
        "restockable": lambda p, c, a: p.requires_shipping and not p.is_custom,
        "image": lambda p, c, a: {"url": p.row.image, "altText": None} if p.row.image else None,
        "customAttributes": lambda p, c, a: [
            {"key": k, "value": v} for k, v in p.properties.items()
        ],
        "taxLines": lambda p, c, a: (
            [
                {
                    "title": p.tax_title,
                    "rate": float(p.tax_rate),
                    "ratePercentage": float(p.tax_rate * 100),
                    "priceSet": order_sums.bag(p.order, p.tax),
                }
            ]
            if p.tax
            else []
        ),
        "discountAllocations": lambda p, c, a: [],
        "product": lambda p, c, a: {"id": p.row.product_id} if p.row.product_id else None,
        "merchantEditable": lambda p, c, a: True,
        "duties": lambda p, c, a: [duty_of_line(p.order, p.row)] if p.duty else [],
    },
)


def duty_of_line(order: Order, line: LineItem) -> JsonObject:
    """Return the Duty of a line that has one."""
    return {
        "id": refunding.duty_id(line),
        "price": order_sums.bag(order, line.duty),
        "taxLines": [],
        "harmonizedSystemCode": None,
        "countryCodeOfOrigin": None,
    }


add_sums(
    "ShippingLine",
    {
        "originalPrice": lambda p: p.price,
        "discountedPrice": lambda p: p.price,
        "currentDiscountedPrice": lambda p: p.price,
        "price": lambda p: p.price,
    },
)
add_fields(
    "ShippingLine",
    {
        "taxLines": lambda p, c, a: (
            [
                {
                    "title": p.tax_title,
                    "rate": float(p.tax_rate),
                    "ratePercentage": float(p.tax_rate * 100),
                    "priceSet": order_sums.bag(p.order, p.tax),
                }
            ]
            if p.tax
            else []
        ),
        "custom": lambda p, c, a: True,
    },
)


def line_item_of(
    part: Part[RefundLine] | Part[FulfillmentLine] | Part[FulfillmentOrderLine],
) -> Part[LineItem]:
    """Return the order's line that a refund's, parcel's or fulfillment order's line is about."""
    return Part(part.order, part.order.line(part.row.line_number))
