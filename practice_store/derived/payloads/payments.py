"""Payloads of transactions and refunds."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.derived.payloads.values import (
    amount_text,
    money_set,
    when,
)
from practice_store.state import (
    Order,
    Refund,
    Shop,
    Transaction,
)


def transaction(shop: Shop, order: Order, row: Transaction) -> JsonObject:
    """Return the body of order_transactions/create."""
    return {
        "id": row.number_id,
        "admin_graphql_api_id": row.id,
        "order_id": order.number_id,
        "parent_id": row.parent_number,
        "kind": row.kind.lower(),
        "status": row.status.lower(),
        "gateway": row.gateway,
        "amount": amount_text(order, row.amount),
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


def refund(shop: Shop, order: Order, row: Refund) -> JsonObject:
    """Return the body of refunds/create."""
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
        "total_duties_set": money_set(order, Decimal(0)),
        "additional_fees": [],
        "total_additional_fees_set": None,
        "refund_shipping_lines": [],
        "order_adjustments": [
            {
                "id": a.number_id,
                "kind": "refund_discrepancy",
                "amount": amount_text(order, a.amount),
            }
            for a in row.adjustments
        ],
        "refund_line_items": [
            {
                "id": item.number_id,
                "line_item_id": item.line_number,
                "quantity": item.quantity,
                "restock_type": item.restock_type.lower(),
                "location_id": item.location_number,
                "subtotal": float(item.subtotal),
                "total_tax": float(item.tax),
                "subtotal_set": money_set(order, item.subtotal),
                "total_tax_set": money_set(order, item.tax),
            }
            for item in row.lines
        ],
        "transactions": [transaction(shop, order, t) for t in moved],
    }
