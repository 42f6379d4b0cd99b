"""A new shop and what the app may do in it."""

from __future__ import annotations

from typing import Final

from practice_store.state import Shop

SCOPES: Final = [
    "read_orders",
    "write_orders",
    "read_all_orders",
    "read_customers",
    "write_customers",
    "read_fulfillments",
    "write_fulfillments",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "read_assigned_fulfillment_orders",
    "read_third_party_fulfillment_orders",
    "read_returns",
    "read_payment_terms",
    "write_returns",
    "read_shopify_payments_disputes",
    "read_products",
    "read_locations",
]


def new_shop(domain: str, currency: str) -> Shop:
    """Return a shop with fixed credentials, so that scripts can use it."""
    handle = domain.split(".", 1)[0]
    return Shop(
        domain=domain,
        name=f"{handle.title()} Store",
        currency=currency,
        token=f"shpat_practice_{handle}",
        secret=f"shpss_practice_{handle}",
        client_id=f"practice-{handle}",
        scopes=list(SCOPES),
    )
