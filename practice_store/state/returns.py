"""Returns, their exchange items, and the parcels that come back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from msgspec import field

from practice_store.state.resources import ZERO, Resource


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
