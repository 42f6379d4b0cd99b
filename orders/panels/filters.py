"""Which of a person's orders the panel shows, as read from and written to its URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlencode
from uuid import UUID

from django.utils.dateparse import parse_datetime

ORDERS_A_PAGE: Final = 10
# How far an agent may page; beyond that, search is the better tool.
AT_MOST: Final = 200


class Show(StrEnum):
    """Which orders to show."""

    ALL = "all"
    OPEN = "open"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A choice of orders. `store_id` None means every store; `count` is the most to show."""

    show: Show = Show.ALL
    store_id: int | None = None
    count: int = ORDERS_A_PAGE

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Self:
        """Parse query parameters; unknown values mean the default."""
        show, store, count = (asked.get(name, "") for name in ("show", "store", "count"))
        return cls(
            show=Show(show) if show in set(Show) else Show.ALL,
            store_id=number(store),
            count=min(max(number(count) or 0, ORDERS_A_PAGE), AT_MOST),
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether any filter hides orders."""
        return self.show != Show.ALL or self.store_id is not None

    @property
    def query(self) -> str:
        """The selection as a query string: "?show=open&store=2", or "" for the default."""
        parameters: dict[str, str | int] = {}
        if self.show != Show.ALL:
            parameters["show"] = self.show
        if self.store_id is not None:
            parameters["store"] = self.store_id
        if self.count != ORDERS_A_PAGE:
            parameters["count"] = self.count
        return f"?{urlencode(parameters)}" if parameters else ""

    @property
    def further(self) -> str:
        """The query string that shows one more page."""
        return replace(self, count=min(self.count + ORDERS_A_PAGE, AT_MOST)).query

    def showing(self, show: Show) -> str:
        """Return the query string for another filter, starting at the first page."""
        return replace(self, show=show, count=ORDERS_A_PAGE).query

    def of_store(self, store_id: int | None) -> str:
        """Return the query string for another store, starting at the first page."""
        return replace(self, store_id=store_id, count=ORDERS_A_PAGE).query


def number(text: str) -> int | None:
    """Parse a query-string integer; None if it isn't one or is too long to be an ID."""
    # isascii, because "²" passes isdigit but not int().
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def uuid(text: str) -> UUID | None:
    """Parse an ID that a page generated; None if it isn't a UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None


def moment(text: str) -> datetime | None:
    """Parse a query-string timestamp to UTC.

    None if it isn't a valid one (2026-02-30), has no time zone, or is out of range in UTC.
    """
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
