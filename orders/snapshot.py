"""An order as Shopify told it at one moment: the only thing shopify_sync hands over.

Frozen, in our words, with Decimal money and aware UTC times. Statuses stay Shopify's raw
words (an unknown one must survive to the screen); `statuses` turns them into badges.
The same value is stored with the order and read back for pages, so that rules, badges and
previews have one input whether it is a minute or a year old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from orders.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBag:
    """One sum in the shop's currency and in the one the customer paid in (presentment)."""

    shop: Money
    presentment: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`time_zone`: an IANA name where Shopify knows it; "" else."""

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
    """What a shop or an app wrote to an order or an item: "Gift wrapping: yes"."""

    key: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTerms:
    """Agreed to be paid later. `due_at`: the next date that is not paid yet; None: without one."""

    name: str
    due_at: datetime | None = None
    is_overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSnapshot:
    gid: str
    legacy_id: int
    name: str = ""
    email: str = ""
    phone: str = ""
    order_count: int | None = None
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDetails:
    """All we show of a Shopify customer (rows F48, F49); states are Shopify's raw words.

    None, and empty text, mean that it was not told: protected data an app may not read comes
    as null."""

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
    """What customs take for a line item; `gid` names it in a refund."""

    gid: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A named charge beside the goods, such as a recycling fee."""

    name: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
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
    """So many of one line item."""

    line_gid: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """One tracking number of a parcel. `url` is empty unless it is http(s)."""

    number: str = ""
    company: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FulfillmentEvent:
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
    """Work the shop still has to do: what is on hold, scheduled, or waits for pickup."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTransaction:
    gid: str
    status: str
    gateway: str = ""
    error_code: str = ""
    amount: MoneyBag


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
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
    """What the customer gets for what comes back; on the order once the exchange is processed,
    as `line_gids`."""

    title: str
    quantity: int
    line_gids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnLine:
    """Units of one line item that are to come back. `part_gid`: the line of the parcel they left
    in. `processed` units are off the order's books, `received` ones are at the shop, whoever
    booked them in; neither follows from the other. Of old reads only the first two are known."""

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
    """What the shop books in by. `booked`: units with a disposition, the missing ones too."""

    gid: str
    part_gid: str
    quantity: int
    booked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """`received_at`: when the last of what was booked in was."""

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
    gid: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoney:
    """Shopify's totals. `net_payment` (received - refunded) bounds every refund.

    `total` is before returns and with everything ever on the order; `current_total` after edits
    and returns. `rounding`: what rounding of cash added to the payments, `refund_rounding` to the
    refunds. None: not told (an order without, or read by an earlier version).
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
    # Whether `tax` and `duties` are in the prices already, and not charged beside them.
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
    # What edits and exchanges put on the order.
    added: tuple[LineQuantity, ...] = ()
    # Lists that could not be read to their end, by the names of these fields: what they hold is
    # true, and is not all. Nobody may act on such an order.
    unread: tuple[str, ...] = ()

    def duties_of(self, chosen: Iterable[LineQuantity]) -> tuple[str, ...]:
        """The gids of what customs took for these items."""
        gids = {part.line_gid for part in chosen}
        return tuple(duty.gid for line in self.lines if line.gid in gids for duty in line.duties)

    @property
    def is_incomplete(self) -> bool:
        return bool(self.unread)

    @property
    def placed_at(self) -> datetime:
        return self.processed_at or self.created_at


_DECODER = msgspec.json.Decoder(OrderSnapshot)


def encode(snapshot: OrderSnapshot) -> str:
    """The snapshot as JSON text, amounts as strings; `decode` gives back an equal value."""
    return msgspec.json.encode(snapshot).decode()


def decode(document: str) -> OrderSnapshot:
    """Raises msgspec.ValidationError for a document of another shape."""
    return _DECODER.decode(document)
