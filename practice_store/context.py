"""What a resolver may know and do: its shop, the time, and a way to tell the world."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from practice_store.conditions import (
    CALM,
    Conditions,
)
from practice_store.state import (
    Order,
    Shop,
    World,
)


@dataclass
class Context:
    """One request. `emitted` webhooks leave, and `delayed` work starts, after it is done."""

    world: World
    shop: Shop
    scopes: frozenset[str] = frozenset()
    idempotency_key: str | None = None
    emitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    delayed: list[tuple[float, Callable[[Context], None]]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    allow_http: bool = False
    # The shop's bulk operations, and the orders one of their pages is about.
    bulk: Any = None
    only_orders: list[Order] | None = None
    api_version: str = "2026-10"
    conditions: Conditions = CALM
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    # Numbers of the orders that are different after this request.
    changed: set[int] = field(default_factory=set)

    def now(self) -> datetime:
        return self.world.now()

    def emit(self, topic: str, body: dict[str, Any]) -> None:
        self.emitted.append((topic, body))

    def later(self, seconds: float, work: Callable[[Context], None]) -> None:
        self.delayed.append((seconds, work))
