"""What the admin's front page and /metrics show, put together from apps that must not meet.

Each app adds functions to `DESK` when it is ready; the page and the probe (settings) ask them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Tone = Literal["default", "success", "info", "attention", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number and where it is settled. `permission`: who sees it. No store: it is of all."""

    title: str
    value: str
    url: str
    permission: str
    tone: Tone = "default"
    hint: str = ""
    store_id: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One Prometheus metric; its name says the unit."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter"] = "gauge"


@dataclass(frozen=True, slots=True)
class Desk:
    """Each function of `tiles` and `metrics` makes a fixed number of queries, whatever the number of rows."""

    tiles: list[Callable[[datetime], Iterable[Tile]]] = field(default_factory=list)
    metrics: list[Callable[[datetime], Iterable[Metric]]] = field(default_factory=list)
    # The page an action was asked for on (OrderAction.origin); "" where it is not theirs.
    origin_urls: list[Callable[[str], str]] = field(default_factory=list)


DESK: Final = Desk()


def seconds_since(at: datetime | None, now: datetime) -> float:
    """0 where there is nothing, so that an alarm compares one number."""
    return max(0.0, (now - at).total_seconds()) if at else 0.0
