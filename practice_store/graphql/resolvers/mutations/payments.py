"""Mutations of payments and authorizations."""

from __future__ import annotations

from decimal import Decimal

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import Args, Part, must_order, number, payload, resolves
from practice_store.graphql.resolvers.queries import find_node
from practice_store.sales import payments
from practice_store.state import Transaction


@resolves("Mutation", "orderCapture")
def _order_capture(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order = must_order(context, data["id"])
        parent = number(data["parentTransactionId"])
        taken = payments.capture(context, order, parent, Decimal(str(data["amount"])))
        return {"transaction": Part(order, taken)}

    return payload(work, {"transaction": None})


@resolves("Mutation", "transactionVoid")
def _transaction_void(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        held = find_node(context, args["parentTransactionId"])
        if not isinstance(held, Part) or not isinstance(held.row, Transaction):
            message = "Transaction does not exist"
            raise UserError(message, ["parentTransactionId"], "TRANSACTION_NOT_FOUND")
        where = ["parentTransactionId"]
        if held.row.kind != "AUTHORIZATION" or held.row.status != "SUCCESS":
            message = "Parent transaction must be a successful authorization"
            raise UserError(message, where, "AUTH_NOT_SUCCESSFUL")
        if held.row not in order_sums.voidable(held.order):
            message = "Parent transaction require a parent_id referring to a voidable transaction"
            raise UserError(message, where, "AUTH_NOT_VOIDABLE")
        return {"transaction": Part(held.order, payments.void(context, held.order, held.row))}

    return payload(work, {"transaction": None})
