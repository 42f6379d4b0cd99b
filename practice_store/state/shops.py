"""A shop with all its rows, what it keeps besides, and the world of all shops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from msgspec import Struct, field

from practice_store.state.checkouts import Checkout
from practice_store.state.orders import Order
from practice_store.state.people import Customer
from practice_store.state.resources import Resource


class Job(Struct, kw_only=True):
    """An orderCancel that was accepted and runs in the background."""

    key: str
    order_number: int
    reason: str
    refund: bool
    # Refund to store credit instead of the original payments.
    store_credit: bool = False
    credit_expires_at: datetime | None = None
    staff_note: str | None = None
    status: str = "STARTED"
    errors: list[dict[str, str | list[str] | None]] = field(default_factory=list)
    made_by: str = "app"
    accepted_at: datetime | None = None
    # How it proceeds (conditions.CancelCourse), and whether its refund is still to be booked.
    course: str = "together"
    owes_refund: bool = False


class Subscription(Resource, kw_only=True):
    """A webhook subscription; `failures` counts failed deliveries in a row."""

    typename: ClassVar[str] = "WebhookSubscription"
    topic: str
    uri: str
    format: str = "JSON"
    name: str | None = None
    filter: str | None = None
    include_fields: list[str] = field(default_factory=list)
    metafield_namespaces: list[str] = field(default_factory=list)
    created_at: datetime
    updated_at: datetime
    failures: int = 0


class StockMove(Struct, kw_only=True):
    """Units put back at a location, by a "refund", a "return" or a "cancel"."""

    order_number: int
    line_number: int
    location_number: int
    quantity: int
    why: str
    at: datetime


class IdempotencyRecord(Struct, kw_only=True):
    """The outcome of the first request with an idempotency key."""

    fingerprint: str
    at: datetime
    refund_number: int | None = None
    order_number: int | None = None
    errors: list[dict[str, str | list[str] | None]] = field(default_factory=list)


class Shop(Struct, kw_only=True):
    """One shop: credentials, settings and data, each kind of row by its numeric ID."""

    domain: str
    name: str
    currency: str
    time_zone: str = "Europe/Berlin"
    country_code: str | None = "DE"
    token: str
    secret: str
    client_id: str
    scopes: list[str]
    # Access tokens with their expiry; refresh tokens with the one that each replaced.
    issued: dict[str, datetime] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    is_installed: bool = True
    next_id: int = 5_000_000_000_001
    next_order: int = 1001
    # What surrounds the number in an order's name.
    order_prefix: str = "#"
    order_suffix: str = ""
    # Shopify's setting to archive orders automatically once they are paid and shipped.
    auto_archive: bool = True
    # Whether the app is approved for protected customer data, level 2: names, addresses, customer
    # pages.
    sees_customer_pages: bool = True
    orders: dict[int, Order] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)
    checkouts: dict[int, Checkout] = field(default_factory=dict)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    idempotency: dict[str, IdempotencyRecord] = field(default_factory=dict)
    # Names by number; orders ship from the first one.
    locations: dict[int, str] = field(default_factory=lambda: {1: "Shop location", 2: "Warehouse"})
    stock_moves: list[StockMove] = field(default_factory=list)
    # 402 or 423: a frozen or locked shop answers every request with it.
    locked_status: int | None = None

    def new_id(self) -> int:
        """Return an unused ID; all kinds of rows share one sequence."""
        self.next_id += 1
        return self.next_id


class World(Struct, kw_only=True):
    """All shops, and how far the movable clock is ahead of the real one."""

    shops: dict[str, Shop] = field(default_factory=dict)
    ahead_s: float = 0.0

    def now(self) -> datetime:
        """Return the movable clock's time, in whole seconds as Shopify's."""
        moment = datetime.now(UTC) + timedelta(seconds=self.ahead_s)
        return moment.replace(microsecond=0)
