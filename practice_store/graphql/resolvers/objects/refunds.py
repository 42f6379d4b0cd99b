"""Fields of refunds, made or suggested."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.json_types import JsonObject
from practice_store.changes import refunding
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.errors import ShopError
from practice_store.graphql.resolvers.base import RESOLVERS, Part, connection, in_any_order
from practice_store.graphql.resolvers.objects.fields import add_fields, add_sums, page_of, parts
from practice_store.graphql.resolvers.objects.line_items import duty_of_line, line_item_of
from practice_store.graphql.resolvers.objects.locations import location
from practice_store.graphql.resolvers.objects.payments import gateway_label
from practice_store.state import ZERO, Order, Refund, RefundLine, Return, Transaction


def _refund_transactions(order: Order, refund: Refund) -> list[Transaction]:
    return [t for t in order.transactions if t.number_id in refund.transactions]


def _refund_total(part: Part[Refund]) -> Decimal:
    dead = {"FAILURE", "ERROR"}
    moved = [t for t in _refund_transactions(part.order, part.row) if t.status not in dead]
    return sum((t.amount for t in moved), ZERO)


add_sums("Refund", {"totalRefunded": _refund_total})
add_fields(
    "Refund",
    {
        "order": lambda p, c, a: p.order,
        "updatedAt": lambda p, c, a: p.row.created_at,
        "transactions": lambda p, c, a: connection(
            parts(p.order, in_any_order(c, _refund_transactions(p.order, p.row))), a
        ),
        "refundLineItems": page_of(lambda p: p.lines),
        "orderAdjustments": page_of(lambda p: p.adjustments),
        "return": lambda p, c, a: _return(p.order, p.return_number),
        "duties": lambda p, c, a: [
            {
                "amountSet": order_sums.bag(p.order, duty.amount),
                "originalDuty": duty_of_line(p.order, p.order.line(duty.line_number)),
            }
            for duty in p.row.duties
        ],
    },
)


def _return(order: Order, number_id: int | None) -> Part[Return] | None:
    found = next((r for r in order.returns if r.number_id == number_id), None)
    return Part(order, found) if found else None


add_sums(
    "RefundLineItem",
    {
        "subtotal": lambda p: p.subtotal,
        "totalTax": lambda p: p.tax,
        "price": lambda p: p.subtotal,
    },
)
add_fields(
    "RefundLineItem",
    {
        "restocked": lambda p, c, a: p.restock_type != "NO_RESTOCK",
        "lineItem": lambda p, c, a: line_item_of(p),
        "location": lambda p, c, a: _stock_location(p, c),
    },
)
add_sums("OrderAdjustment", {"amount": lambda p: p.amount, "taxAmount": lambda p: p.tax})
add_fields("OrderAdjustment", {"reason": lambda p, c, a: p.kind})


def _stock_location(line: Part[RefundLine] | JsonObject, context: Context) -> JsonObject | None:
    """Return where refunded units go, or would go; an error if the app lacks read_locations."""
    if isinstance(line, dict):
        goes_to = line["goes_to"]
        stays, number = goes_to.restock_type == "NO_RESTOCK", goes_to.location_number
    else:
        stays, number = not line.row.location_number, line.row.location_number
    if stays:
        return None
    if "read_locations" not in context.scopes:
        message = (
            "Access denied for location field. Required access: `read_locations` access scope."
        )
        raise ShopError(message, "ACCESS_DENIED", requiredAccess="`read_locations` access scope.")
    return location(context, number)


def _suggestion_sums(name: str, amount: Callable[[refunding.Suggestion], Decimal]) -> None:
    RESOLVERS.setdefault("SuggestedRefund", {})[f"{name}Set"] = lambda s, c, a: order_sums.bag(
        s.order, amount(s)
    )


_suggestion_sums("amount", lambda s: s.amount)
_suggestion_sums("maximumRefundable", lambda s: s.maximum)
_suggestion_sums("subtotal", lambda s: s.subtotal)
_suggestion_sums("discountedSubtotal", lambda s: s.subtotal)
_suggestion_sums("totalTax", lambda s: s.tax)
_suggestion_sums("totalDuties", lambda s: sum((amount for _, amount in s.duties), ZERO))
_suggestion_sums("totalCartDiscountAmount", lambda s: ZERO)
add_fields(
    "SuggestedRefund",
    {
        "shipping": lambda s, c, a: {
            "amountSet": order_sums.bag(s.order, s.shipping),
            "maximumRefundableSet": order_sums.bag(s.order, s.shipping_maximum),
            "taxSet": order_sums.bag(s.order, ZERO),
        },
        "refundLineItems": lambda s, c, a: [
            {
                "quantity": line.quantity,
                "restockType": line.restock_type,
                "goes_to": line,
                "restocked": False,
                "lineItem": Part(s.order, line.line),
                "priceSet": order_sums.bag(s.order, line.subtotal),
                "subtotalSet": order_sums.bag(s.order, line.subtotal),
                "totalTaxSet": order_sums.bag(s.order, line.tax),
            }
            for line in s.lines
        ],
        "refundDuties": lambda s, c, a: [
            {
                "amountSet": order_sums.bag(s.order, amount),
                "originalDuty": duty_of_line(s.order, line),
            }
            for line, amount in s.duties
        ],
        "suggestedTransactions": lambda s, c, a: [
            {
                "kind": "SUGGESTED_REFUND",
                "gateway": payment.gateway,
                "formattedGateway": gateway_label(payment.gateway),
                "accountNumber": payment.account_number,
                "amountSet": order_sums.bag(s.order, amount),
                "maximumRefundableSet": order_sums.bag(s.order, maximum),
                "parentTransaction": Part(s.order, payment),
            }
            for payment, amount, maximum in s.transactions
        ],
        "suggestedRefundMethods": lambda s, c, a: (
            [
                {
                    "__typename": "SuggestedStoreCreditRefund",
                    "amount": order_sums.bag(s.order, s.amount),
                    "maximumRefundable": order_sums.bag(s.order, s.maximum),
                    "expiresAt": None,
                }
            ]
            if s.as_store_credit
            else []
        ),
    },
)
