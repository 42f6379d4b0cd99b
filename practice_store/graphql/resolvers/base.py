"""What all resolvers share: the registry, connections, IDs and payloads."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from graphql import GraphQLNonNull, GraphQLResolveInfo

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import (
    ShopError,
    UserError,
)
from practice_store.state import (
    Order,
    Resource,
)

Args = JsonObject
# A parent is whatever the resolver of the field above returned: a row, a Part or a dict.
Resolver = Callable[[Any, Context, Args], object]
Row = TypeVar("Row", bound=Resource, covariant=True)
Item = TypeVar("Item")
RESOLVERS: Final[dict[str, dict[str, Resolver]]] = {}
_GID: Final = re.compile(r"\Agid://shopify/([A-Za-z]+)/([\w-]+)(\?.*)?\Z")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MAX_PAGE: Final = 250


class Part(Generic[Row]):
    """A row together with its order, which its amounts and statuses depend on."""

    def __init__(self, order: Order, row: Row) -> None:
        self.order, self.row = order, row
        self.typename: str = row.typename
        self.number_id: int = row.number_id

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self.row, name)
        return found


def resolves(type_name: str, *fields: str) -> Callable[[Resolver], Resolver]:
    """Register a resolver for fields of a type."""

    def register(resolver: Resolver) -> Resolver:
        for field in fields:
            RESOLVERS.setdefault(type_name, {})[field] = resolver
        return resolver

    return register


def resolve_field(parent: object, info: GraphQLResolveInfo[Context], **args: object) -> object:
    """Resolve a field: from a dict's key, then a registered resolver, then an attribute.

    Raises ShopError for a field that this store doesn't fill.
    """
    if isinstance(parent, dict) and info.field_name in parent:
        return parent[info.field_name]
    resolver = RESOLVERS.get(info.parent_type.name, {}).get(info.field_name)
    if resolver is not None:
        return resolver(parent, info.context, args)
    if isinstance(parent, dict):
        if isinstance(info.return_type, GraphQLNonNull):
            raise unfilled(info.parent_type.name, info.field_name)
        return None
    name = snake(info.field_name)
    if parent is None or hasattr(parent, name):
        found = getattr(parent, name, None)
        if found is None and isinstance(info.return_type, GraphQLNonNull):
            raise unfilled(info.parent_type.name, info.field_name)
        return found
    raise unfilled(info.parent_type.name, info.field_name)


def unfilled(type_name: str, field_name: str) -> ShopError:
    """Return the error for a schema field that this store doesn't fill.

    As if the field didn't exist: null would be a claim about the shop.
    """
    return ShopError(
        f"Field '{field_name}' doesn't exist on type '{type_name}'",
        "undefinedField",
        typeName=type_name,
        fieldName=field_name,
        practiceStore="This practice store does not fill the field.",
    )


def resolve_type(value: object, *_: object) -> str | None:
    """Return the type name of a union's or interface's value."""
    if isinstance(value, dict):
        return value.get("__typename")
    return getattr(value, "typename", None) or None


def snake(name: str) -> str:
    """Convert a GraphQL name to the attribute's: createdAt to created_at."""
    return _HUMP.sub("_", name).lower()


def parse_gid(value: str) -> tuple[str, int | str]:
    """Return the type and number of a global ID. Raises Shopify's error for other text."""
    match = _GID.match(value)
    if match is None:
        raise ShopError(f"Invalid global id '{value}'", "RESOURCE_NOT_FOUND")
    kind, tail = match[1], match[2]
    return kind, int(tail) if tail.isdigit() else tail


def number(value: str) -> int:
    """Return the number of a global ID; -1 if it has none. Raises Shopify's error for other text."""
    _kind, tail = parse_gid(value)
    return tail if isinstance(tail, int) else -1


def must_be(kind: str, value: str) -> None:
    """Raise Shopify's error unless the ID is of this type."""
    if parse_gid(value)[0] != kind:
        raise ShopError(f"Invalid id: {value}", "RESOURCE_NOT_FOUND")


def connection(rows: Sequence[object], args: Args) -> JsonObject:
    """Return a page of rows. Raises Shopify's error without `first` or `last`."""
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        raise ShopError("you must provide one of first or last", "BAD_REQUEST")
    rows = list(reversed(rows)) if args.get("reverse") else list(rows)
    start, end = 0, len(rows)
    if (after := _position(rows, args.get("after"))) is not None:
        start = after + 1
    if (before := _position(rows, args.get("before"))) is not None:
        end = before
    if first is not None:
        end = min(end, start + min(first, MAX_PAGE))
    else:
        start = max(start, end - min(last or 0, MAX_PAGE))
    page = rows[start:end]
    marks = [_cursor(start + index, row) for index, row in enumerate(page)]
    return {
        "nodes": page,
        "edges": [{"node": row, "cursor": mark} for row, mark in zip(page, marks, strict=True)],
        "pageInfo": {
            "hasNextPage": end < len(rows),
            "hasPreviousPage": start > 0,
            "startCursor": marks[0] if marks else None,
            "endCursor": marks[-1] if marks else None,
        },
    }


def _position(rows: Sequence[object], cursor: str | None) -> int | None:
    """Return the position of a cursor's row; None without a cursor or for an unknown one."""
    if not cursor:
        return None
    try:
        key = json.loads(base64.b64decode(cursor))["last_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return next((i for i, row in enumerate(rows) if getattr(row, "number_id", i) == key), None)


def _cursor(index: int, row: object) -> str:
    key = getattr(row, "number_id", index)
    return base64.b64encode(f'{{"last_id":{key}}}'.encode()).decode()


def in_any_order(context: Context, rows: Sequence[Item]) -> list[Item]:
    """Return rows whose order Shopify doesn't guarantee.

    If the conditions shuffle them, it is always in the same way, so that cursors stay valid.
    """
    if not context.conditions.shuffled:
        return list(rows)

    def sort_key(row: Item) -> bytes:
        name = getattr(row, "number_id", None) or getattr(row, "number", "")
        return hashlib.blake2b(f"{context.conditions.seed}:{name}".encode(), digest_size=8).digest()

    return sorted(rows, key=sort_key)


def payload(work: Callable[[], Args], empty: Args, errors_field: str = "userErrors") -> Args:
    """Run a mutation's work; a UserError becomes data, next to the `empty` payload."""
    try:
        return {**work(), errors_field: []}
    except UserError as error:
        return {**empty, errors_field: error.entries}


def find_order(context: Context, value: str) -> Order | None:
    """Return the order, or None if it doesn't exist or the app may not see it."""
    order = context.shop.orders.get(number(value))
    return order if order is not None and may_read(context, order) else None


def may_read(context: Context, order: Order) -> bool:
    """Return whether the app may see the order: the last 60 days, unless it has read_all_orders."""
    if "read_all_orders" in context.scopes or not context.scopes:
        return True
    return order.created_at >= context.now() - timedelta(days=60)


def must_order(context: Context, value: str, field: str = "id") -> Order:
    """Return the order. Raises UserError if the app can't see it."""
    order = find_order(context, value)
    if order is None:
        raise UserError("Order does not exist", [field], "NOT_FOUND")
    return order
