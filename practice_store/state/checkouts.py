"""Checkouts that were started."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from msgspec import field

from practice_store.state.resources import ZERO, Resource


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
