"""What a resolver may know and do: its shop, the time, and what to do after the request."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from core.json_types import JsonObject
from practice_store.faults.lasting import (
    CALM,
    Conditions,
)
from practice_store.state import (
    Order,
    Shop,
    World,
    gid,
)


@dataclass
class BulkOperation:
    """One bulk operation; the attributes are named as in the schema."""

    number_id: int
    shop: str
    query: str
    created_at: datetime
    status: str = "CREATED"
    completed_at: datetime | None = None
    error_code: str | None = None
    object_count: int = 0
    root_object_count: int = 0
    file_size: int | None = None
    url: str | None = None
    partial_data_url: str | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    type: str = "QUERY"
    typename: str = "BulkOperation"

    @property
    def id(self) -> str:
        """The gid: "gid://shopify/BulkOperation/1"."""
        return gid("BulkOperation", self.number_id)

    @property
    def is_open(self) -> bool:
        """Whether it hasn't ended yet."""
        return self.status in {"CREATED", "RUNNING", "CANCELING"}


class BulkOperations(Protocol):
    """What resolvers use of all shops' bulk operations; `graphql.bulk` has them."""

    at_once: int

    def running(self, shop: Shop) -> int:
        """Return how many of the shop's operations haven't ended."""

    def start(self, context: Context, query: str) -> BulkOperation:
        """Create an operation for a query that passed `bulk_rules`."""

    def find(self, shop: Shop, number: int) -> BulkOperation | None:
        """Return the shop's operation with this number, or None."""

    def cancel(self, operation: BulkOperation) -> None:
        """Ask an open operation to stop; it ends before it writes its next page."""


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
    bulk: BulkOperations = field(kw_only=True)
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
