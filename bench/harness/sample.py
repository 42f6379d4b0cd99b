"""Orders in Shopify's format: about twelve rows each, all different, all the same size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from core.json_types import JsonObject

if TYPE_CHECKING:
    from orders.snapshot import OrderSnapshot

LINES = 3


def order_lines(number: int) -> Iterator[JsonObject]:
    """Yield an order as a bulk file has it: the order itself, then its line items."""
    gid = f"gid://shopify/Order/{10**12 + number}"
    at = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number)).isoformat()
    paid, shipped = number % 5 != 0, number % 3 == 0
    total, net = _bag("89.97"), _bag("89.97" if paid else "0.0")
    zero = _bag("0.0")
    yield {
        "id": gid,
        "legacyResourceId": str(10**12 + number),
        "name": f"#{number}",
        "createdAt": at,
        "processedAt": at,
        "updatedAt": at,
        "closedAt": None,
        "cancelledAt": None,
        "displayFinancialStatus": "PAID" if paid else "PENDING",
        "displayFulfillmentStatus": "FULFILLED" if shipped else "UNFULFILLED",
        "returnStatus": "NO_RETURN",
        "refundable": paid,
        "note": None,
        "tags": ["web"],
        "email": f"customer{number // 4}@example.com",
        "phone": None,
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "EUR",
        "requiresShipping": True,
        "test": False,
        "statusPageUrl": f"https://shop.example.com/orders/{number}",
        "customer": {
            "id": f"gid://shopify/Customer/{10**9 + number // 4}",
            "displayName": "Jane Doe",
            "legacyResourceId": str(10**9 + number // 4),
            "numberOfOrders": "4",
            "locale": "en",
            "defaultEmailAddress": {"emailAddress": f"customer{number // 4}@example.com"},
        },
        "shippingAddress": {
            "name": "Jane Doe",
            "address1": "Main Street 1",
            "city": "Berlin",
            "zip": "10115",
            "country": "Germany",
            "countryCodeV2": "DE",
        },
        "billingAddress": None,
        "shippingLine": {"title": "Standard"},
        "totalPriceSet": total,
        "currentTotalPriceSet": total,
        "subtotalPriceSet": total,
        "totalTaxSet": zero,
        "totalDiscountsSet": zero,
        "totalShippingPriceSet": zero,
        "totalReceivedSet": net,
        "totalRefundedSet": zero,
        "netPaymentSet": net,
        "totalOutstandingSet": zero,
        "totalCapturableSet": zero,
        "totalTipReceivedSet": zero,
        "fulfillments": [
            {
                "id": f"gid://shopify/Fulfillment/{10**11 + number}",
                "name": f"#{number}-F1",
                "status": "SUCCESS",
                "displayStatus": "DELIVERED",
                "createdAt": at,
                "deliveredAt": at,
                "trackingInfo": [
                    {
                        "number": f"TR{number}",
                        "company": "DHL",
                        "url": f"https://dhl.example.com/{number}",
                    }
                ],
            }
        ]
        if shipped
        else [],
        "transactions": [
            {
                "id": f"gid://shopify/OrderTransaction/{10**11 + number}",
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": "shopify_payments",
                "formattedGateway": "Visa",
                "processedAt": at,
                "amountSet": total,
            }
        ]
        if paid
        else [],
        "refunds": [],
    }
    for line in range(LINES):
        yield {
            "id": f"gid://shopify/LineItem/{(10**11 + number) * 10 + line}",
            "title": f"Mug {line}",
            "sku": f"MUG-{line}",
            "quantity": 1,
            "currentQuantity": 1,
            "refundableQuantity": 1,
            "unfulfilledQuantity": 0 if shipped else 1,
            "requiresShipping": True,
            "originalUnitPriceSet": _bag("29.99"),
            "discountedTotalSet": _bag("29.99"),
            "__parentId": gid,
        }


def _bag(amount: str) -> JsonObject:
    money = {"amount": amount, "currencyCode": "EUR"}
    return {"shopMoney": money, "presentmentMoney": money}


def snapshots(count: int, *, first: int = 1) -> list[OrderSnapshot]:
    """Return the same orders as the product reads them."""
    from shopify_sync import mapping

    found = []
    for number in range(first, first + count):
        root, *lines = order_lines(number)
        found.append(mapping.order_snapshot(root | {"lineItems": {"nodes": lines}}))
    return found


def changed(snapshot: OrderSnapshot) -> OrderSnapshot:
    """Return the order an hour later: the rest of it was refunded and a note was added."""
    return replace(
        snapshot,
        updated_at=snapshot.updated_at + timedelta(hours=1),
        financial_status="PARTIALLY_REFUNDED",
        note="Called the customer.",
        lines=tuple(replace(line, refundable_quantity=0) for line in snapshot.lines),
    )


@cache
def webhook_body() -> bytes:
    """Return an orders/updated body of 8.9 KB in REST format."""
    number = 450789469
    lines: list[JsonObject] = []
    order = {
        "id": 820982911946154508,
        "admin_graphql_api_id": "gid://shopify/Order/820982911",
        "currency": "EUR",
        "email": "jon@example.com",
        "name": "#9999",
        "note": None,
        "customer": {"id": 115310627314723954, "email": "john@example.com"},
    }
    while len(json.dumps(order | {"line_items": lines})) < 8900:
        number += 7919
        price = f"{number % 9000 / 100:.2f}"
        money = {"amount": price, "currency_code": "EUR"}
        lines.append(
            {
                "id": number,
                "variant_id": number * 31 % 10**9,
                "title": f"Mug {number % 977}",
                "sku": f"SKU-{number:x}",
                "quantity": number % 4 + 1,
                "price": price,
                "price_set": {"shop_money": money, "presentment_money": money},
                "tax_lines": [],
                "taxable": True,
                "fulfillment_status": None,
                "grams": number % 900,
            }
        )
    return json.dumps(order | {"line_items": lines}).encode()
