"""Read a checkout and its customer's marketing consents, for campaigns."""

from __future__ import annotations

from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consents,
)
from orders.models import Checkout, Store
from shopify_sync import mapping
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.stores.clients import client_for


def read_checkout(checkout: Checkout) -> CheckoutSnapshot | None:
    """Return the checkout; None if Shopify has none. Raises ShopifyError and MalformedAnswer."""
    client = client_for(checkout.store, is_background=True)
    try:
        data = client.read("CheckoutForCampaign", {"id": checkout.gid}).get("node")
    except NeedsAdmin as error:
        if error.status:
            raise
        # The app isn't approved for the checkout's URL, but may read the rest.
        variables = {"id": checkout.gid, "withUrl": False}
        data = client.read("CheckoutForCampaign", variables).get("node")
    return mapping.checkout_snapshot(data) if data else None


def read_consents(store: Store, customer_gid: str) -> Consents:
    """Return the customer's consents; none for an unknown customer. Raises ShopifyError."""
    client = client_for(store, is_background=True)
    return mapping.consents(client.read("CustomerConsents", {"id": customer_gid}).get("customer"))
