"""Run one GraphQL request on Shopify's own schema: parse, validate, execute, answer as it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.execution import execute_sync

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import ShopError
from practice_store.graphql import error_messages
from practice_store.graphql.cost import (
    actual_cost,
    requested_cost,
)
from practice_store.graphql.resolvers import (
    resolve_field,
    resolve_type,
)
from practice_store.graphql.scalars import schema

MAX_QUERY_COST: Final = 1000
# Schema fields that older API versions don't have, with the version that added them.
SINCE: Final = {("OrderCancelPayload", "jobResult"): "2026-10"}


@lru_cache(maxsize=512)
def _prepared(query: str) -> DocumentNode | tuple[JsonObject, ...]:
    """Return the parsed document, or the errors it is refused with."""
    try:
        document = parse(query)
    except GraphQLSyntaxError as error:
        return (error_messages.syntax_error(error),)
    found = validate(schema(), document)
    return (
        tuple(error_messages.validation_error(document, error) for error in found)
        if found
        else document
    )


@lru_cache(maxsize=512)
def _too_new(query: str, version: str) -> tuple[JsonObject, ...]:
    """Return errors for fields that this API version doesn't have yet."""
    if version >= max(SINCE.values()):
        return ()
    info = TypeInfo(schema())
    found: list[JsonObject] = []

    class NewFields(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            kind = info.get_parent_type()
            if kind and version < SINCE.get((kind.name, node.name.value), ""):
                found.append(error_messages.undefined_field(kind.name, node))

    visit(parse(query), TypeInfoVisitor(info, NewFields()))
    return tuple(found)


def execute(
    context: Context,
    query: str,
    variables: Mapping[str, object] | None,
    operation_name: str | None,
    *,
    reserve: Callable[[int], bool] = lambda _cost: True,
) -> JsonObject:
    """Return the response body.

    Afterwards `context` holds the webhooks to send and the work to do. `reserve` tells whether the
    shop's bucket has the requested cost.
    """
    prepared = _prepared(query)
    if isinstance(prepared, tuple):
        return {"errors": list(prepared)}
    if too_new := _too_new(query, context.api_version):
        return {"errors": list(too_new)}
    variables = dict(variables or {})
    if problems := error_messages.variable_errors(schema(), prepared, operation_name, variables):
        return {"errors": problems}
    operation = _operation(prepared, operation_name)
    if operation is None:
        return {"errors": [{"message": "An operation name is required"}]}
    context.idempotency_key = _idempotency_key(operation, variables)
    requested = requested_cost(prepared, operation, variables)
    if requested > MAX_QUERY_COST:
        message = (
            f"Query cost is {requested}, which exceeds the single query max cost limit (1000)."
        )
        code = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": MAX_QUERY_COST}
        return {"errors": [{"message": message, "extensions": code}]}
    if not reserve(requested):
        return {
            "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
            "extensions": {"cost": {"requestedQueryCost": requested, "actualQueryCost": None}},
        }
    result = execute_sync(
        schema(),
        prepared,
        context_value=context,
        variable_values=variables,
        operation_name=operation_name,
        field_resolver=resolve_field,
        type_resolver=resolve_type,
    )
    answer: JsonObject = {"data": result.data}
    if result.errors:
        answer["errors"] = [_run_error(error) for error in result.errors]
    extensions: JsonObject = {
        "cost": {
            "requestedQueryCost": requested,
            "actualQueryCost": actual_cost(operation, requested, result.data),
        }
    }
    if context.warnings:
        extensions["search"] = [
            {"path": [], "query": w["query"], "warnings": [w]} for w in context.warnings
        ]
    answer["extensions"] = extensions
    return answer


def is_mutation(query: str, operation_name: str | None) -> bool:
    """Return whether the query is a valid mutation."""
    prepared = _prepared(query)
    if isinstance(prepared, tuple):
        return False
    operation = _operation(prepared, operation_name)
    return operation is not None and operation.operation.value == "mutation"


def root_fields(query: str, operation_name: str | None) -> tuple[str, ...]:
    """Return the names of the root fields, which fault rules and the request log use."""
    prepared = _prepared(query)
    if isinstance(prepared, tuple):
        return ()
    operation = _operation(prepared, operation_name)
    selections = operation.selection_set.selections if operation else ()
    return tuple(s.name.value for s in selections if isinstance(s, FieldNode))


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    found = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if name:
        found = [d for d in found if d.name and d.name.value == name]
    return found[0] if len(found) == 1 else None


def _idempotency_key(
    operation: OperationDefinitionNode, variables: Mapping[str, object]
) -> str | None:
    for selection in operation.selection_set.selections:
        for directive in selection.directives or ():
            if directive.name.value == "idempotent" and directive.arguments:
                value = directive.arguments[0].value
                if isinstance(value, VariableNode):
                    found = variables.get(value.name.value)
                    return found if isinstance(found, str) else None
                return value.value if isinstance(value, StringValueNode) else None
    return None


def _run_error(error: GraphQLError) -> JsonObject:
    original = error.original_error
    if original is not None and not isinstance(original, ShopError):
        raise original
    found: JsonObject = {"message": error.message}
    if error.locations:
        found["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        found["path"] = error.path
    if error.extensions:
        found["extensions"] = error.extensions
    return found
