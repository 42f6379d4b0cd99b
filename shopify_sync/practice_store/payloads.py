"""Webhook bodies: the REST shapes Shopify still sends, coarser than GraphQL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from shopify_sync.practice_store import money
from shopify_sync.practice_store.state import (
    Address,
    Checkout,
    Customer,
    Fulfillment,
    FulfillmentEvent,
    LineItem,
    Order,
    Refund,
    Return,
    Shop,
    Transaction,
)

_FULFILLMENT: Final = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def when(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _amount(order: Order, amount: Decimal) -> str:
    return f"{money.rounded(amount, order.presentment_currency)}"


def _set(order: Order, amount: Decimal) -> dict[str, Any]:
    both = money.bag(order, amount)
    return {
        key: {"amount": f"{side['amount']}", "currency_code": side["currencyCode"]}
        for key, side in (
            ("shop_money", both["shopMoney"]),
            ("presentment_money", both["presentmentMoney"]),
        )
    }


def order(shop: Shop, order: Order) -> dict[str, Any]:
    from shopify_sync.practice_store.selling import fulfillment_status

    now = money.current(order)
    customer_row = shop.customers.get(order.customer_number or 0)
    sums = {
        "subtotal_price": money.subtotal(order),
        "total_price": money.total(order),
        "total_tax": money.tax(order),
        "total_discounts": money.discounts(order),
        "total_line_items_price": money.subtotal(order) + money.discounts(order),
        "current_subtotal_price": now["subtotal"],
        "current_total_price": now["total"],
        "current_total_tax": now["tax"],
        "current_total_discounts": now["discounts"],
    }
    body: dict[str, Any] = {
        "id": order.number_id,
        "admin_graphql_api_id": order.id,
        "app_id": None,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": order.cancel_reason.lower() if order.cancel_reason else None,
        "cancelled_at": when(order.cancelled_at),
        "cart_token": None,
        "checkout_id": None,
        "checkout_token": None,
        "client_details": None,
        "closed_at": when(order.closed_at),
        "company": None,
        "confirmation_number": None,
        "confirmed": True,
        "contact_email": order.email,
        "created_at": when(order.created_at),
        "currency": order.currency,
        "customer_locale": customer_row.locale if customer_row else None,
        "device_id": None,
        "discount_codes": [{"code": order.discount_code}] if order.discount_code else [],
        "duties_included": False,
        "email": order.email or "",
        "estimated_taxes": False,
        "financial_status": (money.financial_status(order) or "pending").lower(),
        "fulfillment_status": _FULFILLMENT.get(fulfillment_status(order)),
        "landing_site": None,
        "landing_site_ref": None,
        "location_id": None,
        "merchant_business_entity_id": None,
        "merchant_of_record_app_id": None,
        "name": order.name,
        "note": order.note,
        "note_attributes": [{"name": k, "value": v} for k, v in order.attributes.items()],
        "number": order.number,
        "order_number": order.number + 1000,
        "order_status_url": f"https://{shop.domain}/orders/{order.number_id}",
        "original_total_additional_fees_set": None,
        "original_total_duties_set": None,
        "payment_gateway_names": list(dict.fromkeys(t.gateway for t in order.transactions)),
        "phone": order.phone,
        "po_number": None,
        "presentment_currency": order.presentment_currency,
        "processed_at": when(order.processed_at),
        "reference": None,
        "referring_site": None,
        "source_identifier": None,
        "source_name": "web",
        "source_url": None,
        "tags": ", ".join(order.tags),
        "tax_exempt": False,
        "tax_lines": [],
        "taxes_included": order.taxes_included,
        "test": order.test,
        "token": f"{order.number_id:x}",
        "total_cash_rounding_payment_adjustment_set": _set(order, Decimal(0)),
        "total_cash_rounding_refund_adjustment_set": _set(order, Decimal(0)),
        "total_outstanding": _amount(order, money.outstanding(order)),
        "total_shipping_price_set": _set(order, money.shipping(order)),
        "current_shipping_price_set": _set(order, now["shipping"]),
        "current_total_additional_fees_set": None,
        "current_total_duties_set": None,
        "total_tip_received": _amount(order, order.tip),
        "total_weight": 0,
        "updated_at": when(order.updated_at),
        "user_id": None,
        "billing_address": address(order.billing_address),
        "shipping_address": address(order.shipping_address),
        "customer": customer(customer_row) if customer_row else None,
        "discount_applications": [],
        "fulfillments": [fulfillment(order, f) for f in order.fulfillments],
        "line_items": [line(order, item) for item in order.lines],
        "payment_terms": None,
        "refunds": [refund(shop, order, back) for back in order.refunds],
        "shipping_lines": [
            {"id": s.number_id, "title": s.title, "code": s.code, "price": _amount(order, s.price)}
            for s in order.shipping_lines
        ],
        "returns": [
            {"id": back.number_id, "status": back.status.lower()} for back in order.returns
        ],
        "line_item_groups": [],
    }
    for name, amount in sums.items():
        body[name] = _amount(order, amount)
        body[f"{name}_set"] = _set(order, amount)
    return body


def line(order: Order, item: LineItem) -> dict[str, Any]:
    return {
        "id": item.number_id,
        "admin_graphql_api_id": item.id,
        "title": item.title,
        "name": " - ".join(part for part in (item.title, item.variant_title) if part),
        "variant_title": item.variant_title,
        "sku": item.sku,
        "quantity": item.quantity,
        "current_quantity": item.current_quantity,
        "price": _amount(order, item.unit_price),
        "price_set": _set(order, item.unit_price),
        "total_discount": _amount(order, item.discount),
        "requires_shipping": item.requires_shipping,
        "taxable": item.taxable,
        "gift_card": item.is_gift_card,
        "properties": [{"name": k, "value": v} for k, v in item.properties.items()],
        "tax_lines": [
            {
                "title": item.tax_title,
                "rate": float(item.tax_rate),
                "price": _amount(order, item.tax),
            }
        ]
        if item.tax
        else [],
    }


def address(place: Address | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {
        "first_name": place.first_name,
        "last_name": place.last_name,
        "name": place.name,
        "address1": place.address1,
        "address2": place.address2,
        "city": place.city,
        "province": place.province,
        "province_code": place.province_code,
        "zip": place.zip,
        "country": place.country,
        "country_code": place.country_code,
        "phone": place.phone,
        "company": place.company,
        "latitude": None,
        "longitude": None,
    }


def customer(row: Customer) -> dict[str, Any]:
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "email": row.email,
        "phone": row.phone,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "state": row.state.lower(),
        "note": row.note,
        "tags": ", ".join(row.tags),
        "tax_exempt": row.tax_exempt,
        "email_marketing_consent": {"state": row.email_consent.lower()} if row.email else None,
        "sms_marketing_consent": {"state": row.sms_consent.lower()} if row.phone else None,
        "created_at": when(row.created_at),
        "updated_at": when(row.updated_at),
    }


def deleted_customer(row: Customer) -> dict[str, Any]:
    return {"id": row.number_id, "phone": row.phone, "addresses": [], "tax_exemptions": [],
            "admin_graphql_api_id": row.id}  # fmt: skip


def merged_customers(kept: Customer, gone: Customer) -> dict[str, Any]:
    return {
        "admin_graphql_api_customer_kept_id": kept.id,
        "admin_graphql_api_customer_deleted_id": gone.id,
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def transaction(shop: Shop, order: Order, row: Transaction) -> dict[str, Any]:
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "order_id": order.number_id,
        "parent_id": row.parent_number,
        "kind": row.kind.lower(),
        "status": row.status.lower(),
        "gateway": row.gateway,
        "amount": _amount(order, row.amount),
        "currency": order.presentment_currency,
        "created_at": when(row.created_at),
        "processed_at": when(row.processed_at),
        "error_code": row.error_code.lower() if row.error_code else None,
        "message": None,
        "test": row.test,
        "authorization": None,
        "location_id": None,
        "user_id": None,
        "device_id": None,
        "receipt": {},
        "source_name": "web",
        "payment_id": f"{order.name}.{row.number_id}",
    }


def refund(shop: Shop, order: Order, row: Refund) -> dict[str, Any]:
    moved = [t for t in order.transactions if t.number_id in row.transactions]
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "order_id": order.number_id,
        "created_at": when(row.created_at),
        "processed_at": when(row.processed_at),
        "note": row.note,
        "user_id": None,
        "restock": any(item.restock_type != "NO_RESTOCK" for item in row.lines),
        "return": {"id": row.return_number} if row.return_number else None,
        "duties": [],
        "total_duties_set": _set(order, Decimal(0)),
        "additional_fees": [],
        "total_additional_fees_set": None,
        "refund_shipping_lines": [],
        "order_adjustments": [
            {"id": a.number_id, "kind": "refund_discrepancy", "amount": _amount(order, a.amount)}
            for a in row.adjustments
        ],
        "refund_line_items": [
            {
                "id": item.number_id,
                "line_item_id": item.line_number,
                "quantity": item.quantity,
                "restock_type": item.restock_type.lower(),
                "subtotal": float(item.subtotal),
                "total_tax": float(item.tax),
                "subtotal_set": _set(order, item.subtotal),
                "total_tax_set": _set(order, item.tax),
            }
            for item in row.lines
        ],
        "transactions": [transaction(shop, order, t) for t in moved],
    }


def fulfillment(order: Order, row: Fulfillment) -> dict[str, Any]:
    numbers = [t.number for t in row.tracking if t.number]
    urls = [t.url for t in row.tracking if t.url]
    last = row.events[-1].status.lower() if row.events else None
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "order_id": order.number_id,
        "name": row.name,
        "status": row.status.lower(),
        "service": "manual",
        "created_at": when(row.created_at),
        "updated_at": when(row.updated_at),
        "shipment_status": last,
        "location_id": None,
        "origin_address": None,
        "destination": address(order.shipping_address),
        "email": order.email,
        "tracking_company": row.tracking[0].company if row.tracking else None,
        "tracking_number": numbers[0] if numbers else None,
        "tracking_numbers": numbers,
        "tracking_url": urls[0] if urls else None,
        "tracking_urls": urls,
        "receipt": {},
        "line_items": [
            line(order, order.line(part.line_number)) | {"quantity": part.quantity}
            for part in row.lines
        ],
    }


def fulfillment_event(order: Order, row: FulfillmentEvent) -> dict[str, Any]:
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "fulfillment_id": row.fulfillment_number,
        "order_id": order.number_id,
        "shop_id": None,
        "status": row.status.lower(),
        "message": row.message,
        "happened_at": when(row.happened_at),
        "created_at": when(row.created_at),
        "updated_at": when(row.created_at),
        "estimated_delivery_at": when(row.estimated_delivery_at),
        "city": row.city,
        "province": row.province,
        "country": row.country,
        "zip": row.zip,
        "address1": row.address1,
        "latitude": row.latitude,
        "longitude": row.longitude,
    }


def a_return(order: Order, row: Return) -> dict[str, Any]:
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "name": row.name,
        "status": row.status.lower(),
        "order": {"id": order.number_id, "admin_graphql_api_id": order.id},
        "total_return_line_items": len(row.lines),
        "return_line_items": [
            {"id": item.number_id, "quantity": item.quantity, "return_reason": item.reason.lower()}
            for item in row.lines
        ],
    }


def checkout(shop: Shop, row: Checkout) -> dict[str, Any]:
    """checkouts/create and checkouts/update; sums are strings in the checkout's currency."""
    person = shop.customers.get(row.customer_number or 0)
    total = f"{money.rounded(row.total, row.currency)}"
    return {
        "id": row.number_id,
        "token": row.token,
        "cart_token": None,
        "email": row.email,
        "gateway": None,
        "buyer_accepts_marketing": bool(person and person.email_consent == "SUBSCRIBED"),
        "buyer_accepts_sms_marketing": bool(person and person.sms_consent == "SUBSCRIBED"),
        "sms_marketing_phone": None,
        "created_at": when(row.created_at),
        "updated_at": when(row.updated_at),
        "landing_site": None,
        "note": row.note or None,
        "note_attributes": [],
        "referring_site": None,
        "shipping_lines": [],
        "shipping_address": None,
        "taxes_included": False,
        "total_weight": 0,
        "currency": row.currency,
        "completed_at": when(row.completed_at),
        "phone": row.phone,
        "customer_locale": person.locale if person else None,
        "line_items": [
            {
                "key": str(item.number_id),
                "title": item.title,
                "presentment_title": item.title,
                "quantity": item.quantity,
                "price": f"{item.unit_price}",
                "line_price": f"{item.unit_price * item.quantity}",
            }
            for item in row.lines
        ],
        "name": row.name,
        "abandoned_checkout_url": recovery_url(shop, row),
        "discount_codes": [],
        "tax_lines": [],
        "presentment_currency": row.currency,
        "source_name": "web",
        "total_line_items_price": total,
        "total_tax": "0.00",
        "total_discounts": "0.00",
        "subtotal_price": total,
        "total_price": total,
        "total_duties": None,
        "device_id": None,
        "user_id": None,
        "location_id": None,
        "customer": customer(person) if person else None,
    }


def recovery_url(shop: Shop, row: Checkout) -> str:
    return f"https://{shop.domain}/checkouts/ac/{row.token}/recover?key={row.number_id % 99991}"
