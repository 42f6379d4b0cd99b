"""Fields of orders that aren't plain attributes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from core.json_types import JsonObject
from practice_store.changes import crediting, refunding, returning
from practice_store.context import Context
from practice_store.derived import order_sums, quantities
from practice_store.errors import ShopError
from practice_store.graphql import scopes
from practice_store.graphql.resolvers.agreements import agreements
from practice_store.graphql.resolvers.base import Args, Part, Resolver, connection, in_any_order
from practice_store.graphql.resolvers.objects.fields import (
    add_fields,
    add_sums,
    cut_list,
    page_of,
    parts,
)
from practice_store.state import ZERO, Customer, Order, gid

add_sums(
    "Order",
    {
        "totalPrice": order_sums.total,
        "originalTotalPrice": order_sums.original_total,
        "currentTotalPrice": lambda o: order_sums.current(o)["total"],
        "subtotalPrice": lambda o: order_sums.subtotal(o),
        "currentSubtotalPrice": lambda o: order_sums.current(o)["subtotal"],
        "totalTax": order_sums.tax,
        "currentTotalTax": lambda o: order_sums.current(o)["tax"],
        "totalDiscounts": order_sums.discounts,
        "currentTotalDiscounts": lambda o: order_sums.current(o)["discounts"],
        "totalShippingPrice": order_sums.shipping,
        "currentShippingPrice": lambda o: order_sums.current(o)["shipping"],
        "totalRefundedShipping": order_sums.refunded_shipping,
        "totalReceived": order_sums.received,
        "totalRefunded": order_sums.refunded,
        "netPayment": order_sums.net,
        "totalOutstanding": order_sums.outstanding,
        "totalCapturable": order_sums.capturable,
        "totalTipReceived": lambda o: o.tip,
        "refundDiscrepancy": lambda o: sum(
            (a.amount for r in o.refunds for a in r.adjustments), ZERO
        ),
    },
)


def _or_null(amount: Callable[[Order], Decimal], whole: Callable[[Order], Decimal]) -> Resolver:
    """Return a resolver for a sum that is null if the order has none of it."""
    return lambda o, c, a: order_sums.bag(o, amount(o)) if whole(o) else None


add_fields(
    "Order",
    {
        "originalTotalDutiesSet": _or_null(order_sums.duties, order_sums.duties),
        "currentTotalDutiesSet": _or_null(
            lambda o: order_sums.current(o)["duties"], order_sums.duties
        ),
        "originalTotalAdditionalFeesSet": _or_null(order_sums.fees, order_sums.fees),
        "currentTotalAdditionalFeesSet": _or_null(order_sums.fees, order_sums.fees),
    },
)


def _order_customer(order: Order, context: Context, _args: Args) -> Customer | None:
    return context.shop.customers.get(order.customer_number or 0)


add_fields(
    "Order",
    {
        "lineItems": page_of(lambda o: o.lines),
        "fulfillments": cut_list(lambda o: o.fulfillments),
        "fulfillmentsCount": lambda o, c, a: {"count": len(o.fulfillments), "precision": "EXACT"},
        "transactionsCount": lambda o, c, a: {"count": len(o.transactions), "precision": "EXACT"},
        "additionalFees": lambda o, c, a: [
            {
                "id": gid("AdditionalFee", o.number_id * 100 + place),
                "name": fee.name,
                "price": order_sums.bag(o, fee.price),
                "taxLines": [],
            }
            for place, fee in enumerate(o.fees)
        ],
        "totalCashRoundingAdjustment": lambda o, c, a: {
            "paymentSet": order_sums.bag(o, o.cash_rounding),
            "refundSet": order_sums.bag(o, ZERO),
        },
        "agreements": lambda o, c, a: connection(agreements(o), a),
        "fulfillmentOrders": page_of(lambda o: o.fulfillment_orders),
        "transactions": cut_list(lambda o: o.transactions),
        "refunds": cut_list(lambda o: o.refunds),
        "returns": lambda o, c, a: connection(parts(o, in_any_order(c, o.returns)), a),
        "shippingLines": page_of(lambda o: o.shipping_lines),
        "shippingLine": lambda o, c, a: Part(o, o.shipping_lines[0]) if o.shipping_lines else None,
        "customer": _order_customer,
        "customAttributes": lambda o, c, a: [
            {"key": k, "value": v} for k, v in o.attributes.items()
        ],
        "closed": lambda o, c, a: o.closed_at is not None,
        "cancellation": lambda o, c, a: (
            {"staffNote": o.cancel_staff_note} if o.cancelled_at else None
        ),
        "displayFinancialStatus": lambda o, c, a: order_sums.financial_status(o),
        "displayFulfillmentStatus": lambda o, c, a: quantities.fulfillment_status(o, c.api_version),
        "returnStatus": lambda o, c, a: returning.return_status(o),
        "refundable": lambda o, c, a: order_sums.net(o) > 0,
        "restockable": lambda o, c, a: any(line.current_quantity for line in o.lines),
        "capturable": lambda o, c, a: order_sums.capturable(o) > 0,
        "canNotifyCustomer": lambda o, c, a: bool(o.email or o.phone),
        "canMarkAsPaid": lambda o, c, a: order_sums.outstanding(o) > 0 and not o.cancelled_at,
        "edited": lambda o, c, a: any(edit.reason == "ORDER_EDIT" for edit in o.edits),
        "confirmed": lambda o, c, a: True,
        "fulfillable": lambda o, c, a: any(
            quantities.unfulfilled_quantity(o, line.number_id) for line in o.lines
        ),
        "fullyPaid": lambda o, c, a: order_sums.received(o) >= order_sums.total(o),
        "unpaid": lambda o, c, a: order_sums.received(o) == 0,
        "requiresShipping": lambda o, c, a: any(line.requires_shipping for line in o.lines),
        "currencyCode": lambda o, c, a: o.currency,
        "presentmentCurrencyCode": lambda o, c, a: o.presentment_currency,
        "paymentGatewayNames": lambda o, c, a: list(
            dict.fromkeys(t.gateway for t in o.transactions)
        ),
        "statusPageUrl": lambda o, c, a: _status_page(o, c),
        "app": lambda o, c, a: {"id": gid("App", 580111), "name": o.channel} if o.channel else None,
        "paymentTerms": lambda o, c, a: _payment_terms(o, c),
        "customerLocale": lambda o, c, a: getattr(_order_customer(o, c, a), "locale", None),
        "subtotalLineItemsQuantity": lambda o, c, a: sum(li.quantity for li in o.lines),
        "currentSubtotalLineItemsQuantity": lambda o, c, a: sum(
            li.current_quantity for li in o.lines
        ),
        "disputes": lambda o, c, a: _disputes(o, c),
        "risk": lambda o, c, a: {
            "assessments": [{"riskLevel": o.risk_level, "facts": []}],
            "recommendation": "ACCEPT",
        },
        "taxLines": lambda o, c, a: _tax_lines(o),
        "discountCodes": lambda o, c, a: [o.discount_code] if o.discount_code else [],
        "discountCode": lambda o, c, a: o.discount_code,
        "channelInformation": lambda o, c, a: None,
        "suggestedRefund": lambda o, c, a: refunding.suggest(
            o,
            lines=a.get("refundLineItems"),
            full=bool(a.get("suggestFullRefund")),
            shipping=order_sums.shipping(o) if a.get("refundShipping") else a.get("shippingAmount"),
            duties=a.get("refundDuties"),
            as_store_credit=a.get("refundMethodAllocation") == "STORE_CREDIT"
            and crediting.has_customer(c, o),
        ),
    },
)

DISPUTES_SCOPE: Final = "read_shopify_payments_disputes"


def _disputes(order: Order, context: Context) -> list[JsonObject]:
    """Return the disputes.

    The field is non-null: without the scope, its refusal hides the whole order.
    """
    if context.scopes and DISPUTES_SCOPE not in context.scopes:
        raise ShopError(
            f"Access denied for disputes field. Required access: `{DISPUTES_SCOPE}` access scope.",
            "ACCESS_DENIED",
        )
    if not order.dispute:
        return []
    return [
        {
            "id": gid("OrderDisputeSummary", order.number_id),
            "status": order.dispute,
            "initiatedAs": "CHARGEBACK",
        }
    ]


def _status_page(order: Order, context: Context) -> str:
    """Return the order status page.

    The field is non-null, so refusing it hides the whole order.
    """
    scopes.needs_customer_pages(context, "Order.statusPageUrl")
    return f"https://{context.shop.domain}/orders/{order.number_id}/authenticate"


def _payment_terms(order: Order, context: Context) -> JsonObject | None:
    if context.scopes and not {"read_payment_terms", "write_payment_terms"} & context.scopes:
        raise ShopError(
            "Access denied for paymentTerms field. Required access: `read_payment_terms` access "
            "scope.",
            "ACCESS_DENIED",
        )
    terms = order.terms
    if terms is None:
        return None
    is_paid = order_sums.outstanding(order) <= 0
    overdue = terms.due_at is not None and terms.due_at < context.now() and not is_paid
    schedule = {
        "id": gid("PaymentSchedule", order.number_id),
        "dueAt": terms.due_at,
        "issuedAt": terms.issued_at,
        "completedAt": order.updated_at if is_paid else None,
        "due": overdue,
    }
    return {
        "id": gid("PaymentTerms", order.number_id),
        "paymentTermsName": terms.name,
        "translatedName": terms.name,
        "paymentTermsType": terms.kind,
        "due": overdue,
        "overdue": overdue,
        "paymentSchedules": connection([schedule], {"first": 1}),
    }


def _tax_lines(order: Order) -> list[JsonObject]:
    by_rate: dict[tuple[str, Decimal], Decimal] = {}
    for line in order.lines:
        if line.tax:
            key = (line.tax_title, line.tax_rate)
            by_rate[key] = by_rate.get(key, ZERO) + line.tax
    return [
        {
            "title": title,
            "rate": float(rate),
            "ratePercentage": float(rate * 100),
            "priceSet": order_sums.bag(order, amount),
        }
        for (title, rate), amount in by_rate.items()
    ]
