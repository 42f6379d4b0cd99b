"""Root fields of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from core.json_types import JsonObject
from practice_store.changes import returning
from practice_store.context import Context
from practice_store.graphql import search
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    Args,
    Part,
    connection,
    find_order,
    may_read,
    number,
    parse_gid,
    resolves,
)
from practice_store.graphql.resolvers.objects.fields import parts
from practice_store.graphql.resolvers.objects.locations import location
from practice_store.state import (
    Checkout,
    Customer,
    Job,
    Order,
    Resource,
    Return,
    Subscription,
    gid,
)

# What has a global ID; the result of a cancellation is a dict.
Node = Part[Resource] | Order | Customer | Checkout | Subscription | JsonObject
_Rank = int | tuple[datetime, int] | tuple[str, str]
_ORDER_SORT: Final[dict[str, Callable[[Order], _Rank]]] = {
    "ID": lambda o: o.number_id,
    "CREATED_AT": lambda o: (o.created_at, o.number_id),
    "PROCESSED_AT": lambda o: (o.processed_at, o.number_id),
    "UPDATED_AT": lambda o: (o.updated_at, o.number_id),
    "ORDER_NUMBER": lambda o: o.number,
}
_CUSTOMER_SORT: Final[dict[str, Callable[[Customer], _Rank]]] = {
    "ID": lambda c: c.number_id,
    "CREATED_AT": lambda c: (c.created_at, c.number_id),
    "UPDATED_AT": lambda c: (c.updated_at, c.number_id),
    "NAME": lambda c: (c.last_name or "", c.first_name or ""),
}


@resolves("QueryRoot", "shop")
def _shop(_parent: object, context: Context, _args: Args) -> JsonObject:
    shop = context.shop
    return {
        "__typename": "Shop",
        "id": gid("Shop", 1),
        "name": shop.name,
        "myshopifyDomain": shop.domain,
        "email": f"owner@{shop.domain}",
        "currencyCode": shop.currency,
        "ianaTimezone": shop.time_zone,
        "timezoneOffsetMinutes": 60,
        "shopAddress": {"id": gid("ShopAddress", 1), "countryCodeV2": shop.country_code},
        "enabledPresentmentCurrencies": sorted({"USD", "EUR", "JPY", "KWD", shop.currency}),
        "primaryDomain": {
            "id": gid("Domain", 1),
            "host": shop.domain,
            "url": f"https://{shop.domain}",
        },
        "plan": {"publicDisplayName": "Basic", "partnerDevelopment": True, "shopifyPlus": False},
        "orderNumberFormatPrefix": shop.order_prefix,
        "orderNumberFormatSuffix": shop.order_suffix,
    }


@resolves("QueryRoot", "currentAppInstallation")
def _installation(_parent: object, context: Context, _args: Args) -> JsonObject:
    return {
        "id": gid("AppInstallation", 1),
        "app": {"id": gid("App", 1), "title": "Agent Inbox", "handle": "agent-inbox"},
        "accessScopes": [{"handle": scope} for scope in context.shop.scopes],
    }


@resolves("QueryRoot", "publicApiVersions")
def _versions(_parent: object, _context: Context, _args: Args) -> list[JsonObject]:
    return [{"handle": "2026-10", "displayName": "2026-10 (Latest)", "supported": True}]


@resolves("QueryRoot", "order")
def _order(_parent: object, context: Context, args: Args) -> Order | None:
    return find_order(context, args["id"])


@resolves("QueryRoot", "orders")
def _orders(_parent: object, context: Context, args: Args) -> JsonObject:
    if context.only_orders is not None:
        return connection(context.only_orders, args)
    rows = found_orders(context, args)
    rows.sort(key=_ORDER_SORT.get(args.get("sortKey") or "ID", _ORDER_SORT["ID"]))
    return connection(rows, args)


def found_orders(context: Context, args: Args) -> list[Order]:
    """Return the orders that match a search; only the last 60 days without read_all_orders."""
    rows = [o for o in context.shop.orders.values() if may_read(context, o)]
    return search.orders(rows, args.get("query") or "", _warn(context, args.get("query") or ""))


def _warn(context: Context, query: str) -> Callable[[str, str], None]:
    def warn(field: str, code: str) -> None:
        context.warnings.append(
            {
                "field": field,
                "message": f"Invalid search field for this query: {field}",
                "code": code,
                "query": query,
            }
        )

    return warn


@resolves("QueryRoot", "ordersCount")
def _orders_count(_parent: object, context: Context, args: Args) -> JsonObject:
    return {"count": len(found_orders(context, args)), "precision": "EXACT"}


@resolves("QueryRoot", "customer")
def _customer(_parent: object, context: Context, args: Args) -> Customer | None:
    return context.shop.customers.get(number(args["id"]))


@resolves("QueryRoot", "customers")
def _customers(_parent: object, context: Context, args: Args) -> JsonObject:
    query = args.get("query") or ""
    rows = search.customers(list(context.shop.customers.values()), query, _warn(context, query))
    rows.sort(key=_CUSTOMER_SORT.get(args.get("sortKey") or "ID", _CUSTOMER_SORT["ID"]))
    return connection(rows, args)


@resolves("QueryRoot", "customersCount")
def _customers_count(_parent: object, context: Context, args: Args) -> JsonObject:
    return {"count": len(context.shop.customers), "precision": "EXACT"}


@resolves("QueryRoot", "customerByIdentifier")
def _customer_by(_parent: object, context: Context, args: Args) -> Customer | None:
    wanted = args["identifier"]
    for row in context.shop.customers.values():
        if wanted.get("id") == row.id:
            return row
        email, phone = wanted.get("emailAddress"), wanted.get("phoneNumber")
        if (email and (row.email or "").lower() == email.lower()) or (phone and row.phone == phone):
            return row
    return None


@resolves("QueryRoot", "locations")
def _locations(_parent: object, context: Context, args: Args) -> JsonObject:
    return connection([location(context, number) for number in context.shop.locations], args)


@resolves("QueryRoot", "location")
def _location(_parent: object, context: Context, args: Args) -> JsonObject | None:
    if args.get("id") is None:
        return location(context)
    found = number(args["id"])
    return location(context, found) if found in context.shop.locations else None


@resolves("QueryRoot", "job")
def _job(_parent: object, context: Context, args: Args) -> JsonObject | None:
    _kind, key = parse_gid(args["id"])
    job = context.shop.jobs.get(str(key))
    return {"id": args["id"], "done": job.status != "STARTED"} if job else None


@resolves("QueryRoot", "node")
def _node(_parent: object, context: Context, args: Args) -> Node | None:
    return find_node(context, args["id"])


@resolves("QueryRoot", "nodes")
def _nodes(_parent: object, context: Context, args: Args) -> list[Node | None]:
    return [find_node(context, value) for value in args["ids"]]


@resolves("QueryRoot", "returnableFulfillments")
def _returnable(_parent: object, context: Context, args: Args) -> JsonObject:
    order = find_order(context, args["orderId"])
    rows = []
    for parcel in order.fulfillments if order else ():
        left = [
            (line, line.quantity - returning.returned_quantity(order, line.number_id))
            for line in parcel.lines
            if order
        ]
        if order and parcel.is_live and any(quantity for _, quantity in left):
            rows.append(
                {
                    "id": gid("ReturnableFulfillment", parcel.number_id),
                    "fulfillment": Part(order, parcel),
                    "lines": [
                        {"quantity": quantity, "fulfillmentLineItem": Part(order, line)}
                        for line, quantity in left
                    ],
                }
            )
    return connection(rows, args)


@resolves("ReturnableFulfillment", "returnableFulfillmentLineItems")
def _returnable_lines(parent: JsonObject, _context: Context, args: Args) -> JsonObject:
    return connection(parent["lines"], args)


def find_node(context: Context, value: str) -> Node | None:
    """Return any object by its global ID; None if it doesn't exist."""
    kind, tail = parse_gid(value)
    if kind == "OrderCancelJobResult":
        return cancel_job_result(context, str(tail))
    if kind == "Customer":
        return context.shop.customers.get(int(tail)) if isinstance(tail, int) else None
    if kind == "Order":
        return find_order(context, value)
    if kind == "AbandonedCheckout":
        return context.shop.checkouts.get(int(tail)) if isinstance(tail, int) else None
    if kind == "WebhookSubscription":
        return context.shop.subscriptions.get(int(tail)) if isinstance(tail, int) else None
    return next((part for part in _all_parts(context, kind) if part.number_id == tail), None)


def cancel_job_result(context: Context, key: str) -> JsonObject | None:
    """Return the OrderCancelJobResult of a job; None once it is forgotten."""
    job = context.shop.jobs.get(key)
    if job is None or _is_forgotten(context, job):
        return None
    order = context.shop.orders.get(job.order_number)
    return {
        "__typename": "OrderCancelJobResult",
        "id": f"gid://shopify/OrderCancelJobResult/{key}",
        "done": job.status != "STARTED",
        "status": job.status,
        "errors": job.errors,
        "order": order if order and may_read(context, order) else None,
    }


def _is_forgotten(context: Context, job: Job) -> bool:
    """Return whether the result is no longer available.

    Shopify doesn't document how long it keeps the outcome of a cancellation.
    """
    kept_s = context.conditions.jobs_kept_s
    if kept_s is None or job.accepted_at is None:
        return False
    return context.now() - job.accepted_at > timedelta(seconds=kept_s)


def _all_parts(context: Context, kind: str) -> Iterator[Part[Resource]]:
    rows_of: dict[str, Callable[[Order], Sequence[Resource]]] = {
        "Refund": lambda o: o.refunds,
        "Fulfillment": lambda o: o.fulfillments,
        "FulfillmentOrder": lambda o: o.fulfillment_orders,
        "Return": lambda o: o.returns,
        "OrderTransaction": lambda o: o.transactions,
        "LineItem": lambda o: o.lines,
        "ReverseDelivery": lambda o: [d for r in o.returns for d in r.deliveries],
        "ReverseFulfillmentOrder": lambda o: [r for r in o.returns if r.reverse_order_number],
    }
    for order in context.shop.orders.values():
        if not may_read(context, order):
            continue
        for row in rows_of[kind](order) if kind in rows_of else ():
            part = Part(order, row)
            if kind == "ReverseFulfillmentOrder" and isinstance(row, Return):
                part.typename, part.number_id = kind, row.reverse_order_number or 0
            yield part


def _by_id(_parent: object, context: Context, args: Args) -> Node | None:
    return find_node(context, args["id"])


for _field in (
    "fulfillment",
    "fulfillmentOrder",
    "return",
    "refund",
    "reverseFulfillmentOrder",
    "reverseDelivery",
    "webhookSubscription",
    "automaticDiscountNode",
    "catalog",
    "inventoryShipment",
    "fulfillmentService",
    "customerPaymentMethod",
    "giftCard",
    "scriptTag",
    "customerSegmentMembersQuery",
):
    RESOLVERS["QueryRoot"][_field] = _by_id
RESOLVERS["QueryRoot"]["shopifyFunction"] = lambda p, c, a: None
for _field in ("products", "collections"):
    RESOLVERS["QueryRoot"][_field] = lambda p, c, a: connection([], a)
RESOLVERS["Return"] = {"order": lambda p, c, a: p.order}
__all__ = ["cancel_job_result", "find_node", "parts"]
