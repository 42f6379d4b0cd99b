"""Start, show and cancel bulk operations."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import BulkOperation, Context
from practice_store.errors import UserError
from practice_store.graphql import bulk_rules
from practice_store.graphql.resolvers.base import (
    Args,
    number,
    payload,
    resolves,
)
from practice_store.graphql.scalars import schema


@resolves("Mutation", "bulkOperationRunQuery")
def _run(_parent: object, context: Context, args: Args) -> JsonObject:
    if refused := bulk_rules.problems(schema(), args["query"]):
        errors = [{"field": ["query"], "message": text, "code": "INVALID"} for text in refused]
        return {"bulkOperation": None, "userErrors": errors}
    if refusal := context.conditions.refuses_bulk:
        error: Args = {"field": None, "message": refusal, "code": "INVALID"}
        return {"bulkOperation": None, "userErrors": [error]}
    bulk = context.bulk
    if bulk.running(context.shop) >= bulk.at_once:
        message = "A bulk query operation for this app and shop is already in progress."
        error = {"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}
        return {"bulkOperation": None, "userErrors": [error]}
    return {"bulkOperation": bulk.start(context, args["query"]), "userErrors": []}


@resolves("Mutation", "bulkOperationCancel")
def _cancel(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        found = context.bulk.find(context.shop, number(args["id"]))
        if found is None:
            raise UserError("Bulk operation does not exist", ["id"])
        if not found.is_open:
            raise UserError("Bulk operation cannot be canceled: it has ended.", ["id"])
        context.bulk.cancel(found)
        return {"bulkOperation": found}

    return payload(work, {"bulkOperation": None})


@resolves("QueryRoot", "bulkOperation")
def _show(_parent: object, context: Context, args: Args) -> BulkOperation | None:
    return context.bulk.find(context.shop, number(args["id"]))
