"""Payloads of customers, their addresses and their checkouts."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.derived import order_sums
from practice_store.derived.payloads.values import when
from practice_store.state import (
    Address,
    Checkout,
    Customer,
    Shop,
)


def customer(row: Customer) -> JsonObject:
    """Return the body of customers/create and customers/update."""
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


def deleted_customer(row: Customer) -> JsonObject:
    """Return the body of customers/delete, which has little more than the ID."""
    return {
        "id": row.number_id,
        "phone": row.phone,
        "addresses": [],
        "tax_exemptions": [],
        "admin_graphql_api_id": row.id,
    }


def merged_customers(kept: Customer, gone: Customer) -> JsonObject:
    """Return the body of customers/merge."""
    return {
        "admin_graphql_api_customer_kept_id": kept.id,
        "admin_graphql_api_customer_deleted_id": gone.id,
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def address(place: Address | None) -> JsonObject | None:
    """Return an address as orders embed it."""
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


def checkout(shop: Shop, row: Checkout) -> JsonObject:
    """Return the body of checkouts/create and checkouts/update.

    Amounts are strings in the checkout's currency.
    """
    person = shop.customers.get(row.customer_number or 0)
    total = f"{order_sums.rounded(row.total, row.currency)}"
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
    """Return the link that takes the customer back to their checkout."""
    return f"https://{shop.domain}/checkouts/ac/{row.token}/recover?key={row.number_id % 99991}"
