"""Connect a store: save its credentials, write its shopify.app.toml, start its first back-fill."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from core.json_types import JsonObject
from orders.models import Store
from shopify_sync.models import Backfill, ConnectionMethod, ShopConnection
from shopify_sync.stores import subscriptions
from shopify_sync.stores.clients import (
    LOCATIONS_SCOPE,
    NEEDED_SCOPES,
    PAYMENT_TERMS_SCOPE,
    RETURN_SCOPE,
    SHIPMENT_SCOPE,
)
from shopify_sync.sync import backfill

# Requested at installation.
SCOPES = (*NEEDED_SCOPES, RETURN_SCOPE, LOCATIONS_SCOPE, SHIPMENT_SCOPE)
# The app works without these; the doctor says what is missing then.
OPTIONAL_SCOPES = (
    *sorted({PAYMENT_TERMS_SCOPE, *subscriptions.SCOPED_TOPICS.values()}),
    "read_all_orders",
)
_COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")


class ShopRefused(Exception):
    """This shop can't be connected here; the text says why."""


def objection_to(domain: str) -> str:
    """Return why this shop can't be connected here; "" if it can.

    In staging only practice shops can be: calls go to the practice store, whatever the domain.
    """
    if settings.PRACTICE_SHOPS and domain not in settings.PRACTICE_SHOPS:
        return f"In staging, only these practice shops can be connected: {', '.join(settings.PRACTICE_SHOPS)}."
    return ""


def connect(
    *,
    domain: str,
    token: str = "",
    secret: str,
    client_id: str = "",
    method: str = ConnectionMethod.ADMIN_TOKEN,
) -> ShopConnection:
    """Save a store's credentials without trying them (the doctor does that).

    Call it again to change them. A replaced client secret is kept as the previous one: Shopify
    signs with it for up to an hour, and a webhook we refuse is lost. Tokens that belong to the old
    credentials are dropped. Raises ShopRefused if the shop can't be connected here.
    """
    if objection := objection_to(domain):
        raise ShopRefused(objection)
    store, _created = Store.objects.get_or_create(domain=domain)
    given = {
        "method": method,
        "client_id": client_id,
        "access_token": token,
        "api_secret": secret,
    }
    with transaction.atomic():
        connection, is_new = ShopConnection.objects.select_for_update().get_or_create(
            store=store, defaults=given
        )
        if not is_new:
            kept = _kept_secret(connection, secret)
            if any(
                getattr(connection, name) != given[name]
                for name in ("method", "client_id", "api_secret")
            ):
                # Shopify would refuse to renew tokens issued to other credentials.
                kept |= {"refresh_token": "", "previous_refresh_token": ""}
            if token != connection.access_token:
                kept |= {"access_token_expires_at": None, "refresh_token_expires_at": None}
            ShopConnection.objects.filter(pk=connection.pk).update(**given, **kept)
    # Read back, so that the plain-text secrets become Secret objects, which hide themselves.
    connection.refresh_from_db()
    return connection


def _kept_secret(connection: ShopConnection, secret: str) -> JsonObject:
    """Return the change that keeps today's secret as the previous one, if it's being replaced."""
    if not connection.api_secret or connection.api_secret == secret:
        return {}
    return {"previous_api_secret": connection.api_secret}


def begin_sync(store: Store) -> Backfill:
    """Return the store's latest back-fill; begin one if there never was one."""
    last = Backfill.objects.filter(store=store).first()
    return last if last is not None else backfill.begin(store)


def callback_address() -> str:
    """Return the absolute URL Shopify redirects to after an installation."""
    return settings.PUBLIC_URL + reverse("shopify-callback")


def app_file(connection: ShopConnection) -> str:
    """Return the text of a shopify.app.toml for this installation of Agent Inbox."""
    hook = subscriptions.address()
    topics = sorted(
        map(subscriptions.wire_name, (*subscriptions.TOPICS, *subscriptions.OPTIONAL_TOPICS))
    )
    return f"""# Put this next to your app's other files and run: shopify app deploy
client_id = {_quoted(connection.client_id)}
name = "Agent Inbox"
application_url = {_quoted(settings.PUBLIC_URL + "/")}
embedded = false

[access_scopes]
scopes = {_quoted(",".join(SCOPES))}
optional_scopes = [{", ".join(_quoted(scope) for scope in OPTIONAL_SCOPES)}]

[auth]
redirect_urls = [{_quoted(callback_address())}]

[webhooks]
api_version = {_quoted(settings.SHOPIFY_API_VERSION)}

[[webhooks.subscriptions]]
topics = [{", ".join(_quoted(topic) for topic in topics)}]
uri = {_quoted(hook)}

[[webhooks.subscriptions]]
compliance_topics = [{", ".join(_quoted(topic) for topic in _COMPLIANCE)}]
uri = {_quoted(hook)}
"""


def _quoted(text: str) -> str:
    """Return a TOML basic string, without unprintable characters."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(c for c in plain if c.isprintable())}"'
