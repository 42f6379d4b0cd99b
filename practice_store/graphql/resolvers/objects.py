"""Fields of orders, and of what belongs to them, that aren't plain attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from core.json_types import JsonObject
from practice_store import (
    order_sums,
    quantities,
)
from practice_store.changes import (
    crediting,
    refunding,
    returning,
)
from practice_store.context import Context
from practice_store.errors import ShopError
from practice_store.graphql import scopes
from practice_store.graphql.resolvers.agreements import agreements
from practice_store.graphql.resolvers.base import (
    MAX_PAGE,
    RESOLVERS,
    Args,
    Part,
    Resolver,
    Row,
    connection,
    in_any_order,
    resolves,
)
from practice_store.sales import payments
from practice_store.state import (
    ZERO,
    Customer,
    FulfillmentLine,
    FulfillmentOrderLine,
    LineItem,
    Order,
    Refund,
    RefundLine,
    Resource,
    Return,
    Transaction,
    gid,
)

# The amount that a row, a Part or a suggestion shows in one of its money fields.
Sum = Callable[[Any], Decimal]
Parent = Order | Part[Resource]


def parts(order: Order, rows: Sequence[Row]) -> list[Part[Row]]:
    """Return the rows as Parts of their order."""
    return [Part(order, row) for row in rows]


def _sums(type_name: str, table: dict[str, Sum]) -> None:
    """Register `<name>Set` as a money bag and `<name>` as the deprecated amount in shop currency."""
    for name, amount in table.items():

        def as_bag(parent: Parent, _c: Context, _a: Args, amount: Sum = amount) -> JsonObject:
            return order_sums.bag(_order_of(parent), amount(parent))

        RESOLVERS.setdefault(type_name, {})[f"{name}Set"] = as_bag

        def as_text(parent: Parent, _c: Context, _a: Args, amount: Sum = amount) -> object:
            return order_sums.bag(_order_of(parent), amount(parent))["shopMoney"]["amount"]

        RESOLVERS[type_name][name] = as_text


def _order_of(parent: Parent) -> Order:
    return parent if isinstance(parent, Order) else parent.order


def _fields(type_name: str, table: dict[str, Resolver]) -> None:
    RESOLVERS.setdefault(type_name, {}).update(table)


_sums(
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


_fields(
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


def _list(rows: Callable[[Order], Sequence[Resource]]) -> Resolver:
    """Return a resolver for a plain list, silently cut at `first` and at the maximum page size."""

    def resolve(order: Order, context: Context, args: Args) -> list[Part[Resource]]:
        found = parts(order, in_any_order(context, rows(order)))
        first = args.get("first")
        return found[: MAX_PAGE if first is None else min(first, MAX_PAGE)]

    return resolve


def _page(rows: Callable[[Any], Sequence[Resource]]) -> Resolver:
    def resolve(parent: Parent, _context: Context, args: Args) -> JsonObject:
        return connection(parts(_order_of(parent), rows(parent)), args)

    return resolve


def _order_customer(order: Order, context: Context, _args: Args) -> Customer | None:
    return context.shop.customers.get(order.customer_number or 0)


_fields(
    "Order",
    {
        "lineItems": _page(lambda o: o.lines),
        "fulfillments": _list(lambda o: o.fulfillments),
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
        "fulfillmentOrders": _page(lambda o: o.fulfillment_orders),
        "transactions": _list(lambda o: o.transactions),
        "refunds": _list(lambda o: o.refunds),
        "returns": lambda o, c, a: connection(parts(o, in_any_order(c, o.returns)), a),
        "shippingLines": _page(lambda o: o.shipping_lines),
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


_sums(
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


_fields(
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
        "duties": lambda p, c, a: [_duty(p.order, p.row)] if p.duty else [],
    },
)


def _duty(order: Order, line: LineItem) -> JsonObject:
    return {
        "id": refunding.duty_id(line),
        "price": order_sums.bag(order, line.duty),
        "taxLines": [],
        "harmonizedSystemCode": None,
        "countryCodeOfOrigin": None,
    }


_sums(
    "ShippingLine",
    {
        "originalPrice": lambda p: p.price,
        "discountedPrice": lambda p: p.price,
        "currentDiscountedPrice": lambda p: p.price,
        "price": lambda p: p.price,
    },
)
_fields(
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
_sums("OrderTransaction", {"amount": lambda p: p.amount})
_fields(
    "OrderTransaction",
    {
        "manualPaymentGateway": lambda p, c, a: p.manual,
        "manuallyCapturable": lambda p, c, a: False,
        "multiCapturable": lambda p, c, a: False,
        "formattedGateway": lambda p, c, a: _gateway_label(p.gateway),
        "parentTransaction": lambda p, c, a: _transaction(p.order, p.parent_number),
        "order": lambda p, c, a: p.order,
        "paymentId": lambda p, c, a: f"{p.order.name}.{p.number_id}",
        "totalUnsettledSet": lambda p, c, a: order_sums.bag(p.order, ZERO),
    },
)


def _gateway_label(gateway: str) -> str:
    if gateway == payments.STORE_CREDIT_GATEWAY:
        return "Store credit"
    return gateway if " " in gateway else gateway.replace("_", " ").title()


def _transaction(order: Order, number_id: int | None) -> Part[Transaction] | None:
    found = next((t for t in order.transactions if t.number_id == number_id), None)
    return Part(order, found) if found else None


def _refund_transactions(order: Order, refund: Refund) -> list[Transaction]:
    return [t for t in order.transactions if t.number_id in refund.transactions]


def _refund_total(part: Part[Refund]) -> Decimal:
    dead = {"FAILURE", "ERROR"}
    moved = [t for t in _refund_transactions(part.order, part.row) if t.status not in dead]
    return sum((t.amount for t in moved), ZERO)


_sums("Refund", {"totalRefunded": _refund_total})
_fields(
    "Refund",
    {
        "order": lambda p, c, a: p.order,
        "updatedAt": lambda p, c, a: p.row.created_at,
        "transactions": lambda p, c, a: connection(
            parts(p.order, in_any_order(c, _refund_transactions(p.order, p.row))), a
        ),
        "refundLineItems": _page(lambda p: p.lines),
        "orderAdjustments": _page(lambda p: p.adjustments),
        "return": lambda p, c, a: _return(p.order, p.return_number),
        "duties": lambda p, c, a: [
            {
                "amountSet": order_sums.bag(p.order, duty.amount),
                "originalDuty": _duty(p.order, p.order.line(duty.line_number)),
            }
            for duty in p.row.duties
        ],
    },
)


def _return(order: Order, number_id: int | None) -> Part[Return] | None:
    found = next((r for r in order.returns if r.number_id == number_id), None)
    return Part(order, found) if found else None


_sums(
    "RefundLineItem",
    {
        "subtotal": lambda p: p.subtotal,
        "totalTax": lambda p: p.tax,
        "price": lambda p: p.subtotal,
    },
)
_fields(
    "RefundLineItem",
    {
        "restocked": lambda p, c, a: p.restock_type != "NO_RESTOCK",
        "lineItem": lambda p, c, a: _line_item(p),
        "location": lambda p, c, a: _stock_location(p, c),
    },
)
_sums("OrderAdjustment", {"amount": lambda p: p.amount, "taxAmount": lambda p: p.tax})
_fields("OrderAdjustment", {"reason": lambda p, c, a: p.kind})


def _line_item(
    part: Part[RefundLine] | Part[FulfillmentLine] | Part[FulfillmentOrderLine],
) -> Part[LineItem]:
    return Part(part.order, part.order.line(part.row.line_number))


_fields(
    "Fulfillment",
    {
        "order": lambda p, c, a: p.order,
        "trackingInfo": lambda p, c, a: in_any_order(c, p.row.tracking)[
            : min(a.get("first") or MAX_PAGE, MAX_PAGE)
        ],
        "fulfillmentLineItems": _page(lambda p: p.row.lines),
        "events": _page(lambda p: sorted(p.row.events, key=lambda e: e.happened_at)),
        "totalQuantity": lambda p, c, a: sum(line.quantity for line in p.row.lines),
        "requiresShipping": lambda p, c, a: True,
        "service": lambda p, c, a: {
            "id": "gid://shopify/FulfillmentService/manual",
            "trackingSupport": False,
            "location": location(c),
            "handle": "manual",
            "serviceName": "Manual",
            "type": "MANUAL",
        },
        "fulfillmentOrders": lambda p, c, a: connection(
            parts(p.order, p.order.fulfillment_orders), a
        ),
        "location": lambda p, c, a: location(c, p.location_number),
        "originAddress": lambda p, c, a: None,
    },
)
_sums(
    "FulfillmentLineItem",
    {
        "originalTotal": lambda p: p.order.line(p.line_number).unit_price * p.quantity,
        "discountedTotal": lambda p: _fulfilled_total(p),
    },
)
_fields("FulfillmentLineItem", {"lineItem": lambda p, c, a: _line_item(p)})


def _fulfilled_total(part: Part[FulfillmentLine]) -> Decimal:
    row = part.row
    line = part.order.line(row.line_number)
    return order_sums.share(part.order, order_sums.line_total(line), row.quantity, line.quantity)


_fields(
    "FulfillmentOrder",
    {
        "order": lambda p, c, a: p.order,
        "lineItems": _page(lambda p: p.row.lines),
        "deliveryMethod": lambda p, c, a: {
            "id": gid("DeliveryMethod", p.number_id),
            "methodType": p.method_type,
            "presentedName": "Standard",
        },
        "fulfillmentHolds": lambda p, c, a: (
            [
                {
                    "id": gid("FulfillmentHold", p.number_id),
                    "reason": "OTHER",
                    "displayReason": p.hold_reason,
                    "reasonNotes": p.hold_note,
                }
            ]
            if p.hold_reason
            else []
        ),
        "supportedActions": lambda p, c, a: [
            {"action": name}
            for name in ("CREATE_FULFILLMENT", "MOVE", "HOLD", "SPLIT")
            if p.status == "OPEN"
        ],
        "fulfillAt": lambda p, c, a: p.row.fulfill_at or p.created_at,
        "fulfillBy": lambda p, c, a: None,
        "assignedLocation": lambda p, c, a: {
            "name": p.row.location,
            "location": location(c, p.location_number),
        },
        "merchantRequests": lambda p, c, a: connection([], a),
        "fulfillments": lambda p, c, a: connection(parts(p.order, p.order.fulfillments), a),
    },
)
_fields("FulfillmentOrderLineItem", {"lineItem": lambda p, c, a: _line_item(p)})


def location(context: Context, number: int | None = None) -> JsonObject:
    """Return a location of the shop; None means the one that orders ship from."""
    locations = context.shop.locations
    found = number if number in locations else next(iter(locations))
    return {
        "__typename": "Location",
        "id": gid("Location", found),
        "name": locations[found],
        "isActive": True,
        "legacyResourceId": str(found),
    }


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
_fields(
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
            {"amountSet": order_sums.bag(s.order, amount), "originalDuty": _duty(s.order, line)}
            for line, amount in s.duties
        ],
        "suggestedTransactions": lambda s, c, a: [
            {
                "kind": "SUGGESTED_REFUND",
                "gateway": payment.gateway,
                "formattedGateway": _gateway_label(payment.gateway),
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


@resolves("Customer", "orders")
def _customer_orders(customer: Customer, context: Context, args: Args) -> JsonObject:
    return connection(customer_orders(context, customer), args)


def customer_orders(context: Context, customer: Customer) -> list[Order]:
    """Return the customer's orders, in the order they were added to the shop."""
    return [o for o in context.shop.orders.values() if o.customer_number == customer.number_id]


def _email_address(context: Context, customer: Customer) -> JsonObject:
    url = f"https://{context.shop.domain}/account/unsubscribe?id={customer.number_id}"
    return {
        "emailAddress": customer.email,
        "marketingState": customer.email_consent,
        "marketingUnsubscribeUrl": url,
        "validFormat": True,
        "openTrackingLevel": "UNKNOWN",
        "openTrackingUrl": f"https://{context.shop.domain}/tools/emails/open",
    }


def _phone_number(customer: Customer) -> JsonObject:
    # The newer type has a different name for the same state.
    state = customer.sms_consent.replace("NOT_SUBSCRIBED", "NEVER_SUBSCRIBED")
    consent = {"state": state, "optInLevel": None, "updatedAt": None}
    return {
        "phoneNumber": customer.phone,
        "marketingState": customer.sms_consent,
        "smsMarketingConsent": consent,
    }


_fields(
    "Customer",
    {
        "defaultEmailAddress": lambda cu, c, a: _email_address(c, cu) if cu.email else None,
        "defaultPhoneNumber": lambda cu, c, a: _phone_number(cu) if cu.phone else None,
        "numberOfOrders": lambda cu, c, a: str(len(customer_orders(c, cu))),
        "amountSpent": lambda cu, c, a: {
            "amount": sum(
                (
                    order_sums.rounded(order_sums.net(o) * o.rate, o.currency)
                    for o in customer_orders(c, cu)
                ),
                ZERO,
            ),
            "currencyCode": c.shop.currency,
        },
        "lastOrder": lambda cu, c, a: next(reversed(customer_orders(c, cu)), None),
        "lifetimeDuration": lambda cu, c, a: "less than a minute",
        "verifiedEmail": lambda cu, c, a: True,
        "canDelete": lambda cu, c, a: not customer_orders(c, cu),
        "addresses": lambda cu, c, a: [],
        "defaultAddress": lambda cu, c, a: None,
    },
)
_fields(
    "MailingAddress",
    {
        "countryCodeV2": lambda p, c, a: p.country_code,
        "id": lambda p, c, a: gid("MailingAddress", 1),
    },
)
