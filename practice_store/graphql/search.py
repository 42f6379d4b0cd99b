"""The part of Shopify's search syntax that the product uses: `field:value`, comparators, quotes,
AND.

As at Shopify, an unknown field only causes a warning, so that the search returns everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from practice_store.derived import order_sums, quantities
from practice_store.state import (
    Checkout,
    Customer,
    Order,
)

Row = TypeVar("Row")
Ordered = TypeVar("Ordered", str, datetime)
Value = str | datetime | set[str]
_TERM: Final = re.compile(
    r"""(?P<field>[a-z_]{1,40}):(?P<op>>=|<=|>|<)?(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>\S+))"""
)

_ORDER: Final[dict[str, Callable[[Order], Value]]] = {
    "id": lambda o: str(o.number_id),
    "name": lambda o: o.name.lower().lstrip("#"),
    "email": lambda o: (o.email or "").lower(),
    "customer_id": lambda o: str(o.customer_number or ""),
    "created_at": lambda o: o.created_at,
    "processed_at": lambda o: o.processed_at,
    "updated_at": lambda o: o.updated_at,
    "financial_status": lambda o: (order_sums.financial_status(o) or "").lower(),
    "fulfillment_status": lambda o: quantities.fulfillment_status(o).lower(),
    "tag": lambda o: {t.lower() for t in o.tags},
    "test": lambda o: str(o.test).lower(),
    "status": lambda o: {
        "open" if not o.closed_at else "closed",
        "cancelled" if o.cancelled_at else "not_cancelled",
        "not_closed" if not o.closed_at else "any",
        "any",
    },
}
_CUSTOMER: Final[dict[str, Callable[[Customer], Value]]] = {
    "id": lambda c: str(c.number_id),
    "email": lambda c: (c.email or "").lower(),
    "phone": lambda c: (c.phone or "").lower(),
    "state": lambda c: c.state.lower(),
    "first_name": lambda c: (c.first_name or "").lower(),
    "last_name": lambda c: (c.last_name or "").lower(),
    "tag": lambda c: {t.lower() for t in c.tags},
    "created_at": lambda c: c.created_at,
    "updated_at": lambda c: c.updated_at,
}


_CHECKOUT: Final[dict[str, Callable[[Checkout], Value]]] = {
    "id": lambda c: str(c.number_id),
    "created_at": lambda c: c.created_at,
    "updated_at": lambda c: c.updated_at,
    "status": lambda c: "closed" if c.completed_at else "open",
}


def checkouts(rows: list[Checkout], query: str) -> list[Checkout]:
    """Return the checkouts that match a query; unknown fields are ignored silently."""
    return _search(rows, query, _CHECKOUT, lambda c: c.email or "", lambda field, code: None)


def orders(rows: list[Order], query: str, warn: Callable[[str, str], None]) -> list[Order]:
    """Return the orders that match a query; `warn` gets each unknown field and a code."""
    return _search(rows, query, _ORDER, lambda o: f"{o.name} {o.email or ''}", warn)


def customers(rows: list[Customer], query: str, warn: Callable[[str, str], None]) -> list[Customer]:
    """Return the customers that match a query; `warn` gets each unknown field and a code."""
    text = lambda c: f"{c.display_name} {c.email or ''} {c.phone or ''}"  # noqa: E731
    return _search(rows, query, _CUSTOMER, text, warn)


def _search(
    rows: list[Row],
    query: str,
    fields: dict[str, Callable[[Row], Value]],
    text: Callable[[Row], str],
    warn: Callable[[str, str], None],
) -> list[Row]:
    for term in _TERM.finditer(query):
        name = term["field"]
        value = next((term[k] for k in ("single", "double", "bare") if term[k] is not None), "")
        if name not in fields:
            warn(name, "invalid_field")
            continue
        read = fields[name]
        rows = [row for row in rows if _matches(read(row), term["op"], value)]
    for word in _TERM.sub(" ", query).replace(" AND ", " ").split():
        rows = [row for row in rows if word.lower() in text(row).lower()]
    return rows


def _matches(have: Value, op: str | None, value: str) -> bool:
    if isinstance(have, set):
        return value.lower() in have
    if isinstance(have, datetime):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return False
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _compares(have, op, moment)
    wanted = value.lower().lstrip("#")
    if not op and wanted.endswith("*"):
        return have.startswith(wanted[:-1])
    return _compares(have, op, wanted)


def _compares(have: Ordered, op: str | None, wanted: Ordered) -> bool:
    match op:
        case ">=":
            return have >= wanted
        case "<=":
            return have <= wanted
        case ">":
            return have > wanted
        case "<":
            return have < wanted
        case _:
            return have == wanted
