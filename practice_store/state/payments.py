"""Transactions, and the refunds that book them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from msgspec import Struct, field

from practice_store.state.resources import ZERO, Resource


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
