"""What Shopify tells of a person and of the checkout they began, at one moment. Frozen, our words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orders.money import Money

# The one word of Shopify's that is a yes to marketing. Any other, and none at all, is a no.
SUBSCRIBED: Final = "SUBSCRIBED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whether an address may get marketing. `state` is Shopify's raw word."""

    address: str
    state: str
    unsubscribe_url: str = ""

    @property
    def is_given(self) -> bool:
        return self.state == SUBSCRIBED


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """By address of one customer; None: Shopify names no such address."""

    email: Consent | None = None
    phone: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSnapshot:
    """`last_order_at`: when the customer last placed an order, this checkout's or another."""

    gid: str
    started_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None
    url: str = ""
    total: Money | None = None
    customer_gid: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    locale: str = ""
    last_order_at: datetime | None = None
    consents: Consents = field(default_factory=Consents)
