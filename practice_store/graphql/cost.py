"""Query cost, close to Shopify's: objects cost 1, mutations 10, connections depend on their size."""

from __future__ import annotations

import math
from collections.abc import Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from core.json_types import JsonObject


def requested_cost(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, object]
) -> int:
    """Return the points to reserve; a page costs the logarithm of its size."""
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    given: JsonObject = {
        d.variable.name.value: d.default_value for d in operation.variable_definitions or ()
    }
    given |= variables

    def cost(selection_set: SelectionSetNode | None) -> float:
        total = 0.0
        for selection in selection_set.selections if selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                fragment = fragments.get(selection.name.value)
                total += cost(fragment.selection_set) if fragment else 0
            elif isinstance(selection, FieldNode):
                if selection.selection_set is None:
                    continue
                page = _page_size(selection, given)
                inner = cost(selection.selection_set)
                if page:
                    total += 2 + math.log2(page + 1) * max(1.0, inner / 4)
                else:
                    total += inner if selection.name.value in _FREE else 0.4 + inner
            elif isinstance(selection, InlineFragmentNode):
                total += cost(selection.selection_set)
        return total

    base = 10 if operation.operation.value == "mutation" else 0
    return base + math.ceil(cost(operation.selection_set))


def _page_size(field: FieldNode, variables: Mapping[str, object]) -> int | None:
    for argument in field.arguments or ():
        if argument.name.value in {"first", "last"}:
            value: object = argument.value
            if isinstance(value, VariableNode):
                value = variables.get(value.name.value)
            if isinstance(value, IntValueNode):
                value = value.value
            return int(value) if isinstance(value, int | float | str) else None
    return None


def actual_cost(operation: OperationDefinitionNode, requested: int, data: object) -> int:
    """Return the points to charge for what came back, at most what was reserved."""
    if operation.operation.value == "mutation":
        return min(requested, 10)
    return max(1, min(requested, math.ceil(_objects(data) / 4)))


def _objects(data: object) -> int:
    if isinstance(data, dict):
        return 1 + sum(_objects(value) for value in data.values())
    if isinstance(data, list):
        return sum(_objects(value) for value in data)
    return 0


_FREE = frozenset({"nodes", "edges", "node", "pageInfo", "shopMoney", "presentmentMoney"})
