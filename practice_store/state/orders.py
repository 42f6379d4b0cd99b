"""An order, its lines, and what was agreed on it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct, field

from practice_store.state.fulfillments import Fulfillment, FulfillmentOrder
from practice_store.state.payments import Refund, Transaction
from practice_store.state.people import Address
from practice_store.state.resources import ZERO, Resource
from practice_store.state.returns import Return


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
