"""What the admin's front page and /metrics show, from apps that must not import one another.

Each app adds functions to `DESK` in its `ready()`; the admin page and the metrics view call them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from django.db.models import Model, QuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

Tone = Literal["default", "success", "info", "attention", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number, and the page where it can be dealt with.

    Only people with `permission` see it. Without a `store_id` it counts the whole installation.
    `admin_url` is for people who work in the admin alone, where `url` is a page of the inbox; ""
    means that `url` is for everyone.
    """

    title: str
    value: str
    url: str
    permission: str
    admin_url: str = ""
    tone: Tone = "default"
    hint: str = ""
    store_id: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, and the labels that tell it from the others."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One Prometheus metric; its name includes the unit."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter"] = "gauge"


class Limit(Protocol):
    """What people with admin permissions who aren't responsible for everything see of it."""

    def applies_to(self, user: User | AnonymousUser) -> bool:
        """Return whether this person sees only a part of the installation."""

    def apply(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows, of any model, that this person sees."""

    def choices(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows, of any model, that a form offers this person."""

    def may_add(self, user: User | AnonymousUser, model: type[Model]) -> bool:
        """Return whether this person may add rows, if their permissions allow it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The registered providers.

    Each function in `tiles` and `metrics` makes a fixed number of queries, however many rows there
    are.
    """

    tiles: list[Callable[[datetime], Iterable[Tile]]] = field(default_factory=list)
    metrics: list[Callable[[datetime], Iterable[Metric]]] = field(default_factory=list)
    # Map OrderAction.origin to the URL of the page the action was requested on; "" for an origin of
    # another app.
    origin_urls: list[Callable[[str], str]] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)

    def is_limited(self, user: User | AnonymousUser) -> bool:
        """Return whether a person sees only a part of the installation in the admin."""
        return any(limit.applies_to(user) for limit in self.limits)

    def limited(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that a person sees in the admin."""
        for limit in self.limits:
            rows = limit.apply(user, rows)
        return rows

    def choices(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that a person's forms offer."""
        for limit in self.limits:
            rows = limit.choices(user, rows)
        return rows

    def may_add(self, user: User | AnonymousUser, model: type[Model]) -> bool:
        """Return whether a person may add rows of a model, as far as the limits say."""
        return all(limit.may_add(user, model) for limit in self.limits)


DESK: Final = Desk()


def seconds_since(at: datetime | None, now: datetime) -> float:
    """Return the seconds since `at`; 0 for None, so that an alert compares a single number."""
    return max(0.0, (now - at).total_seconds()) if at else 0.0
