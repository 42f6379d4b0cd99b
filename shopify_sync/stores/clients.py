"""From a store to a client that may speak for it."""

from __future__ import annotations

from datetime import datetime

from orders.models import Store
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.stores import tokens

NEEDED_SCOPES = (
    "read_orders",
    "write_orders",
    "read_customers",
    "read_fulfillments",
    "read_returns",
)
# Only for the date a payment is due.
PAYMENT_TERMS_SCOPE = "read_payment_terms"
# Only for what a customer's bank disputes.
DISPUTES_SCOPE = "read_shopify_payments_disputes"
# Only for "Cancel the shipment record too" (F29).
SHIPMENT_SCOPE = "write_merchant_managed_fulfillment_orders"
# For refunds through a return (F39); without it the return has to be closed in Shopify.
RETURN_SCOPE = "write_returns"
# Only for where refunded items go back to stock: Shopify restocks nothing without a location.
LOCATIONS_SCOPE = "read_locations"


def client_for(store: Store, *, is_background: bool = False) -> AdminClient:
    """Raises NeedsAdmin for a store without credentials. In the background: for reads nobody
    waits for, which leave half of the shop's budget to the agents."""
    connection = ShopConnection.objects.filter(store=store).first()
    if connection is None or not (connection.access_token or connection.client_id):
        raise NeedsAdmin(f"{store.domain} has no access token.")
    connection.store = store
    if not connection.access_token and connection.method == ConnectionMethod.OAUTH:
        raise NeedsAdmin(f"{store.domain} is not installed yet. {tokens.RECONNECT}")
    return AdminClient(
        domain=store.domain,
        token=tokens.current(connection),
        renew=lambda used: tokens.renew(connection, used=used),
        is_background=is_background,
        extras=extras(connection),
    )


def has_scope(store: Store, scope: str) -> bool:
    """As far as the last look at the connection told; before there was one, it is assumed."""
    connection = ShopConnection.objects.filter(store=store).only("scopes").first()
    return connection is None or not connection.scopes or scope in connection.scopes


def extras(connection: ShopConnection) -> dict[str, bool]:
    """Which of an order's optional fields this app may read: variables of OrderForPanel. What
    warns of a loss is tried as long as the scopes are not known: a read that is refused is
    repeated without (shopify_sync.reading.complete_order)."""
    scopes = {str(scope).replace("write_", "read_", 1) for scope in connection.scopes}
    return {
        "statusPage": connection.sees_customer_pages,
        "paymentTerms": PAYMENT_TERMS_SCOPE in scopes,
        "disputes": not scopes or DISPUTES_SCOPE in scopes,
    }


def note_error(store: Store, error: NeedsAdmin, *, now: datetime) -> None:
    """Keep what an administrator has to see on the store's page."""
    ShopConnection.objects.filter(store=store).update(
        last_error=str(error), last_error_at=now, credentials_ok_at=None
    )
