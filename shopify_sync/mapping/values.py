"""The single values of an answer: texts, counts, times, sums, lists, and what lacks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from orders.errors import InvalidMoney
from orders.money import Money
from orders.snapshot import Attribute, MoneyBag

Json = dict[str, Any]
T = TypeVar("T")


class MalformedAnswer(ValueError):
    """Shopify's answer lacks what an order cannot be without, or has it in another shape."""


@contextmanager
def well_formed() -> Iterator[None]:
    """Whatever shape surprises the reading inside raises MalformedAnswer, and nothing else."""
    try:
        yield
    except MalformedAnswer:
        raise
    except (KeyError, TypeError, AttributeError, InvalidMoney, ValueError) as error:
        raise MalformedAnswer(f"{type(error).__name__}: {error}") from error


def dig(data: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def nodes(connection: Any) -> list[Json]:
    """The objects of a connection or a plain list, nulls left out."""
    if isinstance(connection, dict):
        connection = connection.get("nodes")
    return [node for node in connection or () if node]


def each(connection: Any, convert: Callable[[Json], T]) -> tuple[T, ...]:
    return tuple(convert(node) for node in nodes(connection))


def attributes(data: Any) -> tuple[Attribute, ...]:
    """`customAttributes` of an order or an item."""
    return each(
        data, lambda row: Attribute(key=to_text(row.get("key")), value=to_text(row.get("value")))
    )


def to_text(value: Any) -> str:
    # A NUL and half of a surrogate pair are legal in JSON; no database takes both.
    if value is None:
        return ""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def to_count(value: Any) -> int:
    return int(value) if value is not None else 0


def to_time(text: Any) -> datetime | None:
    return must_time(text) if text else None


def must_time(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_bag(data: Json | None, shop: str, presentment: str) -> MoneyBag:
    """A missing sum counts as zero; a sum that is no number is a malformed answer."""
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


def web_url(url: Any) -> str:
    """The address if it is http(s), else "": a javascript: link must never be rendered."""
    text = to_text(url).strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme.lower() in {"http", "https"} and parts.netloc else ""
