"""What the fields of all objects share: tables of resolvers, money bags, lists and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.graphql.resolvers.base import (
    MAX_PAGE,
    RESOLVERS,
    Args,
    Item,
    Part,
    Resolver,
    Row,
    connection,
    in_any_order,
)
from practice_store.state import Order, Resource

# The amount that a row, a Part or a suggestion shows in one of its money fields.
Sum = Callable[[Any], Decimal]
Parent = Order | Part[Resource]


def parts(order: Order, rows: Sequence[Row]) -> list[Part[Row]]:
    """Return the rows as Parts of their order."""
    return [Part(order, row) for row in rows]


def add_sums(type_name: str, table: dict[str, Sum]) -> None:
    """Register `<name>Set` as a money bag and `<name>` as the deprecated amount in shop currency."""
    for name, amount in table.items():

        def as_bag(parent: Parent, _c: Context, _a: Args, amount: Sum = amount) -> JsonObject:
            return order_sums.bag(order_of(parent), amount(parent))

        RESOLVERS.setdefault(type_name, {})[f"{name}Set"] = as_bag

        def as_text(parent: Parent, _c: Context, _a: Args, amount: Sum = amount) -> object:
            return order_sums.bag(order_of(parent), amount(parent))["shopMoney"]["amount"]

        RESOLVERS[type_name][name] = as_text


def order_of(parent: Parent) -> Order:
    """Return the order that a field's parent is, or is a part of."""
    return parent if isinstance(parent, Order) else parent.order


def add_fields(type_name: str, table: dict[str, Resolver]) -> None:
    """Register resolvers for fields of a type."""
    RESOLVERS.setdefault(type_name, {}).update(table)


def cut(rows: Sequence[Item], first: int | None) -> list[Item]:
    """Return the first rows, as many as were asked for and at most a maximum page."""
    return list(rows[: MAX_PAGE if first is None else min(first, MAX_PAGE)])


def cut_list(rows: Callable[[Order], Sequence[Resource]]) -> Resolver:
    """Return a resolver for a plain list, silently cut at `first` and at the maximum page size."""

    def resolve(order: Order, context: Context, args: Args) -> list[Part[Resource]]:
        return cut(parts(order, in_any_order(context, rows(order))), args.get("first"))

    return resolve


def page_of(rows: Callable[[Any], Sequence[Resource]]) -> Resolver:
    """Return a resolver for a connection of rows, as Parts of their order."""

    def resolve(parent: Parent, _context: Context, args: Args) -> JsonObject:
        return connection(parts(order_of(parent), rows(parent)), args)

    return resolve
