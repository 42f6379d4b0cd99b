"""Connecting a store: credentials, a test call, webhooks: the three ticks of F01."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from orders.models import Store
from shopify_sync import subscriptions
from shopify_sync.connections import NEEDED_SCOPES, client_for, note_error
from shopify_sync.errors import NeedsAdmin, ShopifyError
from shopify_sync.models import ShopConnection


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the connection's health; `todo` says what to do where it is not ok."""

    name: str
    is_ok: bool
    todo: str = ""


def connect(*, domain: str, token: str, secret: str) -> ShopConnection:
    """Save a store's credentials; `examine` then tries them. Running it again changes them."""
    store, _created = Store.objects.get_or_create(domain=domain)
    connection, _created = ShopConnection.objects.update_or_create(
        store=store, defaults={"access_token": token, "api_secret": secret}
    )
    return connection


def examine(store: Store, *, repair: bool) -> list[Tick]:
    """Try the connection and say what is missing. `repair` also creates missing webhooks."""
    now = timezone.now()
    connection = ShopConnection.objects.filter(store=store).first()
    if connection is None or not connection.access_token or not connection.api_secret:
        todo = "Enter the access token and the client secret."
        return [Tick("Credentials", False, todo)]
    ticks = [Tick("Credentials", True)]
    try:
        ticks += _test_call(store, connection)
        ticks.append(_webhooks(store, connection, repair=repair))
    except NeedsAdmin as error:
        note_error(store, error, now=now)
        ticks.append(Tick("Test call", False, str(error)))
    except ShopifyError as error:
        ticks.append(Tick("Test call", False, f"Shopify could not be reached: {error}"))
    return ticks


def _test_call(store: Store, connection: ShopConnection) -> list[Tick]:
    data = client_for(store).read("ShopInfo", {})
    shop = data["shop"]
    installation = data.get("currentAppInstallation") or {}
    scopes = [scope["handle"] for scope in installation.get("accessScopes") or ()]
    Store.objects.filter(pk=store.pk).update(
        name=store.name or shop["name"],
        currency=shop["currencyCode"],
        time_zone=shop["ianaTimezone"] or "UTC",
    )
    ShopConnection.objects.filter(pk=connection.pk).update(
        scopes=scopes, credentials_ok_at=timezone.now(), last_error=""
    )
    missing = missing_scopes(scopes)
    todo = f"Grant the app these scopes in Shopify: {', '.join(missing)}." if missing else ""
    return [Tick("Test call", True), Tick("Scopes", not missing, todo)]


def missing_scopes(granted: list[str]) -> list[str]:
    """Writing a thing includes reading it."""
    have = set(granted) | {
        s.replace("write_", "read_", 1) for s in granted if s.startswith("write_")
    }
    return [scope for scope in NEEDED_SCOPES if scope not in have]


def _webhooks(store: Store, connection: ShopConnection, *, repair: bool) -> Tick:
    if not repair and connection.webhooks_ok_at is None:
        return Tick("Webhooks", False, "Run the check with repair, to create them.")
    subscriptions.ensure(store)
    ShopConnection.objects.filter(pk=connection.pk).update(webhooks_ok_at=timezone.now())
    return Tick("Webhooks", True)
