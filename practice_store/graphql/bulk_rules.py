"""What Shopify refuses in a bulk query, in its own words (recorded 2026-04)."""

from __future__ import annotations

from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    visit,
)

MAX_CONNECTIONS: Final = 5
MAX_DEPTH: Final = 2
LIST_HOLDS_CONNECTION: Final = (
    "Queries that contain a connection field within a list field are not currently supported."
)


def problems(schema: GraphQLSchema, query: str) -> list[str]:
    """Return a query's refusals in Shopify's order; empty if it may run."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return [f"Invalid bulk query: {error.message}"]
    operation = _operation(document)
    if operation is None or operation.operation.value != "query":
        return ["Invalid operation type. Only `query` operations are supported."]
    found = _Findings(schema)
    visit(document, TypeInfoVisitor(found.types, found))
    refused = [
        f"Bulk queries cannot contain a top level `{selection.name.value}` field."
        for selection in operation.selection_set.selections
        if isinstance(selection, FieldNode) and selection.name.value in {"node", "nodes"}
    ]
    if not found.connections:
        refused.append("Bulk queries must contain at least one connection.")
    if found.by_nodes:
        name = found.by_nodes[0]
        refused.append(
            "All connection fields in a bulk query must select their contents using 'edges' > "
            f"'node', e.g: '{name} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
            f"Invalid connection fields: {_quoted(found.by_nodes)}."
        )
    if found.depth - 1 > MAX_DEPTH:
        refused.append(
            "Bulk queries cannot contain connections with a nesting depth greater than 2."
        )
    if len(found.connections) > MAX_CONNECTIONS:
        refused.append("Bulk queries cannot contain more than 5 connections.")
    if found.without_id:
        refused.append(
            "The parent 'node' field for a nested connection must select the 'id' field without "
            "an alias and must be of 'ID' return type. Connection fields without 'id': "
            f"{', '.join(found.without_id)}."
        )
    if found.is_in_list:
        refused.append(LIST_HOLDS_CONNECTION)
    return refused


def is_connection(name: str) -> bool:
    """Return whether a type is a connection, by its name."""
    return name.endswith("Connection")


class _Findings(Visitor):
    """Collect what the rules need in one pass over the query."""

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.connections: list[str] = []
        self.by_nodes: list[str] = []
        self.without_id: list[str] = []
        self.depth = 0
        self.is_in_list = False
        # (name, is a connection, is a list, selection set) of each field, from the root down.
        self._path: list[tuple[str, bool, bool, SelectionSetNode | None]] = []

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Record the field and its place in the query."""
        kind = self.types.get_type()
        is_list = isinstance(
            kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList
        )
        name = node.name.value
        here = is_connection(str(kind).strip("[]!"))
        if here:
            self._connection(node, name)
        # A connection's own `edges` and `nodes` don't count as lists.
        own = bool(self._path) and self._path[-1][1] and name in {"edges", "nodes"}
        self._path.append((name, here, is_list and not own, node.selection_set))
        self.depth = max(self.depth, sum(is_one for _n, is_one, _l, _s in self._path))

    def leave_field(self, *_: object) -> None:
        """Go back up to the field's parent."""
        self._path.pop()

    def _connection(self, node: FieldNode, name: str) -> None:
        self.connections.append(name)
        if "nodes" in _fields(node.selection_set):
            self.by_nodes.append(name)
        if any(is_list for _n, _c, is_list, _s in self._path):
            self.is_in_list = True
        parents = [(n, s) for n, is_one, _l, s in self._path if is_one]
        holders = [s for n, _c, _l, s in self._path if n == "node"]
        if parents and holders and "id" not in _fields(holders[-1]):
            parent = parents[-1][0]
            if parent not in self.without_id:
                self.without_id.append(parent)


def _operation(document: DocumentNode) -> OperationDefinitionNode | None:
    found = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return found[0] if len(found) == 1 else None


def _fields(selection: SelectionSetNode | None) -> set[str]:
    return {
        s.name.value
        for s in (selection.selections if selection else ())
        if isinstance(s, FieldNode) and s.alias is None
    }


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
