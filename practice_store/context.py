"""What a resolver may know and do: its shop, the time, and what to do after the request."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.json_types import JsonObject
from practice_store.faults.lasting import (
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
    """One request. `emitted` webhooks are sent, and `delayed` work is scheduled, once it is done."""

    world: World
    shop: Shop
    scopes: frozenset[str] = frozenset()
    idempotency_key: str | None = None
    emitted: list[tuple[str, JsonObject]] = field(default_factory=list)
    delayed: list[tuple[float, Callable[[Context], None]]] = field(default_factory=list)
    warnings: list[JsonObject] = field(default_factory=list)
    allow_http: bool = False
    # All bulk operations; and, while one writes a page of its file, the orders on that page.
    bulk: Any = None
    only_orders: list[Order] | None = None
    api_version: str = "2026-10"
    conditions: Conditions = CALM
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    # IDs of the orders this request changed.
    changed: set[int] = field(default_factory=set)

    def now(self) -> datetime:
        """Return the store's time, which tests can move."""
        return self.world.now()

    def emit(self, topic: str, body: JsonObject) -> None:
        """Queue a webhook to send after the request."""
        self.emitted.append((topic, body))

    def later(self, seconds: float, work: Callable[[Context], None]) -> None:
        """Run `work` as the shop this many seconds after the request, by the store's clock."""
        self.delayed.append((seconds, work))
