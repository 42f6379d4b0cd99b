"""Convert a snapshot into the rows of each table, as columns by name. Pure."""

from __future__ import annotations

from core.email_and_phone import (
    email_key,
    normal_phone,
)
from orders.models import order_names
from orders.snapshot import CustomerDetails, CustomerSnapshot, OrderSnapshot, Refund
from orders.statuses.money_moved import (
    any_failed,
    parts,
)

Row = dict[str, object]


def order_columns(snapshot: OrderSnapshot, document: str) -> dict[str, object]:
    """Return the columns of Order that a snapshot determines. `document` is its encoding."""
    money = snapshot.money
    # Texts are cut to their columns' length; the document keeps them whole.
    return {
        "document": document,
        "legacy_id": snapshot.legacy_id,
        "name": snapshot.name[:100],
        "name_key": order_names.key(snapshot.name),
        "number": order_names.number(snapshot.name),
        "placed_at": snapshot.placed_at,
        "shop_updated_at": snapshot.updated_at,
        "closed_at": snapshot.closed_at,
        "cancelled_at": snapshot.cancelled_at,
        "cancel_reason": _word(snapshot.cancel_reason),
        "financial_status": _word(snapshot.financial_status),
        "fulfillment_status": _word(snapshot.fulfillment_status),
        "return_status": _word(snapshot.return_status),
        "is_test": snapshot.is_test,
        "is_incomplete": snapshot.is_incomplete,
        "currency": snapshot.currency,
        "shop_currency": snapshot.shop_currency,
        "total": money.total.presentment.amount,
        "received": money.received.presentment.amount,
        "refunded": money.refunded.presentment.amount,
        "net_payment": money.net_payment.presentment.amount,
        "total_shop": money.total.shop.amount,
        "net_payment_shop": money.net_payment.shop.amount,
        "customer_gid": snapshot.customer.gid if snapshot.customer else "",
        "email": email_key(snapshot.email)[:255],
        "phone": _phone(snapshot)[:40],
    }


def _word(value: str | None) -> str:
    """Return one of Shopify's enum values for a column. One that is new to us may be of any length."""
    return (value or "")[:40]


def _phone(snapshot: OrderSnapshot) -> str:
    """Return the order's phone; else the shipping address's, if that is the buyer's own.

    A gift ships to someone else, who must not be mistaken for the buyer.
    """
    address, billing = snapshot.shipping_address, snapshot.billing_address
    if snapshot.phone or address is None or not address.phone:
        return snapshot.phone
    buyers = {snapshot.customer.name if snapshot.customer else "", billing.name if billing else ""}
    if address.name.casefold() not in {name.casefold() for name in buyers if name}:
        return ""
    return normal_phone(address.phone, address.country_code)


def customer(store_id: int, of: CustomerSnapshot) -> Row:
    """Return the columns of Customer that an order mentions."""
    return {
        "store_id": store_id,
        "gid": of.gid,
        "name": of.name[:255],
        "email": email_key(of.email)[:255],
        "phone": of.phone[:40],
        "locale": of.locale[:20],
        "order_count": of.order_count,
    }


def customer_columns(of: CustomerDetails) -> Row:
    """Return the columns of Customer that a read of the customer itself determines."""
    return {
        "name": of.name[:255],
        "email": email_key(of.email)[:255],
        "phone": of.phone[:40],
        "locale": of.locale[:20],
        "order_count": of.order_count,
        "spent": of.spent.amount if of.spent else None,
        "spent_currency": of.spent.currency if of.spent else "",
        "account_state": of.account_state[:40],
        "tax_exempt": of.tax_exempt,
        "email_consent": of.email_consent[:40],
        "sms_consent": of.sms_consent[:40],
        "tags": list(of.tags),
        "note": of.note,
        "customer_since": of.customer_since,
        "shop_updated_at": of.updated_at,
    }


def lines(order_id: int, snapshot: OrderSnapshot) -> list[Row]:
    """Return the order's OrderLine rows."""
    return [
        {
            "order_id": order_id,
            "gid": line.gid,
            "title": line.title[:500],
            "variant_title": line.variant_title[:500],
            "sku": line.sku[:255],
            "quantity": line.quantity,
            "current_quantity": line.current_quantity,
            "refundable_quantity": line.refundable_quantity,
            "unfulfilled_quantity": line.unfulfilled_quantity,
            "total": line.total.amount,
        }
        for line in snapshot.lines
    ]


def fulfillments(order_id: int, snapshot: OrderSnapshot) -> list[Row]:
    """Return the order's OrderFulfillment rows."""
    return [
        {
            "order_id": order_id,
            "gid": parcel.gid,
            "name": parcel.name[:100],
            "status": _word(parcel.status),
            "display_status": _word(parcel.display_status),
            "shipped_at": parcel.created_at,
            "estimated_delivery_at": parcel.estimated_delivery_at,
            "delivered_at": parcel.delivered_at,
        }
        for parcel in snapshot.fulfillments
    ]


def trackings(order_id: int, snapshot: OrderSnapshot) -> list[Row]:
    """Return the order's OrderTracking rows; parcels without a number have none."""
    return [
        {
            "order_id": order_id,
            "fulfillment_gid": parcel.gid,
            "number": tracking.number[:255],
            "company": tracking.company[:255],
            "url": tracking.url,
        }
        for parcel in snapshot.fulfillments
        for tracking in parcel.tracking
        if tracking.number
    ]


def transactions(order_id: int, snapshot: OrderSnapshot) -> list[Row]:
    """Return the order's OrderTransaction rows."""
    return [
        {
            "order_id": order_id,
            "gid": payment.gid,
            "kind": _word(payment.kind),
            "status": _word(payment.status),
            "gateway": payment.gateway[:255],
            "is_manual": payment.is_manual,
            "amount": payment.amount.presentment.amount,
            "amount_shop": payment.amount.shop.amount,
            "processed_at": payment.processed_at,
        }
        for payment in snapshot.transactions
    ]


def refunds(order_id: int, snapshot: OrderSnapshot) -> list[Row]:
    """Return the order's OrderRefund rows, with amounts split by whether they moved."""
    return [_refund(order_id, refund) for refund in snapshot.refunds]


def _refund(order_id: int, refund: Refund) -> Row:
    divided = parts(refund)
    return {
        "order_id": order_id,
        "gid": refund.gid,
        "refunded_at": refund.created_at,
        "amount": refund.total.presentment.amount,
        "amount_shop": refund.total.shop.amount,
        "moved": divided.moved.presentment.amount,
        "moved_shop": divided.moved.shop.amount,
        "waiting": divided.waiting.presentment.amount,
        "waiting_shop": divided.waiting.shop.amount,
        "failed": divided.failed.presentment.amount,
        "note": refund.note,
        "has_failed": any_failed(refund),
    }
