"""Snapshots of a Shopify checkout and of its customer's marketing consent at one moment.

Frozen values in this app's own terms; shopify_sync builds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orders.money import Money

# The only status that permits marketing. Any other, or none at all, means no.
SUBSCRIBED: Final = "SUBSCRIBED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whether an address may receive marketing. `state` is Shopify's raw status."""

    address: str
    state: str
    unsubscribe_url: str = ""

    @property
    def is_given(self) -> bool:
        """Whether marketing may be sent; a pending or unknown consent is not given."""
        return self.state == SUBSCRIBED


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """A customer's consents by channel; None if Shopify has no such address."""

    email: Consent | None = None
    phone: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSnapshot:
    """A checkout as Shopify returned it.

    `last_order_at` is when the customer last placed any order, from this checkout or another.
    """

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
