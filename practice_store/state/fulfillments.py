"""Fulfillment orders, the parcels shipped for them, and the carriers' reports."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from practice_store.state.resources import Resource


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
