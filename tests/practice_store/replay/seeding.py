"""Build a shop from a recording: its orders and customers as they were read."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.state import Customer
from practice_store.store import Store

Json = dict[str, Any]


def seed(store: Store, domain: str, held: list[Json], made: set[str]) -> dict[str, str]:
    """Make what the recording's shop held; returns its ids and ours. `made`: ids of orders that
    the recording itself creates."""
    ids: dict[str, str] = {}
    for data in held:
        order = data.get("order")
        if isinstance(order, dict) and order.get("id") and order["id"] not in {*ids, *made}:
            ids |= store.act(domain, partial(_order, order=order))
        customers = (data.get("customers") or {}).get("edges") or ()
        for edge in customers:
            ids |= store.act(domain, partial(_customer, node=edge["node"]))
    return ids


def _order(context: Context, order: Json) -> dict[str, str]:
    bag = order.get("totalPriceSet") or order.get("currentTotalPriceSet") or {}
    shop = bag.get("shopMoney") or {"amount": "10.0", "currencyCode": "CAD"}
    currency = shop["currencyCode"]
    presentment = (bag.get("presentmentMoney") or shop)["currencyCode"]
    lines = _nodes(order.get("lineItems"))
    data: Json = {
        "currency": currency,
        "presentmentCurrency": presentment,
        "lineItems": [
            {
                "title": line.get("title") or "Recorded item",
                "quantity": line.get("quantity") or 1,
                "requiresShipping": True,
                "priceSet": _input(line["originalUnitPriceSet"]),
            }
            for line in lines
            if line.get("originalUnitPriceSet")
        ]
        or [
            {
                "title": "Recorded item",
                "quantity": 1,
                "requiresShipping": True,
                "priceSet": _input(bag or {"shopMoney": shop}),
            }
        ],
        "shippingLines": [
            {"title": "Shipping", "priceSet": _input(line["originalPriceSet"])}
            for line in _nodes(order.get("shippingLines"))
            if line.get("originalPriceSet")
        ],
        "transactions": [
            {
                "kind": row["kind"],
                "status": row["status"],
                "gateway": row["gateway"],
                "amountSet": _input(row["amountSet"]),
            }
            for row in order.get("transactions") or ()
            if row.get("kind") in {"SALE", "AUTHORIZATION"}
        ],
    }
    customer = order.get("customer") or {}
    if customer.get("email"):
        data |= {
            "email": customer["email"],
            "customer": {"toUpsert": {"email": customer["email"]}},
        }
    made = staff_actions.place(context, **data)
    ids = {order["id"]: made.id}
    ids |= _paired(lines, made.lines) | _paired(order.get("transactions"), made.transactions)
    if customer.get("id") and made.customer_number:
        ids[customer["id"]] = context.shop.customers[made.customer_number].id
    return ids


def _paired(theirs: Any, ours: Any) -> dict[str, str]:
    pairs = zip(theirs or (), ours, strict=False)
    return {row["id"]: mine.id for row, mine in pairs if row.get("id")}


def _customer(context: Context, node: Json) -> dict[str, str]:
    shop = context.shop
    at = datetime.fromisoformat(node["updatedAt"]) if node.get("updatedAt") else context.now()
    made = Customer(
        number_id=shop.new_id(),
        created_at=at,
        updated_at=at,
        email=node.get("email"),
        state=node.get("state") or "DISABLED",
        tags=list(node.get("tags") or ()),
    )
    if node.get("displayName") != node.get("email"):
        made.first_name, _space, made.last_name = (node.get("displayName") or "").partition(" ")
    shop.customers[made.number_id] = made
    return {node["id"]: made.id}


def _nodes(connection: Any) -> list[Json]:
    return [node for node in (connection or {}).get("nodes") or () if node]


def _input(bag: Json) -> Json:
    return {
        name: {"amount": Decimal(str(money["amount"])), "currencyCode": money["currencyCode"]}
        for name, money in bag.items()
        if money
    }
