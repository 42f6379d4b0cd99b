"""Parse the values in an answer: text, counts, times, amounts, lists and missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from core.json_types import JsonObject
from core.web_urls import web_url
from orders.errors import InvalidMoney
from orders.money import Money
from orders.snapshot import Attribute, MoneyBag

Json = JsonObject
T = TypeVar("T")


class MalformedAnswer(ValueError):
    """Shopify's answer lacks something indispensable or has an unexpected shape."""


@contextmanager
def well_formed() -> Iterator[None]:
    """Turn any error caused by an unexpected shape inside the block into MalformedAnswer."""
    try:
        yield
    except MalformedAnswer:
        raise
    except (KeyError, TypeError, AttributeError, InvalidMoney, ValueError) as error:
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def dig(data: object, *path: str) -> Any:
    """Return the value at a path of nested objects; None if any of them is missing or null."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def nodes(connection: Any) -> list[Json]:
    """Return the objects of a connection or a plain list, without nulls."""
    if isinstance(connection, dict):
        connection = connection.get("nodes")
    return [node for node in connection or () if node]


def each(connection: object, convert: Callable[[Json], T]) -> tuple[T, ...]:
    """Convert the objects of a connection or a plain list."""
    return tuple(convert(node) for node in nodes(connection))


def attributes(data: object) -> tuple[Attribute, ...]:
    """Map the `customAttributes` of an order or a line item."""
    return each(
        data, lambda row: Attribute(key=to_text(row.get("key")), value=to_text(row.get("value")))
    )


def to_text(value: object) -> str:
    """Return a string that any database can store; "" for null."""
    # NULs and lone surrogates are legal in JSON, but databases reject them.
    if value is None:
        return ""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def to_count(value: Any) -> int:
    """Return an integer; 0 for null. Raises TypeError or ValueError for anything else."""
    return int(value) if value is not None else 0


def to_rate(value: object) -> Decimal | None:
    """Return an exchange rate; None for null and for anything that isn't a positive number.

    A rate is only shown, so a strange one hides itself and not the order.
    """
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        return None
    return rate if rate.is_finite() and rate > 0 else None


def to_time(text: object) -> datetime | None:
    """Parse an optional ISO 8601 time; None if it's empty, ValueError if it's malformed."""
    return must_time(text) if text else None


def must_time(text: Any) -> datetime:
    """Parse a required ISO 8601 time, UTC if it has no offset. Raises TypeError or ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_bag(data: Json | None, shop: str, presentment: str) -> MoneyBag:
    """Map a MoneyBag; a missing one is zero in the given currencies.

    If only one of the two amounts is present, it's used for both. Raises MalformedAnswer if both
    are missing, and InvalidMoney for one that isn't a number.
    """
    if not data:
        return MoneyBag(shop=Money.zero(shop), presentment=Money.zero(presentment))
    own = data.get("presentmentMoney") or data.get("shopMoney")
    if not own:
        raise MalformedAnswer("a sum without an amount")
    theirs = data.get("shopMoney") or own
    return MoneyBag(
        shop=Money.from_wire(theirs["amount"], theirs["currencyCode"]),
        presentment=Money.from_wire(own["amount"], own["currencyCode"]),
    )


def to_url(url: object) -> str:
    """Return the URL if it's http(s), else ""."""
    return web_url(to_text(url))
