"""An order as Shopify returned it at one moment: the only thing shopify_sync hands over.

Frozen, in this app's own terms, with Decimal money and aware UTC times. Statuses stay Shopify's raw
values, since an unknown one must survive all the way to the screen; `statuses` turns them into
badges. The same value is stored with the order and read back for pages, so rules, badges and
previews have one input whether it is a minute or a year old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from core.web_urls import web_url
from orders.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBag:
    """One amount in the shop's currency and in the customer's (presentment) currency."""

    shop: Money
    presentment: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address. `time_zone` is an IANA name if Shopify knows it, else ""."""

    name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    province: str = ""
    province_code: str = ""
    zip: str = ""
    country: str = ""
    country_code: str = ""
    phone: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """Custom data that a shop or an app attached to an order or item: "Gift wrapping: yes"."""

    key: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTerms:
    """Payment was agreed for later. `due_at` is the next unpaid due date; None if there is none."""

    name: str
    due_at: datetime | None = None
    is_overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSnapshot:
    """A customer as mentioned on an order."""

    gid: str
    legacy_id: int
    name: str = ""
    email: str = ""
    phone: str = ""
    order_count: int | None = None
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDetails:
    """Everything we show about a Shopify customer; states are Shopify's raw values.

    None and "" mean not provided: protected data that an app may not read comes as null.
    """

    gid: str
    name: str = ""
    email: str = ""
    phone: str = ""
    locale: str = ""
    order_count: int | None = None
    spent: Money | None = None
    account_state: str = ""
    tax_exempt: bool | None = None
    email_consent: str = ""
    sms_consent: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    customer_since: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Import duty charged on a line item; refunds refer to it by `gid`."""

    gid: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A named charge other than goods, such as a recycling fee."""

    name: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
    """An item on the order.

    `quantity` counts all units ever ordered, `current_quantity` those left after edits, refunds and
    returns.
    """

    gid: str
    title: str
    variant_title: str = ""
    sku: str = ""
    quantity: int
    current_quantity: int
    refundable_quantity: int
    unfulfilled_quantity: int
    requires_shipping: bool = True
    is_gift_card: bool = False
    restockable: bool = True
    image_url: str = ""
    unit_price: Money
    total: Money
    duties: tuple[Duty, ...] = ()
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineQuantity:
    """Some units of one line item."""

    line_gid: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """One tracking number of a parcel. `url` is empty unless it is http(s)."""

    number: str = ""
    company: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        """Drop any other URL, also one that an earlier release stored: pages link to it."""
        object.__setattr__(self, "url", web_url(self.url))


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillmentEvent:
    """A carrier's update on a parcel."""

    gid: str
    status: str
    happened_at: datetime
    estimated_delivery_at: datetime | None = None
    message: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfillment:
    """One parcel or shipment record."""

    gid: str
    name: str = ""
    status: str
    display_status: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    in_transit_at: datetime | None = None
    estimated_delivery_at: datetime | None = None
    delivered_at: datetime | None = None
    requires_shipping: bool = True
    tracking: tuple[Tracking, ...] = ()
    lines: tuple[LineQuantity, ...] = ()
    events: tuple[FulfillmentEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillmentOrder:
    """Work the shop still has to do; shows what is on hold, scheduled, or awaiting pickup."""

    gid: str
    status: str
    request_status: str = ""
    fulfill_at: datetime | None = None
    method_type: str = ""
    hold_reasons: tuple[str, ...] = ()
    hold_notes: tuple[str, ...] = ()
    location: str = ""
    lines: tuple[LineQuantity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A movement of money, or the attempt, including authorizations and refunds.

    `acquirer_reference` is the number under which the cardholder's bank finds a refund; Shopify knows
    it for refunds of Shopify Payments to some cards, days later. The settlement is in a
    currency of the provider's, `settlement_rate` of it for one unit of the customer's. "" and
    None mean not provided.
    """

    gid: str
    kind: str
    status: str
    gateway: str = ""
    gateway_label: str = ""
    is_manual: bool = False
    error_code: str = ""
    processed_at: datetime | None = None
    amount: MoneyBag
    parent_gid: str = ""
    account_number: str = ""
    acquirer_reference: str = ""
    settlement_currency: str = ""
    settlement_rate: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTransaction:
    """One transaction of a refund; it may be pending or fail independently of the others."""

    gid: str
    status: str
    gateway: str = ""
    error_code: str = ""
    amount: MoneyBag


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as Shopify booked it. Its transactions tell whether the money has moved."""

    gid: str
    created_at: datetime | None
    note: str = ""
    total: MoneyBag
    transactions: tuple[RefundTransaction, ...] = ()
    lines: tuple[LineQuantity, ...] = ()
    return_gid: str = ""
    duties: MoneyBag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeItem:
    """What the customer receives in exchange for returned items.

    `line_gids` are its line items on the order, once the exchange is processed.
    """

    title: str
    quantity: int
    line_gids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnLine:
    """Units of one line item that are to come back.

    `part_gid` is the fulfillment line they shipped in. `processed` units are off the order's books;
    `received` ones are back at the shop, no matter who booked them in. Neither implies the other.
    Reads stored by earlier versions know only the first two fields.
    """

    line_gid: str
    quantity: int
    gid: str = ""
    part_gid: str = ""
    processed: int = 0
    refunded: int = 0
    received: int = 0
    restocked: int = 0
    missing: int = 0
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseLine:
    """The reverse fulfillment line by which the shop books returned units in.

    `booked` counts units with a disposition, including missing ones.
    """

    gid: str
    part_gid: str
    quantity: int
    booked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A return. `received_at` is when the last received unit was booked in."""

    gid: str
    name: str
    status: str
    total_quantity: int
    received_quantity: int
    lines: tuple[ReturnLine, ...] = ()
    reverse_lines: tuple[ReverseLine, ...] = ()
    created_at: datetime | None = None
    received_at: datetime | None = None
    exchanges: tuple[ExchangeItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A chargeback or inquiry on one of the order's payments."""

    gid: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoney:
    """Shopify's totals. `net_payment` (received - refunded) bounds every refund.

    `total` is before returns and includes everything ever on the order; `current_total` is after
    edits and returns. `rounding` is what cash rounding added to payments, `refund_rounding` to
    refunds. None means not provided: the order has none, or an earlier version read it.
    """

    total: MoneyBag
    current_total: MoneyBag
    subtotal: MoneyBag
    tax: MoneyBag
    discounts: MoneyBag
    shipping: MoneyBag
    received: MoneyBag
    refunded: MoneyBag
    net_payment: MoneyBag
    outstanding: MoneyBag
    capturable: MoneyBag
    tips: MoneyBag
    duties: MoneyBag | None = None
    rounding: MoneyBag | None = None
    refund_rounding: MoneyBag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSnapshot:
    """An order with everything this app reads of it."""

    gid: str
    legacy_id: int
    name: str
    created_at: datetime
    processed_at: datetime | None
    updated_at: datetime
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str = ""
    cancel_staff_note: str = ""
    financial_status: str | None = None
    fulfillment_status: str | None = None
    return_status: str | None = None
    is_refundable: bool = False
    is_capturable: bool = False
    is_restockable: bool = False
    can_notify_customer: bool = False
    is_test: bool = False
    requires_shipping: bool = True
    is_edited: bool = False
    # Whether prices already include `tax` and `duties`, rather than being charged on top.
    taxes_included: bool = False
    duties_included: bool = False
    currency: str
    shop_currency: str
    money: OrderMoney
    fees: tuple[Fee, ...] = ()
    customer: CustomerSnapshot | None = None
    email: str = ""
    phone: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    discount_codes: tuple[str, ...] = ()
    channel: str = ""
    payment_terms: PaymentTerms | None = None
    status_page_url: str = ""
    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_title: str = ""
    risk_level: str = ""
    lines: tuple[LineItem, ...] = ()
    fulfillments: tuple[Fulfillment, ...] = ()
    fulfillment_orders: tuple[FulfillmentOrder, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    refunds: tuple[Refund, ...] = ()
    returns: tuple[Return, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    # Whether this app was allowed to read `disputes`; if not, they are empty.
    are_disputes_known: bool = False
    # Line items that edits and exchanges added to the order.
    added: tuple[LineQuantity, ...] = ()
    # Names of list fields that could not be read completely: what they hold is true, but not
    # everything. Such an order must not be acted on.
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Drop a status page that isn't http(s), also one that an earlier release stored."""
        object.__setattr__(self, "status_page_url", web_url(self.status_page_url))

    def duties_of(self, chosen: Iterable[LineQuantity]) -> tuple[str, ...]:
        """Return the gids of the duties charged on these items."""
        gids = {part.line_gid for part in chosen}
        return tuple(duty.gid for line in self.lines if line.gid in gids for duty in line.duties)

    @property
    def is_incomplete(self) -> bool:
        """Whether any of its lists could not be read completely."""
        return bool(self.unread)

    @property
    def placed_at(self) -> datetime:
        """When the customer placed it, which for imported orders is before it was created."""
        return self.processed_at or self.created_at


_DECODER = msgspec.json.Decoder(OrderSnapshot)


def encode(snapshot: OrderSnapshot) -> str:
    """Encode the snapshot as JSON, with amounts as strings. `decode` returns an equal value."""
    return msgspec.json.encode(snapshot).decode()


def decode(document: str) -> OrderSnapshot:
    """Decode what `encode` wrote. Raises msgspec.ValidationError if the shape differs."""
    return _DECODER.decode(document)
