"""GraphQL JSON to OrderSnapshot: the one place that reads Shopify's vocabulary. Pure.

Shopify leaves out, nulls and invents; a field that may be null there never fails here. What
cannot be done without (ids, times, amounts) raises MalformedAnswer and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from orders.errors import InvalidMoney
from orders.gateway import SuggestedLine, SuggestedRefund, SuggestedTransaction
from orders.money import Money
from orders.shoppers import CheckoutSnapshot, Consent, Consents
from orders.snapshot import (
    Address,
    CustomerDetails,
    CustomerSnapshot,
    Dispute,
    Fulfillment,
    FulfillmentEvent,
    FulfillmentOrder,
    LineItem,
    LineQuantity,
    MoneyBag,
    OrderMoney,
    OrderSnapshot,
    Refund,
    RefundTransaction,
    Return,
    Tracking,
    Transaction,
)

Json = dict[str, Any]
T = TypeVar("T")


class MalformedAnswer(ValueError):
    """Shopify's answer lacks what an order cannot be without, or has it in another shape."""


def order_snapshot(data: Json) -> OrderSnapshot:
    """The `order` object of OrderForPanel. Raises MalformedAnswer."""
    try:
        return _order(data)
    except (KeyError, TypeError, AttributeError, InvalidMoney, ValueError) as error:
        if isinstance(error, MalformedAnswer):
            raise
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def suggested_refund(data: Json) -> SuggestedRefund:
    """The `suggestedRefund` object. Raises MalformedAnswer."""
    try:
        return _suggested(data)
    except (KeyError, TypeError, AttributeError, InvalidMoney) as error:
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def customer_details(data: Json) -> CustomerDetails:
    """The `customer` object of CustomerDetails. Raises MalformedAnswer."""
    try:
        return _details(data)
    except (KeyError, TypeError, AttributeError, InvalidMoney, ValueError) as error:
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def checkout_snapshot(data: Json) -> CheckoutSnapshot:
    """The `node` of CheckoutForCampaign. Raises MalformedAnswer."""
    try:
        return _checkout(data)
    except (KeyError, TypeError, AttributeError, InvalidMoney, ValueError) as error:
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def consents(customer: Json | None) -> Consents:
    """What a `customer` of the fragment Shopper agreed to. What is not told is not agreed to."""
    email = _dig(customer, "defaultEmailAddress") or {}
    phone = _dig(customer, "defaultPhoneNumber") or {}
    return Consents(
        email=Consent(
            address=_text(_dig(email, "emailAddress")).strip().lower(),
            state=_text(_dig(email, "marketingState")),
            unsubscribe_url=web_url(_dig(email, "marketingUnsubscribeUrl")),
        )
        if _dig(email, "emailAddress")
        else None,
        phone=Consent(
            address=_text(_dig(phone, "phoneNumber")),
            state=_text(_dig(phone, "smsMarketingConsent", "state")),
        )
        if _dig(phone, "phoneNumber")
        else None,
    )


def line_item(data: Json, currency: str) -> LineItem:
    return LineItem(
        gid=data["id"],
        title=_text(data.get("title")) or _text(data.get("name")) or "–",
        variant_title=_text(data.get("variantTitle")),
        sku=_text(data.get("sku")),
        quantity=_count(data.get("quantity")),
        current_quantity=_count(data.get("currentQuantity")),
        refundable_quantity=_count(data.get("refundableQuantity")),
        unfulfilled_quantity=_count(data.get("unfulfilledQuantity")),
        requires_shipping=bool(data.get("requiresShipping")),
        is_gift_card=bool(data.get("isGiftCard")),
        restockable=bool(data.get("restockable")),
        image_url=web_url(_dig(data, "image", "url")),
        unit_price=_bag(data.get("originalUnitPriceSet"), currency, currency).presentment,
        total=_bag(data.get("discountedTotalSet"), currency, currency).presentment,
    )


def web_url(url: Any) -> str:
    """The address if it is http(s), else "": a javascript: link must never be rendered."""
    text = _text(url).strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme.lower() in {"http", "https"} and parts.netloc else ""


def _order(data: Json) -> OrderSnapshot:
    gid, shop = data["id"], data["currencyCode"]
    if not isinstance(gid, str) or not isinstance(shop, str):
        raise MalformedAnswer("an order without an id or a currency")
    presentment = _text(data.get("presentmentCurrencyCode")) or shop

    def bag(name: str) -> MoneyBag:
        return _bag(data.get(name), shop, presentment)

    return OrderSnapshot(
        gid=gid,
        legacy_id=int(data["legacyResourceId"]),
        name=_text(data.get("name")) or data["id"].rsplit("/", 1)[-1],
        created_at=_must_time(data["createdAt"]),
        processed_at=_time(data.get("processedAt")),
        updated_at=_must_time(data["updatedAt"]),
        closed_at=_time(data.get("closedAt")),
        cancelled_at=_time(data.get("cancelledAt")),
        cancel_reason=_text(data.get("cancelReason")),
        cancel_staff_note=_text(_dig(data, "cancellation", "staffNote")),
        financial_status=data.get("displayFinancialStatus"),
        fulfillment_status=data.get("displayFulfillmentStatus"),
        return_status=data.get("returnStatus"),
        is_refundable=bool(data.get("refundable")),
        is_capturable=bool(data.get("capturable")),
        is_restockable=bool(data.get("restockable")),
        can_notify_customer=bool(data.get("canNotifyCustomer")),
        is_test=bool(data.get("test")),
        requires_shipping=bool(data.get("requiresShipping")),
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
        ),
        customer=_customer(data.get("customer")),
        email=_text(data.get("email")).strip().lower(),
        phone=_text(data.get("phone")),
        note=_text(data.get("note")),
        tags=tuple(_text(tag) for tag in data.get("tags") or ()),
        status_page_url=web_url(data.get("statusPageUrl")),
        shipping_address=_address(data.get("shippingAddress")),
        billing_address=_address(data.get("billingAddress")),
        shipping_title=_text(_dig(data, "shippingLine", "title")),
        risk_level=_risk(data.get("risk")),
        lines=tuple(line_item(node, presentment) for node in _nodes(data.get("lineItems"))),
        fulfillments=_each(data.get("fulfillments"), _fulfillment),
        fulfillment_orders=_each(data.get("fulfillmentOrders"), _fulfillment_order),
        transactions=_each(data.get("transactions"), lambda t: _transaction(t, shop, presentment)),
        refunds=_each(data.get("refunds"), lambda r: _refund(r, shop, presentment)),
        returns=_each(data.get("returns"), _return),
        disputes=_each(data.get("disputes"), _dispute),
    )


def _customer(data: Json | None) -> CustomerSnapshot | None:
    if not data:
        return None
    count = data.get("numberOfOrders")
    return CustomerSnapshot(
        gid=data["id"],
        legacy_id=int(data.get("legacyResourceId") or data["id"].rsplit("/", 1)[-1]),
        name=_text(data.get("displayName")),
        email=_text(_dig(data, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=_text(_dig(data, "defaultPhoneNumber", "phoneNumber")),
        order_count=int(count) if count is not None else None,
        locale=_text(data.get("locale")),
    )


def _details(data: Json) -> CustomerDetails:
    count, spent = data.get("numberOfOrders"), data.get("amountSpent")
    exempt = data.get("taxExempt")
    return CustomerDetails(
        gid=data["id"],
        name=_text(data.get("displayName")),
        email=_text(_dig(data, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=_text(_dig(data, "defaultPhoneNumber", "phoneNumber")),
        locale=_text(data.get("locale")),
        order_count=int(count) if count is not None else None,
        spent=Money.from_wire(spent["amount"], spent["currencyCode"]) if spent else None,
        account_state=_text(data.get("state")),
        tax_exempt=exempt if isinstance(exempt, bool) else None,
        email_consent=_text(_dig(data, "defaultEmailAddress", "marketingState")),
        sms_consent=_text(_dig(data, "defaultPhoneNumber", "smsMarketingConsent", "state")),
        tags=tuple(_text(tag) for tag in data.get("tags") or ()),
        note=_text(data.get("note")),
        customer_since=_time(data.get("createdAt")),
        updated_at=_time(data.get("updatedAt")),
    )


def _address(data: Json | None) -> Address | None:
    if not data:
        return None
    return Address(
        name=_text(data.get("name")),
        address1=_text(data.get("address1")),
        address2=_text(data.get("address2")),
        city=_text(data.get("city")),
        province=_text(data.get("province")),
        zip=_text(data.get("zip")),
        country=_text(data.get("country")),
        country_code=_text(data.get("countryCodeV2")),
        phone=_text(data.get("phone")),
    )


def _risk(data: Json | None) -> str:
    """The worst assessment: HIGH, MEDIUM, LOW or ""."""
    levels = {_text(a.get("riskLevel")) for a in (data or {}).get("assessments") or () if a}
    return next((level for level in ("HIGH", "MEDIUM", "LOW") if level in levels), "")


def _fulfillment(data: Json) -> Fulfillment:
    return Fulfillment(
        gid=data["id"],
        name=_text(data.get("name")),
        status=_text(data.get("status")),
        display_status=data.get("displayStatus"),
        created_at=_must_time(data["createdAt"]),
        updated_at=_time(data.get("updatedAt")),
        in_transit_at=_time(data.get("inTransitAt")),
        estimated_delivery_at=_time(data.get("estimatedDeliveryAt")),
        delivered_at=_time(data.get("deliveredAt")),
        requires_shipping=data.get("requiresShipping") is not False,
        tracking=_each(data.get("trackingInfo"), _tracking),
        lines=_each(data.get("fulfillmentLineItems"), _line_quantity),
        events=_each(data.get("events"), _fulfillment_event),
    )


def _tracking(data: Json) -> Tracking:
    return Tracking(
        number=_text(data.get("number")),
        company=_text(data.get("company")),
        url=web_url(data.get("url")),
    )


def _line_quantity(data: Json, quantity: str = "quantity") -> LineQuantity:
    return LineQuantity(
        line_gid=_text(_dig(data, "lineItem", "id")), quantity=_count(data.get(quantity))
    )


def _fulfillment_event(data: Json) -> FulfillmentEvent:
    place = ", ".join(
        part for part in (_text(data.get("city")), _text(data.get("country"))) if part
    )
    return FulfillmentEvent(
        gid=data["id"],
        status=_text(data.get("status")),
        happened_at=_must_time(data["happenedAt"]),
        estimated_delivery_at=_time(data.get("estimatedDeliveryAt")),
        message=_text(data.get("message")),
        place=place,
    )


def _fulfillment_order(data: Json) -> FulfillmentOrder:
    return FulfillmentOrder(
        gid=data["id"],
        status=_text(data.get("status")),
        request_status=_text(data.get("requestStatus")),
        fulfill_at=_time(data.get("fulfillAt")),
        method_type=_text(_dig(data, "deliveryMethod", "methodType")),
        hold_reasons=tuple(
            _text(hold.get("displayReason")) for hold in data.get("fulfillmentHolds") or () if hold
        ),
        lines=_each(data.get("lineItems"), lambda line: _line_quantity(line, "remainingQuantity")),
    )


def _transaction(data: Json, shop: str, presentment: str) -> Transaction:
    return Transaction(
        gid=data["id"],
        kind=_text(data.get("kind")),
        status=_text(data.get("status")),
        gateway=_text(data.get("gateway")),
        gateway_label=_text(data.get("formattedGateway")),
        is_manual=bool(data.get("manualPaymentGateway")),
        error_code=_text(data.get("errorCode")),
        processed_at=_time(data.get("processedAt")),
        amount=_bag(data.get("amountSet"), shop, presentment),
        parent_gid=_text(_dig(data, "parentTransaction", "id")),
        account_number=_text(data.get("accountNumber")),
    )


def _refund(data: Json, shop: str, presentment: str) -> Refund:
    return Refund(
        gid=data["id"],
        created_at=_time(data.get("createdAt")),
        note=_text(data.get("note")),
        total=_bag(data.get("totalRefundedSet"), shop, presentment),
        transactions=_each(
            data.get("transactions"),
            lambda t: RefundTransaction(
                gid=t["id"],
                status=_text(t.get("status")),
                gateway=_text(t.get("gateway")),
                error_code=_text(t.get("errorCode")),
                amount=_bag(t.get("amountSet"), shop, presentment),
            ),
        ),
        lines=_each(data.get("refundLineItems"), _line_quantity),
        return_gid=_text(_dig(data, "return", "id")),
    )


def _return(data: Json) -> Return:
    """Received is what was booked in (facts: dispositions but MISSING, or processed lines):
    the status alone proves nothing."""
    items = _nodes(data.get("returnLineItems"))
    disposed = sum(
        _count(disposition.get("quantity"))
        for reverse in _nodes(data.get("reverseFulfillmentOrders"))
        for line in _nodes(reverse.get("lineItems"))
        for disposition in line.get("dispositions") or ()
        if disposition.get("type") != "MISSING"
    )
    processed = sum(_count(item.get("processedQuantity")) for item in items)
    return Return(
        gid=data["id"],
        name=_text(data.get("name")),
        status=_text(data.get("status")),
        total_quantity=_count(data.get("totalQuantity")),
        received_quantity=max(disposed, processed),
        lines=tuple(
            LineQuantity(line_gid=gid, quantity=_count(item.get("quantity")))
            for item in items
            if (gid := _text(_dig(item, "fulfillmentLineItem", "lineItem", "id")))
        ),
    )


def _dispute(data: Json) -> Dispute:
    return Dispute(gid=data["id"], status=_text(data.get("status")))


def _suggested(data: Json) -> SuggestedRefund:
    amount = _bag(data["amountSet"], "", "").presentment
    currency = amount.currency

    def money(node: Any) -> Money:
        return _bag(node, currency, currency).presentment

    return SuggestedRefund(
        amount=amount,
        maximum=money(data.get("maximumRefundableSet")),
        subtotal=money(data.get("discountedSubtotalSet")),
        tax=money(data.get("totalTaxSet")),
        shipping=money(_dig(data, "shipping", "amountSet")),
        shipping_maximum=money(_dig(data, "shipping", "maximumRefundableSet")),
        lines=_each(
            data.get("refundLineItems"),
            lambda line: SuggestedLine(
                line_gid=line["lineItem"]["id"],
                quantity=_count(line.get("quantity")),
                subtotal=money(line.get("subtotalSet")),
                tax=money(line.get("totalTaxSet")),
            ),
        ),
        transactions=_each(
            data.get("suggestedTransactions"),
            lambda t: SuggestedTransaction(
                parent_gid=_text(_dig(t, "parentTransaction", "id")),
                gateway=_text(t.get("gateway")),
                label=f"{_text(t.get('formattedGateway') or t.get('gateway'))} "
                f"{_text(t.get('accountNumber'))}".strip(),
                is_manual=bool(_dig(t, "parentTransaction", "manualPaymentGateway")),
                amount=money(t.get("amountSet")),
                maximum=money(t.get("maximumRefundableSet")),
            ),
        ),
    )


def _checkout(data: Json) -> CheckoutSnapshot:
    customer = data.get("customer") or {}
    total = _dig(data, "totalPriceSet", "presentmentMoney") or _dig(
        data, "totalPriceSet", "shopMoney"
    )
    return CheckoutSnapshot(
        gid=data["id"],
        started_at=_must_time(data["createdAt"]),
        updated_at=_must_time(data["updatedAt"]),
        completed_at=_time(data.get("completedAt")),
        url=web_url(data.get("abandonedCheckoutUrl")),
        total=Money.from_wire(total["amount"], total["currencyCode"]) if total else None,
        customer_gid=_text(customer.get("id")),
        name=_text(customer.get("displayName")),
        email=_text(_dig(customer, "defaultEmailAddress", "emailAddress")).strip().lower(),
        phone=_text(_dig(customer, "defaultPhoneNumber", "phoneNumber")),
        locale=_text(customer.get("locale")),
        last_order_at=_time(_dig(customer, "lastOrder", "createdAt")),
        consents=consents(customer),
    )


def _bag(data: Json | None, shop: str, presentment: str) -> MoneyBag:
    """A missing sum counts as zero; a sum that is no number is a malformed answer."""
    if not data:
        return MoneyBag(shop=Money.zero(shop), presentment=Money.zero(presentment))
    own = data.get("presentmentMoney") or data.get("shopMoney")
    if not own:
        raise MalformedAnswer("a sum without an amount")
    theirs = data.get("shopMoney") or own
    return MoneyBag(
        shop=Money.from_wire(theirs["amount"], theirs["currencyCode"]),
        presentment=Money.from_wire(own["amount"], own["currencyCode"]),
    )


def _nodes(connection: Any) -> list[Json]:
    """The objects of a connection or a plain list, nulls left out."""
    if isinstance(connection, dict):
        connection = connection.get("nodes")
    return [node for node in connection or () if node]


def _each(connection: Any, convert: Callable[[Json], T]) -> tuple[T, ...]:
    return tuple(convert(node) for node in _nodes(connection))


def _dig(data: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def _text(value: Any) -> str:
    # A NUL is legal in JSON and refused by PostgreSQL.
    return str(value).replace("\x00", "") if value is not None else ""


def _count(value: Any) -> int:
    return int(value) if value is not None else 0


def _time(text: Any) -> datetime | None:
    return _must_time(text) if text else None


def _must_time(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
