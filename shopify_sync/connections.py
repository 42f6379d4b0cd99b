"""From a store to a client that may speak for it."""

from __future__ import annotations

from datetime import datetime

from orders.models import Store
from shopify_sync import tokens
from shopify_sync.client import AdminClient
from shopify_sync.errors import NeedsAdmin
from shopify_sync.models import ConnectionMethod, ShopConnection

NEEDED_SCOPES = (
    "read_orders",
    "write_orders",
    "read_customers",
    "read_fulfillments",
    "read_returns",
)
# Variables of documents -> the scope without which what they include must not be asked for.
OPTIONAL_SCOPES = {"disputes": "read_shopify_payments_disputes"}
# Only for "Cancel the shipment record too" (F29).
SHIPMENT_SCOPE = "write_merchant_managed_fulfillment_orders"


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
        optional_fields=optional_fields(connection),
    )


def optional_fields(connection: ShopConnection) -> dict[str, bool]:
    """What of an order this app may ask for. As long as its scopes are not known, all is tried:
    a read that is refused is repeated without (shopify_sync.whole)."""
    granted = connection.scopes
    return {name: not granted or scope in granted for name, scope in OPTIONAL_SCOPES.items()}


def note_error(store: Store, error: NeedsAdmin, *, now: datetime) -> None:
    """Keep what an administrator has to see on the store's page."""
    ShopConnection.objects.filter(store=store).update(
        last_error=str(error), last_error_at=now, credentials_ok_at=None
    )
