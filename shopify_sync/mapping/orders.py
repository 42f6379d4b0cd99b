"""Map a whole order: its own fields, people, goods and payments."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from orders.snapshot import Fee, MoneyBag, OrderMoney, OrderSnapshot, PaymentTerms
from shopify_sync.mapping.goods import (
    added_lines,
    fulfillment,
    fulfillment_order,
    line_item,
)
from shopify_sync.mapping.payments import dispute, refund, transaction
from shopify_sync.mapping.people import address, customer_snapshot
from shopify_sync.mapping.returns import a_return
from shopify_sync.mapping.values import (
    Json,
    MalformedAnswer,
    attributes,
    dig,
    each,
    must_time,
    nodes,
    to_bag,
    to_text,
    to_time,
    to_url,
    well_formed,
)

# The key under which shopify_sync.reading.complete_order names the lists it couldn't read in full.
UNREAD: Final = "_unread"


def order_snapshot(data: Json) -> OrderSnapshot:
    """Map the `order` of OrderForPanel. Raises MalformedAnswer."""
    with well_formed():
        return _order(data)


def _order(data: Json) -> OrderSnapshot:
    gid, shop = data["id"], data["currencyCode"]
    if not isinstance(gid, str) or not isinstance(shop, str):
        raise MalformedAnswer("an order without an id or a currency")
    presentment = to_text(data.get("presentmentCurrencyCode")) or shop

    def bag(name: str) -> MoneyBag:
        return to_bag(data.get(name), shop, presentment)

    def bag_or_none(*path: str) -> MoneyBag | None:
        found = dig(data, *path)
        return to_bag(found, shop, presentment) if found else None

    def fee(node: Json) -> Fee:
        amount = to_bag(node.get("price"), shop, presentment).presentment
        return Fee(name=to_text(node.get("name")), amount=amount)

    return OrderSnapshot(
        gid=gid,
        legacy_id=int(data["legacyResourceId"]),
        name=to_text(data.get("name")) or data["id"].rsplit("/", 1)[-1],
        created_at=must_time(data["createdAt"]),
        processed_at=to_time(data.get("processedAt")),
        updated_at=must_time(data["updatedAt"]),
        closed_at=to_time(data.get("closedAt")),
        cancelled_at=to_time(data.get("cancelledAt")),
        cancel_reason=to_text(data.get("cancelReason")),
        cancel_staff_note=to_text(dig(data, "cancellation", "staffNote")),
        financial_status=data.get("displayFinancialStatus"),
        fulfillment_status=data.get("displayFulfillmentStatus"),
        return_status=data.get("returnStatus"),
        is_refundable=bool(data.get("refundable")),
        is_capturable=bool(data.get("capturable")),
        is_restockable=bool(data.get("restockable")),
        can_notify_customer=bool(data.get("canNotifyCustomer")),
        is_test=bool(data.get("test")),
        requires_shipping=bool(data.get("requiresShipping")),
        is_edited=bool(data.get("edited")),
        taxes_included=bool(data.get("taxesIncluded")),
        duties_included=bool(data.get("dutiesIncluded")),
        currency=presentment,
        shop_currency=shop,
        money=OrderMoney(
            total=bag("totalPriceSet"),
            current_total=bag("currentTotalPriceSet"),
            subtotal=bag("subtotalPriceSet"),
            tax=bag("totalTaxSet"),
            discounts=bag("totalDiscountsSet"),
            shipping=bag("totalShippingPriceSet"),
            received=bag("totalReceivedSet"),
            refunded=bag("totalRefundedSet"),
            net_payment=bag("netPaymentSet"),
            outstanding=bag("totalOutstandingSet"),
            capturable=bag("totalCapturableSet"),
            tips=bag("totalTipReceivedSet"),
            duties=bag_or_none("originalTotalDutiesSet") or bag_or_none("currentTotalDutiesSet"),
            rounding=bag_or_none("totalCashRoundingAdjustment", "paymentSet"),
            refund_rounding=bag_or_none("totalCashRoundingAdjustment", "refundSet"),
        ),
        fees=each(data.get("additionalFees"), fee),
        customer=customer_snapshot(data.get("customer")),
        email=to_text(data.get("email")).strip().lower(),
        phone=to_text(data.get("phone")),
        note=to_text(data.get("note")),
        tags=tuple(to_text(tag) for tag in data.get("tags") or ()),
        attributes=attributes(data.get("customAttributes")),
        discount_codes=tuple(to_text(code) for code in data.get("discountCodes") or ()),
        channel=to_text(dig(data, "app", "name")),
        payment_terms=_terms(data.get("paymentTerms")),
        status_page_url=to_url(data.get("statusPageUrl")),
        shipping_address=address(data.get("shippingAddress")),
        billing_address=address(data.get("billingAddress")),
        shipping_title=to_text(dig(data, "shippingLine", "title")),
        risk_level=_risk(data.get("risk")),
        lines=tuple(line_item(node, presentment) for node in nodes(data.get("lineItems"))),
        fulfillments=each(data.get("fulfillments"), fulfillment),
        fulfillment_orders=each(data.get("fulfillmentOrders"), fulfillment_order),
        transactions=each(data.get("transactions"), lambda t: transaction(t, shop, presentment)),
        refunds=each(data.get("refunds"), lambda r: refund(r, shop, presentment)),
        returns=each(data.get("returns"), a_return),
        disputes=each(data.get("disputes"), dispute),
        are_disputes_known=isinstance(data.get("disputes"), list),
        added=added_lines(nodes(data.get("agreements"))),
        unread=tuple(sorted({*(data.get(UNREAD) or ()), *_cut(data)})),
    )


def _cut(data: Json) -> Iterator[str]:
    """Yield the lists that must be incomplete, because the order's own totals say more."""
    count = dig(data, "fulfillmentsCount", "count")
    if isinstance(count, int) and count > len(nodes(data.get("fulfillments"))):
        yield "fulfillments"
    refunded = to_bag(data.get("totalRefundedSet"), "", "").presentment.amount
    if sum(map(_counts_for, nodes(data.get("refunds"))), Decimal(0)) < refunded:
        yield "refunds"


def _counts_for(refund: Json) -> Decimal:
    """Return the most that a refund can account for in the order's refunded total."""
    parts = nodes(refund.get("transactions"))
    bags = [to_bag(part.get("amountSet"), "", "") for part in parts]
    asked = sum((bag.presentment.amount for bag in bags), Decimal(0))
    return max(asked, to_bag(refund.get("totalRefundedSet"), "", "").presentment.amount)


def _terms(data: Json | None) -> PaymentTerms | None:
    """Map payment terms, with the earliest due date that isn't paid yet."""
    if not data:
        return None
    schedules = nodes(dig(data, "paymentSchedules"))
    open_ = [to_time(row.get("dueAt")) for row in schedules if not row.get("completedAt")]
    return PaymentTerms(
        name=to_text(data.get("paymentTermsName")),
        due_at=min((due for due in open_ if due), default=None),
        is_overdue=data.get("overdue") is True,
    )


def _risk(data: Json | None) -> str:
    """Return the worst risk assessment: HIGH, MEDIUM, LOW or ""."""
    levels = {to_text(a.get("riskLevel")) for a in (data or {}).get("assessments") or () if a}
    return next((level for level in ("HIGH", "MEDIUM", "LOW") if level in levels), "")
