"""Build an API client from a store's connection, and record errors that an admin must fix."""

from __future__ import annotations

from datetime import datetime

from orders.models import Store
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.models.connections import is_staging
from shopify_sync.stores import tokens

NEEDED_SCOPES = (
    "read_orders",
    "write_orders",
    "read_customers",
    "read_fulfillments",
    "read_returns",
)
# Optional: shows when a payment on account is due.
PAYMENT_TERMS_SCOPE = "read_payment_terms"
# Optional: shows chargebacks and inquiries.
DISPUTES_SCOPE = "read_shopify_payments_disputes"
# Optional: for "Cancel the shipment record too".
SHIPMENT_SCOPE = "write_merchant_managed_fulfillment_orders"
# Optional: for refunds through a return. Without it, agents close the return in Shopify.
RETURN_SCOPE = "write_returns"
# Optional: for restocking refunded items. Shopify restocks nothing without a location.
LOCATIONS_SCOPE = "read_locations"


def client_for(store: Store, *, is_background: bool = False) -> AdminClient:
    """Return a client for the store's Admin API, with a token that is valid now.

    Pass `is_background` for reads that no agent is waiting for: they leave half of the shop's
    rate limit to the agents. Raises NeedsAdmin if the store has no usable credentials, and
    Unreachable if its token cannot be renewed right now.

    A practice shop is never called outside staging, nor any other inside: the same domain is
    someone else's there.
    """
    connection = ShopConnection.objects.filter(store=store).first()
    if connection is None or not (connection.access_token or connection.client_id):
        raise NeedsAdmin(f"{store.domain} has no access token.")
    if connection.is_practice != is_staging():
        kind = "a practice shop" if connection.is_practice else "a real store"
        raise NeedsAdmin(f"{store.domain} is {kind}, which isn't called here.")
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
    """Return whether the last connection check saw this scope; assume so before the first one."""
    connection = ShopConnection.objects.filter(store=store).only("scopes").first()
    return connection is None or not connection.scopes or scope in connection.scopes


def extras(connection: ShopConnection) -> dict[str, bool]:
    """Return which optional order fields this app may read, as variables of OrderForPanel.

    Disputes warn of a loss, so they are requested until the scopes are known; a refused read is
    repeated without them (shopify_sync.reading.complete_order). So are the banks' references of
    refunds (`tracing`), for which Shopify documents no scope.
    """
    scopes = {str(scope).replace("write_", "read_", 1) for scope in connection.scopes}
    return {
        "statusPage": connection.sees_customer_pages,
        "paymentTerms": PAYMENT_TERMS_SCOPE in scopes,
        "disputes": not scopes or DISPUTES_SCOPE in scopes,
        "tracing": True,
    }


def note_error(store: Store, error: NeedsAdmin, *, now: datetime) -> None:
    """Record an error for the connection's page in the admin, and clear its test-call tick."""
    ShopConnection.objects.filter(store=store).update(
        last_error=str(error), last_error_at=now, credentials_ok_at=None
    )
