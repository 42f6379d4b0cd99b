"""Payloads of line items, parcels with their events, and returns."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.derived.payloads.people import address
from practice_store.derived.payloads.values import (
    amount_text,
    money_set,
    when,
)
from practice_store.state import (
    Fulfillment,
    FulfillmentEvent,
    LineItem,
    Order,
    Return,
)


def line(order: Order, item: LineItem) -> JsonObject:
    """Return a line item, as orders and fulfillments embed it."""
    return {
        "id": item.number_id,
        "admin_graphql_api_id": item.id,
        "title": item.title,
        "name": " - ".join(part for part in (item.title, item.variant_title) if part),
        "variant_title": item.variant_title,
        "sku": item.sku,
        "quantity": item.quantity,
        "current_quantity": item.current_quantity,
        "price": amount_text(order, item.unit_price),
        "price_set": money_set(order, item.unit_price),
        "total_discount": amount_text(order, item.discount),
        "requires_shipping": item.requires_shipping,
        "taxable": item.taxable,
        "gift_card": item.is_gift_card,
        "properties": [{"name": k, "value": v} for k, v in item.properties.items()],
        "tax_lines": [
            {
                "title": item.tax_title,
                "rate": float(item.tax_rate),
                "price": amount_text(order, item.tax),
            }
        ]
        if item.tax
        else [],
    }


def fulfillment(order: Order, row: Fulfillment) -> JsonObject:
    """Return the body of fulfillments/*."""
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


def fulfillment_event(order: Order, row: FulfillmentEvent) -> JsonObject:
    """Return the body of fulfillment_events/create."""
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


def a_return(order: Order, row: Return) -> JsonObject:
    """Return the body of returns/*."""
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
