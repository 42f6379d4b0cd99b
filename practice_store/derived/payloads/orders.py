"""Payloads of orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from core.json_types import JsonObject
from practice_store.derived import order_sums
from practice_store.derived.payloads.goods import (
    fulfillment,
    line,
)
from practice_store.derived.payloads.payments import refund
from practice_store.derived.payloads.people import (
    address,
    customer,
)
from practice_store.derived.payloads.values import (
    amount_text,
    money_set,
    when,
)
from practice_store.derived.quantities import fulfillment_status
from practice_store.state import (
    Order,
    Shop,
)

_FULFILLMENT: Final = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def order(shop: Shop, order: Order) -> JsonObject:
    """Return the body of orders/*."""
    now = order_sums.current(order)
    customer_row = shop.customers.get(order.customer_number or 0)
    sums = {
        "subtotal_price": order_sums.subtotal(order),
        "total_price": order_sums.total(order),
        "total_tax": order_sums.tax(order),
        "total_discounts": order_sums.discounts(order),
        "total_line_items_price": order_sums.subtotal(order) + order_sums.discounts(order),
        "current_subtotal_price": now["subtotal"],
        "current_total_price": now["total"],
        "current_total_tax": now["tax"],
        "current_total_discounts": now["discounts"],
    }
    body: JsonObject = {
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
        "duties_included": order.duties_included,
        "email": order.email or "",
        "estimated_taxes": False,
        "financial_status": (order_sums.financial_status(order) or "pending").lower(),
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
        "original_total_additional_fees_set": _money_set_or_none(order, order_sums.fees(order)),
        "original_total_duties_set": _money_set_or_none(order, order_sums.duties(order)),
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
        "total_cash_rounding_payment_adjustment_set": money_set(order, order.cash_rounding),
        "total_cash_rounding_refund_adjustment_set": money_set(order, Decimal(0)),
        "total_outstanding": amount_text(order, order_sums.outstanding(order)),
        "total_shipping_price_set": money_set(order, order_sums.shipping(order)),
        "current_shipping_price_set": money_set(order, now["shipping"]),
        "current_total_additional_fees_set": _money_set_or_none(order, order_sums.fees(order)),
        "current_total_duties_set": _money_set_or_none(order, now["duties"]),
        "total_tip_received": amount_text(order, order.tip),
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
            {
                "id": s.number_id,
                "title": s.title,
                "code": s.code,
                "price": amount_text(order, s.price),
            }
            for s in order.shipping_lines
        ],
        "returns": [
            {"id": back.number_id, "status": back.status.lower()} for back in order.returns
        ],
        "line_item_groups": [],
    }
    for name, amount in sums.items():
        body[name] = amount_text(order, amount)
        body[f"{name}_set"] = money_set(order, amount)
    return body


def _money_set_or_none(order: Order, amount: Decimal) -> JsonObject | None:
    """Return a money set, or None for an order without any of it."""
    return money_set(order, amount) if amount else None
