"""What a practice shop holds; serialized with msgspec, so that shops survive a restart.

Amounts are Decimals in the order's presentment currency; `rate` gives the shop's currency
(presentment x rate = shop). Times are aware UTC without fractions, as Shopify returns them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct, field

ZERO = Decimal(0)


def gid(kind: str, number: int) -> str:
    """Return a global ID, gid://shopify/Order/1."""
    return f"gid://shopify/{kind}/{number}"


class Resource(Struct, kw_only=True):
    """Anything with a Shopify ID."""

    typename: ClassVar[str] = ""
    number_id: int

    @property
    def id(self) -> str:
        """The gid: "gid://shopify/Order/1"."""
        return gid(self.typename, self.number_id)

    @property
    def legacy_resource_id(self) -> str:
        """The numeric ID, as GraphQL returns it: a string."""
        return str(self.number_id)


class Address(Struct, kw_only=True):
    """A MailingAddress."""

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
        """First and last name as one text; None if there is neither."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None


class Customer(Resource, kw_only=True):
    """A customer; the consents are Shopify's marketing states."""

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
        """Shopify's displayName: the name, or else the email, or else the phone."""
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return name or self.email or self.phone or ""


class Fee(Struct, kw_only=True):
    """A named charge besides the goods, such as a recycling fee."""

    name: str
    price: Decimal


class LineItem(Resource, kw_only=True):
    """A line of an order; `discount`, `tax` and `duty` cover the whole line.

    `removed` counts units taken off by a cancellation, an edit or an exchange; `added` marks a line
    that an edit or an exchange put on.
    """

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
    # The refunded units that had been shipped and were refunded without a return.
    refunded_shipped: int = 0
    duty: Decimal = ZERO
    added: bool = False
    # Taken back by processing a return, and not refunded yet.
    returned: int = 0
    # A custom item has no variant, so there is no stock to return it to.
    is_custom: bool = False
    product_id: str | None = None

    @property
    def current_quantity(self) -> int:
        """The units still on the order."""
        return self.quantity - self.refunded - self.removed - self.returned


class ShippingLine(Resource, kw_only=True):
    """A shipping charge; `price` is without added tax."""

    typename: ClassVar[str] = "ShippingLine"
    title: str
    price: Decimal
    tax: Decimal = ZERO
    tax_rate: Decimal = ZERO
    tax_title: str = "VAT"
    code: str | None = None
    source: str | None = None


class Transaction(Resource, kw_only=True):
    """An OrderTransaction; `parent_number` is the payment it refunds, captures or voids."""

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
    # Store credit only: when it expires.
    expires_at: datetime | None = None
    # Pending refunds only: the status the bank will report, and when.
    bank_says: str | None = None
    bank_at: datetime | None = None


class RefundLine(Resource, kw_only=True):
    """Units of a line in a refund; `subtotal` and `tax` are their share of it."""

    typename: ClassVar[str] = "RefundLineItem"
    line_number: int
    quantity: int
    restock_type: str
    subtotal: Decimal
    tax: Decimal
    location_number: int | None = None


class Adjustment(Resource, kw_only=True):
    """The difference between what a refund's parts are worth and what was paid out."""

    typename: ClassVar[str] = "OrderAdjustment"
    kind: str
    amount: Decimal
    tax: Decimal = ZERO


class RefundDuty(Struct, kw_only=True):
    """The part of a line's duty that a refund gave back."""

    typename: ClassVar[str] = "RefundDuty"
    line_number: int
    amount: Decimal


class Refund(Resource, kw_only=True):
    """A booked refund; `transactions` are IDs of the order's transactions."""

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
    # "app": made through the API; "staff": in Shopify's own admin. `job_key`: the cancellation job
    # whose refund this is.
    made_by: str = "app"
    job_key: str | None = None


class Tracking(Struct, kw_only=True):
    """A tracking number, its link and the carrier; Shopify requires none of them."""

    typename: ClassVar[str] = "FulfillmentTrackingInfo"
    number: str | None = None
    url: str | None = None
    company: str | None = None


class FulfillmentLine(Resource, kw_only=True):
    """Units of a line in a parcel."""

    typename: ClassVar[str] = "FulfillmentLineItem"
    line_number: int
    quantity: int
    returned: int = 0


class FulfillmentEvent(Resource, kw_only=True):
    """A carrier's report on a parcel."""

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
    """A parcel; `display_status` follows the carrier's events."""

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
        """Whether the shipment counts: not canceled and not failed."""
        return self.status not in {"CANCELLED", "ERROR", "FAILURE"}


class FulfillmentOrderLine(Resource, kw_only=True):
    """Units of a line that one location ships, and how many it still has to."""

    typename: ClassVar[str] = "FulfillmentOrderLineItem"
    line_number: int
    total_quantity: int
    remaining_quantity: int


class FulfillmentOrder(Resource, kw_only=True):
    """Work to ship from one location."""

    typename: ClassVar[str] = "FulfillmentOrder"
    order_number: int
    status: str = "OPEN"
    request_status: str = "UNSUBMITTED"
    created_at: datetime
    updated_at: datetime
    fulfill_at: datetime | None = None
    method_type: str = "SHIPPING"
    # Why it is held, in Shopify's wording (displayReason); `hold_note` is what staff added.
    hold_reason: str | None = None
    # Where it ships from; None means the shop's first location.
    location_number: int | None = None
    hold_note: str | None = None
    location: str = "Shop location"
    lines: list[FulfillmentOrderLine] = field(default_factory=list)


class Disposition(Resource, kw_only=True):
    """What staff did with returned units: restocked them, or found them missing, for example."""

    typename: ClassVar[str] = "ReverseFulfillmentOrderDisposition"
    type: str
    quantity: int
    created_at: datetime
    location_number: int | None = None


class ReturnLine(Resource, kw_only=True):
    """Units to return of a parcel's line; `processed` and `refunded` count them."""

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
        """The units that staff have booked in, missing ones included."""
        return sum(booked.quantity for booked in self.dispositions)


class ExchangeLine(Resource, kw_only=True):
    """What the customer gets instead; `added_line` is its line on the order once processed."""

    typename: ClassVar[str] = "ExchangeLineItem"
    title: str
    variant_title: str | None = None
    quantity: int
    added_line: int | None = None


class ReverseDeliveryLine(Resource, kw_only=True):
    """A number of units of a return line, `item_number`."""

    typename: ClassVar[str] = "ReverseDeliveryLineItem"
    item_number: int
    quantity: int


class ReverseDelivery(Resource, kw_only=True):
    """A parcel on its way back to the shop."""

    typename: ClassVar[str] = "ReverseDelivery"
    return_number: int
    created_at: datetime
    tracking_number: str | None = None
    tracking_url: str | None = None
    carrier: str | None = None
    label_url: str | None = None
    lines: list[ReverseDeliveryLine] = field(default_factory=list)


class Return(Resource, kw_only=True):
    """A return; it has a reverse fulfillment order from its approval on."""

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
    # The return shipping fee, deducted from the return's first refund.
    shipping_fee: Decimal = ZERO


class Edit(Resource, kw_only=True):
    """An agreement that changed the order; `quantities` by line number, negative for removed units."""

    reason: str
    happened_at: datetime
    quantities: dict[int, int] = field(default_factory=dict)


class PaymentTerms(Struct, kw_only=True):
    """Payment that is due later, with or without a date: "Net 30", "Due on receipt"."""

    name: str
    kind: str = "NET"
    due_at: datetime | None = None
    issued_at: datetime | None = None


class Order(Resource, kw_only=True):
    """An order with everything that belongs to it."""

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
    # What rounding a cash payment added, negative if it took something off.
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
        """Return the line with this ID; it must exist."""
        return next(line for line in self.lines if line.number_id == number)


class CheckoutLine(Resource, kw_only=True):
    """A line of a checkout."""

    typename: ClassVar[str] = "AbandonedCheckoutLineItem"
    title: str
    quantity: int
    unit_price: Decimal


class Checkout(Resource, kw_only=True):
    """A started checkout that has a way to reach the customer.

    Shopify calls it an abandoned checkout from the first moment until it is completed.
    """

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
        """The checkout's number as the store's page shows it."""
        return f"#{self.number_id}"

    @property
    def total(self) -> Decimal:
        """The sum of its lines; checkouts here have no tax or shipping."""
        return sum((line.unit_price * line.quantity for line in self.lines), ZERO)


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
