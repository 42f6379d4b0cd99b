"""Which of a person's orders the panel shows, as its address says it."""

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
# So far an agent may page; whoever needs more is better served by the search.
AT_MOST: Final = 200


class Show(StrEnum):
    ALL = "all"
    OPEN = "open"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`store_id` None: every store. `count`: how many orders at most."""

    show: Show = Show.ALL
    store_id: int | None = None
    count: int = ORDERS_A_PAGE

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Self:
        """From an address's parameters; words nobody knows mean the default."""
        show, store, count = (asked.get(name, "") for name in ("show", "store", "count"))
        return cls(
            show=Show(show) if show in set(Show) else Show.ALL,
            store_id=number(store),
            count=min(max(number(count) or 0, ORDERS_A_PAGE), AT_MOST),
        )

    @property
    def is_narrowed(self) -> bool:
        return self.show != Show.ALL or self.store_id is not None

    @property
    def query(self) -> str:
        """For an address: "?show=open&store=2", or "" for the default."""
        words: dict[str, str | int] = {}
        if self.show != Show.ALL:
            words["show"] = self.show
        if self.store_id is not None:
            words["store"] = self.store_id
        if self.count != ORDERS_A_PAGE:
            words["count"] = self.count
        return f"?{urlencode(words)}" if words else ""

    @property
    def further(self) -> str:
        """The address's parameters that show a page more."""
        return replace(self, count=min(self.count + ORDERS_A_PAGE, AT_MOST)).query

    def showing(self, show: Show) -> str:
        return replace(self, show=show, count=ORDERS_A_PAGE).query

    def of_store(self, store_id: int | None) -> str:
        return replace(self, store_id=store_id, count=ORDERS_A_PAGE).query


def number(text: str) -> int | None:
    """A whole number of an address's parameter; None for what is none, or as long as none of
    ours ("²" is a digit, too)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def uuid(text: str) -> UUID | None:
    """An id that a page made; None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def moment(text: str) -> datetime | None:
    """A time of an address's parameter, in UTC; None for what is none (2026-02-30), for one without
    a zone, and for one that lies beyond the calendar in UTC."""
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
