"""What a card is made of: the templates read these, and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.errors import Refusal
from orders.models import ActionState, EventKind
from orders.money import Money
from orders.snapshot import Address, LineItem, Tracking
from orders.statuses.badges import (
    Badge,
    Tone,
)
from orders.versions.time_travel import Since


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A call to action. Hidden where it makes no sense at all; else allowed, or disabled
    with the reason and what would unlock it."""

    is_shown: bool
    refusal: Refusal | None

    @property
    def is_allowed(self) -> bool:
        return self.is_shown and self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParcel:
    """The part of a line item that is in one parcel: "2 of 5 in this parcel"."""

    badge: Badge
    quantity: int
    of_quantity: int
    tracking: tuple[Tracking, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """`altered`: what of it is gone, and why, or that it is new; short sentences."""

    item: LineItem
    parcels: tuple[LineParcel, ...]
    unshipped: int
    altered: tuple[str, ...] = ()
    attributes: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelRow:
    number: int
    shipped_at: datetime
    badge: Badge
    tracking: tuple[Tracking, ...]
    items: tuple[tuple[LineItem, int], ...]
    latest: str
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnItem:
    """Units of an item that come back, why, and what became of them so far."""

    line_gid: str
    title: str
    quantity: int
    received: int
    restocked: int
    missing: int
    refunded: int
    reason: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRow:
    """`receipt` is how far its goods have come (orders.statuses.returns.Receipt)."""

    gid: str
    name: str
    badge: Badge
    receipt: str
    received: int
    total: int
    received_at: datetime | None
    items: tuple[ReturnItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    """The rows before the total add up to it, but for those that are `is_included`: in another
    row already, or a share of it."""

    label: str
    amount: Money
    is_total: bool = False
    is_included: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRow:
    """One movement of money: "Refund €5.00 · Visa •••• 4242 · Failed: insufficient funds"."""

    label: str
    gateway: str
    amount: Money
    state: Badge
    reason: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNotice:
    """The running or last action of an order, in plain words (orders.actions.outcomes, whose code
    `outcome` is).

    `is_running`: Shopify has not answered for good; a page shows it as busy.
    """

    action_id: int
    state: ActionState
    outcome: str
    tone: Tone
    title: str
    text: str
    is_running: bool
    can_withdraw: bool
    can_check: bool
    # Ended with nothing done: what was asked for can be reviewed once more.
    can_review_again: bool
    # The undo window's end, while it is open.
    sends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    kind: EventKind
    label: str
    occurred_at: datetime
    actor: str
    amount: Money | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCard:
    """One order. `badges`: order, payment, fulfillment, in this order; Archived may follow the
    first. `notes` are short sentences beside them ("30.00 of 50.00 paid")."""

    id: int
    gid: str
    legacy_id: int
    name: str
    store_name: str
    placed_at: datetime
    total: Money
    badges: tuple[Badge, ...]
    notes: tuple[Badge, ...]
    lines: tuple[LineRow, ...]
    parcels: tuple[ParcelRow, ...]
    returns: tuple[ReturnRow, ...]
    money: tuple[MoneyRow, ...]
    # What was given for what, by edits and exchanges: sentences.
    swaps: tuple[str, ...]
    payment_methods: tuple[str, ...]
    shipping_address: Address | None
    billing_address: Address | None
    details: tuple[Detail, ...]
    transactions: tuple[TransactionRow, ...]
    # The customer's own page of the order, where Shopify gives it to this app.
    status_page_url: str
    note: str
    tags: tuple[str, ...]
    # The newest of `event_count`.
    events: tuple[EventRow, ...]
    event_count: int
    action: ActionNotice | None
    cancel: Button
    refund: Button
    admin_url: str
    tracking_text: str
    as_of: datetime
    version: int
    is_open: bool
    is_partial: bool
    # Which list could not be read to its end, as a sentence; "" for none.
    unread: str = ""
    # Filled in where a conversation is known (inbox.panel.changes).
    changes: tuple[Since, ...] = ()
