"""The parts of an order card. Templates read these and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.errors import Refusal
from orders.models import ActionState
from orders.money import Money
from orders.snapshot import Address, LineItem, Tracking
from orders.statuses.badges import (
    Badge,
    Tone,
)
from orders.versions.time_travel import Since


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A call to action.

    Hidden if it makes no sense at all; otherwise enabled, or disabled with the reason and what
    would unlock it.
    """

    is_shown: bool
    refusal: Refusal | None

    @property
    def is_allowed(self) -> bool:
        """Whether the agent may press it: it is shown and nothing refuses it."""
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
    """A labeled text, such as the shipping method."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """A line item. `altered` says in short sentences what is gone and why, or that it is new."""

    item: LineItem
    parcels: tuple[LineParcel, ...]
    unshipped: int
    altered: tuple[str, ...] = ()
    attributes: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelRow:
    """One shipment record. `items` pairs each line item with its quantity in the parcel."""

    number: int
    shipped_at: datetime
    badge: Badge
    tracking: tuple[Tracking, ...]
    items: tuple[tuple[LineItem, int], ...]
    latest: str
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnItem:
    """Units of an item being returned, with the reason and what has happened to them so far."""

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
    """A return. `receipt` is how far its goods have come (orders.statuses.return_units.Receipt)."""

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
    """A row of sums.

    The rows before the total add up to it, except those that are `is_included`: they are contained
    in another row.
    """

    label: str
    amount: Money
    is_total: bool = False
    is_included: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRow:
    """One transaction: "Refund €5.00 · Visa •••• 4242 · Failed: insufficient funds"."""

    label: str
    gateway: str
    amount: Money
    state: Badge
    reason: str
    at: datetime | None
    # The number under which the customer's bank finds it, and how the provider settles it with the
    # shop, as a sentence's part; "" if Shopify doesn't say.
    reference: str = ""
    settlement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNotice:
    """An order's running or latest action, in plain language.

    `outcome` is a code of orders.actions.status_texts. `is_running` means Shopify has no final answer
    yet; the page shows the action as busy.
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
    # Ended with nothing done, so the request can be reviewed and sent again.
    can_review_again: bool
    # When the undo window closes; None if it isn't open.
    sends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An entry of the order's timeline."""

    kind: str
    label: str
    occurred_at: datetime
    actor: str
    amount: Money | None
    detail: str
    # Where the agent was, for what they did here; "" for everything else.
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCard:
    """One order.

    `badges` are order, payment and fulfillment, in this order; Archived may follow the first.
    `notes` are short sentences next to them ("30.00 of 50.00 paid").
    """

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
    # Sentences saying what edits and exchanges replaced.
    swaps: tuple[str, ...]
    payment_methods: tuple[str, ...]
    shipping_address: Address | None
    billing_address: Address | None
    details: tuple[Detail, ...]
    transactions: tuple[TransactionRow, ...]
    # The customer's order status page, if Shopify provides it to this app.
    status_page_url: str
    note: str
    tags: tuple[str, ...]
    # Only the newest ones; there are `event_count` in all.
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
    # A sentence saying which list could not be read completely; "" if all were.
    unread: str = ""
    # Filled in by inbox.panel.changes_since when there is a conversation.
    changes: tuple[Since, ...] = ()
