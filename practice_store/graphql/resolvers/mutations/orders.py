"""Mutations of orders and their tags."""

from __future__ import annotations

from collections.abc import Callable

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import (
    Args,
    Resolver,
    find_order,
    must_order,
    number,
    payload,
    resolves,
)
from practice_store.graphql.resolvers.queries import find_node
from practice_store.sales import lifecycle, order_input, payments
from practice_store.state import Customer, Order


@resolves("Mutation", "orderCreate")
def _order_create(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = order_input.from_input(context, args["order"])
        lifecycle.place(context, order)
        return {"order": order}

    return payload(work, {"order": None})


@resolves("Mutation", "orderUpdate")
def _order_update(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order = must_order(context, data["id"])
        for name in ("note", "email", "phone", "tags"):
            if name in data:
                setattr(order, name, data[name])
        if "customAttributes" in data:
            order.attributes = {a["key"]: a["value"] for a in data["customAttributes"] or ()}
        if data.get("shippingAddress"):
            order.shipping_address = order_input.address(data["shippingAddress"])
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


def _change(name: str, change: Callable[[Context, Order], None]) -> None:
    @resolves("Mutation", name)
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
        def work() -> Args:
            order = must_order(context, args["input"]["id"])
            change(context, order)
            return {"order": order}

        # The payload of a refused change still has the order.
        return payload(work, {"order": find_order(context, args["input"]["id"])})


_change("orderMarkAsPaid", payments.mark_as_paid)
_change("orderClose", lifecycle.close)
_change("orderOpen", lifecycle.reopen)


@resolves("Mutation", "orderDelete")
def _order_delete(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        lifecycle.delete(context, must_order(context, args["orderId"], "orderId"))
        return {"deletedId": args["orderId"]}

    return payload(work, {"deletedId": None})


@resolves("Mutation", "orderCustomerSet")
def _customer_set(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = must_order(context, args["orderId"], "orderId")
        customer = context.shop.customers.get(number(args["customerId"]))
        if customer is None:
            raise UserError("Customer does not exist", ["customerId"], "NOT_FOUND")
        if order.cancelled_at:
            message = "Cannot set a customer on a cancelled order"
            raise UserError(message, ["orderId"], "NOT_PERMITTED")
        order.customer_number = customer.number_id
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


@resolves("Mutation", "orderCustomerRemove")
def _customer_remove(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order = must_order(context, args["orderId"], "orderId")
        order.customer_number = None
        lifecycle.touch(context, order)
        return {"order": order}

    return payload(work, {"order": None})


def _tags(add: bool) -> Resolver:
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
        def work() -> Args:
            row = find_node(context, args["id"])
            if not isinstance(row, Order | Customer):
                raise UserError("Node does not exist", ["id"])
            wanted = args["tags"]
            kept = [t for t in row.tags if t not in wanted]
            row.tags = sorted({*row.tags, *wanted}) if add else kept
            if isinstance(row, Order):
                lifecycle.touch(context, row)
            return {"node": row}

        return payload(work, {"node": None})

    return resolve


resolves("Mutation", "tagsAdd")(_tags(add=True))
resolves("Mutation", "tagsRemove")(_tags(add=False))
