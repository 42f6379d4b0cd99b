"""What a practice shop holds. Serializable by msgspec, so that a shop outlives its process.

Sums are Decimals in the order's presentment currency; the shop's currency follows by `rate`
(presentment x rate = shop). Times are aware UTC without fractions, as Shopify gives them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct, field

ZERO = Decimal(0)


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


class Resource(Struct, kw_only=True):
    """Anything with a Shopify id."""

    typename: ClassVar[str] = ""
    number_id: int

    @property
    def id(self) -> str:
        return gid(self.typename, self.number_id)

    @property
    def legacy_resource_id(self) -> str:
        return str(self.number_id)


class Address(Struct, kw_only=True):
    typename: ClassVar[str] = "MailingAddress"
    first_name: str | None = None
    last_name: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province: str | None = None
    province_code: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    phone: str | None = None
    company: str | None = None
    time_zone: str | None = None

    @property
    def name(self) -> str | None:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None


class Customer(Resource, kw_only=True):
    typename: ClassVar[str] = "Customer"
    created_at: datetime
    updated_at: datetime
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str = "en"
    note: str | None = None
    state: str = "DISABLED"
    tax_exempt: bool = False
    tags: list[str] = field(default_factory=list)
    email_consent: str = "NOT_SUBSCRIBED"
    sms_consent: str = "NOT_SUBSCRIBED"

    @property
    def display_name(self) -> str:
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return name or self.email or self.phone or ""


class Fee(Struct, kw_only=True):
    """A named charge beside the goods, such as a recycling fee."""

    name: str
    price: Decimal


class LineItem(Resource, kw_only=True):
    """`discount`, `tax` and `duty` are of the whole line; `removed`: taken off by a cancellation,
    an edit or an exchange; `added`: put on by one of the latter."""

    typename: ClassVar[str] = "LineItem"
    title: str
    variant_title: str | None = None
    sku: str | None = None
    quantity: int
    unit_price: Decimal
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    tax_rate: Decimal = ZERO
    tax_title: str = "VAT"
    requires_shipping: bool = True
    taxable: bool = True
    is_gift_card: bool = False
    image: str | None = None
    vendor: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    refunded: int = 0
    removed: int = 0
    # Of the refunded units those that had been shipped, and were refunded without a return.
    refunded_shipped: int = 0
    duty: Decimal = ZERO
    added: bool = False
    # Taken back by processing a return, and not refunded (yet).
    returned: int = 0
    # Without a variant: there is no stock that it could go back to.
    is_custom: bool = False
    product_id: str | None = None

    @property
    def current_quantity(self) -> int:
        return self.quantity - self.refunded - self.removed - self.returned


class ShippingLine(Resource, kw_only=True):
    typename: ClassVar[str] = "ShippingLine"
    title: str
    price: Decimal
    tax: Decimal = ZERO
    tax_rate: Decimal = ZERO
    tax_title: str = "VAT"
    code: str | None = None
    source: str | None = None


class Transaction(Resource, kw_only=True):
    typename: ClassVar[str] = "OrderTransaction"
    kind: str
    status: str
    gateway: str
    amount: Decimal
    created_at: datetime
    processed_at: datetime
    parent_number: int | None = None
    manual: bool = False
    account_number: str | None = None
    error_code: str | None = None
    test: bool = False
    key: str | None = None
    # Of store credit: when it can no longer be spent.
    expires_at: datetime | None = None
    # Of a pending refund: what the bank will say of it, and when.
    bank_says: str | None = None
    bank_at: datetime | None = None


class RefundLine(Resource, kw_only=True):
    typename: ClassVar[str] = "RefundLineItem"
    line_number: int
    quantity: int
    restock_type: str
    subtotal: Decimal
    tax: Decimal
    location_number: int | None = None


class Adjustment(Resource, kw_only=True):
    typename: ClassVar[str] = "OrderAdjustment"
    kind: str
    amount: Decimal
    tax: Decimal = ZERO


class RefundDuty(Struct, kw_only=True):
    typename: ClassVar[str] = "RefundDuty"
    line_number: int
    amount: Decimal


class Refund(Resource, kw_only=True):
    typename: ClassVar[str] = "Refund"
    order_number: int
    created_at: datetime
    processed_at: datetime
    note: str | None = None
    lines: list[RefundLine] = field(default_factory=list)
    duties: list[RefundDuty] = field(default_factory=list)
    shipping: Decimal = ZERO
    transactions: list[int] = field(default_factory=list)
    adjustments: list[Adjustment] = field(default_factory=list)
    return_number: int | None = None
    key: str | None = None
    # "app": asked for through the API; "staff": in Shopify's own admin. `job_key`: the
    # cancellation whose money this is.
    made_by: str = "app"
    job_key: str | None = None


class Tracking(Struct, kw_only=True):
    typename: ClassVar[str] = "FulfillmentTrackingInfo"
    number: str | None = None
    url: str | None = None
    company: str | None = None


class FulfillmentLine(Resource, kw_only=True):
    typename: ClassVar[str] = "FulfillmentLineItem"
    line_number: int
    quantity: int
    returned: int = 0


class FulfillmentEvent(Resource, kw_only=True):
    typename: ClassVar[str] = "FulfillmentEvent"
    fulfillment_number: int
    status: str
    happened_at: datetime
    created_at: datetime
    estimated_delivery_at: datetime | None = None
    message: str | None = None
    city: str | None = None
    province: str | None = None
    country: str | None = None
    zip: str | None = None
    address1: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Fulfillment(Resource, kw_only=True):
    typename: ClassVar[str] = "Fulfillment"
    order_number: int
    name: str
    status: str = "SUCCESS"
    display_status: str | None = "FULFILLED"
    created_at: datetime
    updated_at: datetime
    in_transit_at: datetime | None = None
    estimated_delivery_at: datetime | None = None
    delivered_at: datetime | None = None
    location_number: int | None = None
    tracking: list[Tracking] = field(default_factory=list)
    lines: list[FulfillmentLine] = field(default_factory=list)
    events: list[FulfillmentEvent] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return self.status not in {"CANCELLED", "ERROR", "FAILURE"}


class FulfillmentOrderLine(Resource, kw_only=True):
    typename: ClassVar[str] = "FulfillmentOrderLineItem"
    line_number: int
    total_quantity: int
    remaining_quantity: int


class FulfillmentOrder(Resource, kw_only=True):
    typename: ClassVar[str] = "FulfillmentOrder"
    order_number: int
    status: str = "OPEN"
    request_status: str = "UNSUBMITTED"
    created_at: datetime
    updated_at: datetime
    fulfill_at: datetime | None = None
    method_type: str = "SHIPPING"
    # Shopify's words for why it is held (displayReason), and what staff wrote beside them.
    hold_reason: str | None = None
    # Where it is shipped from; None: where the shop's orders usually are.
    location_number: int | None = None
    hold_note: str | None = None
    location: str = "Shop location"
    lines: list[FulfillmentOrderLine] = field(default_factory=list)


class Disposition(Resource, kw_only=True):
    typename: ClassVar[str] = "ReverseFulfillmentOrderDisposition"
    type: str
    quantity: int
    created_at: datetime
    location_number: int | None = None


class ReturnLine(Resource, kw_only=True):
    typename: ClassVar[str] = "ReturnLineItem"
    fulfillment_line_number: int
    line_number: int
    quantity: int
    reason: str = "OTHER"
    reason_note: str = ""
    customer_note: str | None = None
    processed: int = 0
    refunded: int = 0
    restocking_fee_percent: Decimal = ZERO
    dispositions: list[Disposition] = field(default_factory=list)

    @property
    def disposed(self) -> int:
        return sum(booked.quantity for booked in self.dispositions)


class ExchangeLine(Resource, kw_only=True):
    """What the customer gets instead; on the order as `added_line` once that is processed."""

    typename: ClassVar[str] = "ExchangeLineItem"
    title: str
    variant_title: str | None = None
    quantity: int
    added_line: int | None = None


class ReverseDeliveryLine(Resource, kw_only=True):
    """So many units of a return's line, by its number."""

    typename: ClassVar[str] = "ReverseDeliveryLineItem"
    item_number: int
    quantity: int


class ReverseDelivery(Resource, kw_only=True):
    """A parcel on its way back."""

    typename: ClassVar[str] = "ReverseDelivery"
    return_number: int
    created_at: datetime
    tracking_number: str | None = None
    tracking_url: str | None = None
    carrier: str | None = None
    label_url: str | None = None
    lines: list[ReverseDeliveryLine] = field(default_factory=list)


class Return(Resource, kw_only=True):
    typename: ClassVar[str] = "Return"
    order_number: int
    name: str
    status: str
    created_at: datetime
    approved_at: datetime | None = None
    closed_at: datetime | None = None
    decline_reason: str | None = None
    decline_note: str | None = None
    lines: list[ReturnLine] = field(default_factory=list)
    exchange_lines: list[ExchangeLine] = field(default_factory=list)
    reverse_order_number: int | None = None
    deliveries: list[ReverseDelivery] = field(default_factory=list)
    # What the customer pays for the way back; taken off the return's first refund.
    shipping_fee: Decimal = ZERO


class Edit(Resource, kw_only=True):
    """An agreement that changed the order: items by line number, negative for those it lost."""

    reason: str
    happened_at: datetime
    quantities: dict[int, int] = field(default_factory=dict)


class PaymentTerms(Struct, kw_only=True):
    """To be paid until a day, with or without one: "Net 30", "Due on receipt"."""

    name: str
    kind: str = "NET"
    due_at: datetime | None = None
    issued_at: datetime | None = None


class Order(Resource, kw_only=True):
    typename: ClassVar[str] = "Order"
    number: int
    name: str
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    cancel_staff_note: str | None = None
    cancel_key: str | None = None
    email: str | None = None
    phone: str | None = None
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    customer_number: int | None = None
    currency: str
    presentment_currency: str
    rate: Decimal = Decimal(1)
    taxes_included: bool = False
    test: bool = False
    expired: bool = False
    pending: bool = False
    status_override: str | None = None
    risk_level: str = "LOW"
    dispute: str | None = None
    tip: Decimal = ZERO
    duties_included: bool = False
    fees: list[Fee] = field(default_factory=list)
    # What rounding a cash payment added to it, negative where it took some off.
    cash_rounding: Decimal = ZERO
    edits: list[Edit] = field(default_factory=list)
    discount_code: str | None = None
    channel: str | None = "Online Store"
    terms: PaymentTerms | None = None
    shipping_address: Address | None = None
    billing_address: Address | None = None
    lines: list[LineItem] = field(default_factory=list)
    shipping_lines: list[ShippingLine] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    fulfillment_orders: list[FulfillmentOrder] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)

    def line(self, number: int) -> LineItem:
        return next(line for line in self.lines if line.number_id == number)


class CheckoutLine(Resource, kw_only=True):
    typename: ClassVar[str] = "AbandonedCheckoutLineItem"
    title: str
    quantity: int
    unit_price: Decimal


class Checkout(Resource, kw_only=True):
    """Begun, with a way to reach the customer: what Shopify calls an abandoned checkout from
    its first moment on, until it is completed."""

    typename: ClassVar[str] = "AbandonedCheckout"
    token: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    customer_number: int | None = None
    email: str | None = None
    phone: str | None = None
    currency: str
    note: str = ""
    lines: list[CheckoutLine] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"#{self.number_id}"

    @property
    def total(self) -> Decimal:
        return sum((line.unit_price * line.quantity for line in self.lines), ZERO)


class Job(Struct, kw_only=True):
    """An orderCancel that Shopify carries out by itself."""

    key: str
    order_number: int
    reason: str
    refund: bool
    # Where what is refunded goes: store credit, else the original payments.
    store_credit: bool = False
    credit_expires_at: datetime | None = None
    staff_note: str | None = None
    status: str = "STARTED"
    errors: list[dict[str, str | list[str] | None]] = field(default_factory=list)
    made_by: str = "app"
    accepted_at: datetime | None = None
    # How it goes on (conditions.CancelCourse), and whether its refund is still to be booked.
    course: str = "together"
    owes_refund: bool = False


class Subscription(Resource, kw_only=True):
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
    """Units that came back to a location, and by what: "refund", "return" or "cancel"."""

    order_number: int
    line_number: int
    location_number: int
    quantity: int
    why: str
    at: datetime


class IdempotencyRecord(Struct, kw_only=True):
    fingerprint: str
    at: datetime
    refund_number: int | None = None
    order_number: int | None = None
    errors: list[dict[str, str | list[str] | None]] = field(default_factory=list)


class Shop(Struct, kw_only=True):
    domain: str
    name: str
    currency: str
    time_zone: str = "Europe/Berlin"
    country_code: str | None = "DE"
    token: str
    secret: str
    client_id: str
    scopes: list[str]
    # Access tokens of installations and when they end; refresh tokens and the one each replaced.
    issued: dict[str, datetime] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    is_installed: bool = True
    next_id: int = 5_000_000_000_001
    next_order: int = 1001
    # Around an order's number in its name.
    order_prefix: str = "#"
    order_suffix: str = ""
    # Shopify's setting: what is paid and shipped is archived by itself.
    auto_archive: bool = True
    # Approved for protected customer data, level 2: names, addresses, pages of customers.
    sees_customer_pages: bool = True
    orders: dict[int, Order] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)
    checkouts: dict[int, Checkout] = field(default_factory=dict)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    idempotency: dict[str, IdempotencyRecord] = field(default_factory=dict)
    # Numbers and names; the first is where orders are shipped from.
    locations: dict[int, str] = field(default_factory=lambda: {1: "Shop location", 2: "Warehouse"})
    stock_moves: list[StockMove] = field(default_factory=list)
    # 402 or 423: how a frozen or a locked shop answers everything.
    locked_status: int | None = None

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id


class World(Struct, kw_only=True):
    """All shops, and how far the movable clock is ahead of the real one."""

    shops: dict[str, Shop] = field(default_factory=dict)
    ahead_s: float = 0.0

    def now(self) -> datetime:
        moment = datetime.now(UTC) + timedelta(seconds=self.ahead_s)
        return moment.replace(microsecond=0)
