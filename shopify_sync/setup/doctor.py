"""The connection doctor: what works, what doesn't, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from core.json_types import JsonObject
from orders import privacy
from orders.models import Store
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
)
from shopify_sync.models import Drift, EventState, ShopConnection, SyncCursor, WebhookEvent
from shopify_sync.stores import subscriptions
from shopify_sync.stores.clients import (
    DISPUTES_SCOPE,
    LOCATIONS_SCOPE,
    NEEDED_SCOPES,
    PAYMENT_TERMS_SCOPE,
    RETURN_SCOPE,
    client_for,
    note_error,
)

Level = Literal["ok", "warning", "error"]
# Shopify supports an API version for at least 12 months.
_SUPPORTED_MONTHS: Final = 12
_WARN_BEFORE: Final = timedelta(days=90)
_DRIFT_WINDOW: Final = timedelta(hours=24)
_SILENCE: Final = timedelta(days=2)
_RECONCILED_WITHIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """One finding; `todo` says what to do if it isn't ok."""

    name: str
    level: Level
    todo: str = ""

    @property
    def is_ok(self) -> bool:
        """Return whether the store works despite this finding; a warning is ok."""
        return self.level != "error"


def examine(store: Store, *, repair: bool) -> list[Tick]:
    """Try the connection and say what is missing; `repair` also creates missing webhooks.

    The findings are saved for the connection's page. Shopify's errors become findings; none is
    raised.
    """
    now = timezone.now()
    row = ShopConnection.objects.filter(store=store).first()
    if row is None or not row.api_secret or not (row.access_token or row.client_id):
        todo = "Enter the access token and the client secret."
        return [Tick("Credentials", "error", todo)]
    ticks: list[Tick] = []
    try:
        ticks += _connected(store, row, repair=repair)
    except NeedsAdmin as error:
        note_error(store, error, now=now)
        ticks.append(Tick("Test call", "error", str(error)))
    except ShopifyError as error:
        text = f"Shopify couldn't be reached: {error}. Check again in a minute."
        ticks.append(Tick("Test call", "error", text))
    for check in _CHECKS:
        ticks += check(store, row, now)
    ShopConnection.objects.filter(pk=row.pk).update(
        findings=[asdict(tick) for tick in ticks], checked_at=now
    )
    return ticks


def examine_offline(store: Store) -> list[Tick]:
    """Say what our own rows tell about the connection. Calls no one and saves nothing."""
    now = timezone.now()
    row = ShopConnection.objects.filter(store=store).first()
    if row is None or not row.api_secret or not (row.access_token or row.client_id):
        return [Tick("Credentials", "error", "Enter the access token and the client secret.")]
    ticks = [_last_call(row), _last_reconciled(store, now)]
    for check in _CHECKS:
        ticks += check(store, row, now)
    return ticks


def _last_call(row: ShopConnection) -> Tick:
    """Say how the last call went, as the workers noted it."""
    ok_at, failed_at = row.credentials_ok_at, row.last_error_at
    if row.last_error and failed_at and (ok_at is None or ok_at < failed_at):
        text = f"Shopify refused us on {failed_at:%d %B %Y at %H:%M} UTC: {row.last_error}"
        return Tick("Credentials", "error", text)
    if ok_at is None:
        text = "They were never tried. Choose “Check and repair” on the connection’s page."
        return Tick("Credentials", "warning", text)
    if row.webhooks_ok_at is None:
        text = "Not subscribed. Choose “Check and repair” on the connection’s page."
        return Tick("Webhooks", "error", text)
    return Tick("Credentials", "ok")


def _last_reconciled(store: Store, now: datetime) -> Tick:
    """Say whether the scheduler and the workers still look for changes, every five minutes."""
    at = SyncCursor.objects.filter(store=store).values_list("finished_at", flat=True).first()
    if at is not None and at < now - _RECONCILED_WITHIN:
        text = (
            f"Changes were last looked for on {at:%d %B %Y at %H:%M} UTC. Does the scheduler run?"
        )
        return Tick("Reading", "error", text)
    return Tick("Reading", "ok")


def _connected(store: Store, row: ShopConnection, *, repair: bool) -> Iterator[Tick]:
    client = client_for(store)
    data = client.read("ShopInfo", {})
    yield Tick("Credentials", "ok")
    shop = data["shop"]
    installation = data.get("currentAppInstallation") or {}
    scopes = [scope["handle"] for scope in installation.get("accessScopes") or ()]
    Store.objects.filter(pk=store.pk).update(
        name=store.name or shop["name"],
        currency=shop["currencyCode"],
        time_zone=str(shop["ianaTimezone"] or "UTC")[:64],
        order_prefix=str(shop.get("orderNumberFormatPrefix") or "")[:50],
        order_suffix=str(shop.get("orderNumberFormatSuffix") or "")[:50],
        country=_country(shop) or store.country,
    )
    ShopConnection.objects.filter(pk=row.pk).update(
        scopes=scopes, credentials_ok_at=timezone.now(), last_error=""
    )
    privacy.note_installed(store)
    yield Tick("Test call", "ok")
    yield from _scopes(scopes)
    yield from _customers(client, scopes)
    yield from _customer_pages(client, row)
    yield from _payment_terms(scopes)
    yield from _version(client)
    yield from _webhooks(store, row, repair=repair)


def _country(shop: JsonObject) -> str:
    """Return the shop's two-letter country code, "" if Shopify doesn't say."""
    return str((shop.get("shopAddress") or {}).get("countryCodeV2") or "")[:2]


def missing_scopes(granted: list[str]) -> list[str]:
    """Return the required scopes that weren't granted; write_x includes read_x."""
    have = set(granted) | {
        s.replace("write_", "read_", 1) for s in granted if s.startswith("write_")
    }
    return [scope for scope in NEEDED_SCOPES if scope not in have]


def _scopes(granted: list[str]) -> Iterator[Tick]:
    missing = missing_scopes(granted)
    todo = f"Grant the app these scopes in Shopify: {', '.join(missing)}." if missing else ""
    yield Tick("Scopes", "error" if missing else "ok", todo)
    if RETURN_SCOPE not in granted:
        yield Tick(
            "Returns",
            "warning",
            f"Without the {RETURN_SCOPE} scope, refunds can't go through a return, so each return "
            "has to be received and closed in Shopify. Grant the app this scope.",
        )
    if LOCATIONS_SCOPE not in granted:
        yield Tick(
            "Restocking",
            "warning",
            f"Without the {LOCATIONS_SCOPE} scope, refunded items can't be restocked because "
            "Shopify doesn't say where they belong. Grant the app this scope.",
        )
    if DISPUTES_SCOPE not in granted:
        yield Tick(
            "Disputes",
            "warning",
            f"Without the {DISPUTES_SCOPE} scope, chargebacks aren't visible, so agents get no "
            "warning before they refund money the bank has already returned. Grant it if the "
            "store uses Shopify Payments.",
        )
    if "read_all_orders" not in granted:
        yield Tick(
            "Older orders",
            "warning",
            "Only orders from the last 60 days are visible. If agents need older ones, ask "
            "Shopify for the read_all_orders scope.",
        )


def _customers(client: AdminClient, granted: list[str]) -> Iterator[Tick]:
    """Try to read customers: besides the scope, that needs Shopify's manual approval."""
    if "read_customers" in missing_scopes(granted):
        return
    try:
        client.read("CustomerAccess", {})
    except NeedsAdmin as error:
        yield Tick(
            "Customer data",
            "warning",
            f"Shopify denies access to customer data: {error} Orders are still read. Request "
            "“Protected customer data access” in the app’s settings in Shopify.",
        )


def _customer_pages(client: AdminClient, row: ShopConnection) -> Iterator[Tick]:
    """Find out whether the app may read an order's status page, and save the answer.

    That takes approval for protected data, level 2. For any other app, asking for the page hides
    the whole order, so it's tried here and nowhere else.
    """
    try:
        orders = client.read("StatusPageAccess", {}).get("orders") or {}
    except NeedsAdmin:
        may = False
        yield Tick(
            "Status page",
            "warning",
            "Agents can't see customers' order status pages. Request “Protected customer "
            "data access”, level 2, in the app’s settings in Shopify.",
        )
    else:
        # Without an order to try it on, nothing is known, so don't request the field.
        may = any(node and node.get("statusPageUrl") for node in orders.get("nodes") or ())
    ShopConnection.objects.filter(pk=row.pk).update(sees_customer_pages=may)


def _payment_terms(granted: list[str]) -> Iterator[Tick]:
    if PAYMENT_TERMS_SCOPE not in granted and "write_payment_terms" not in granted:
        text = "Agents can't see when an order with payment terms is due. Grant the app the scope "
        yield Tick("Payment terms", "warning", f"{text}{PAYMENT_TERMS_SCOPE}.")


def _version(client: AdminClient) -> Iterator[Tick]:
    ours, served = settings.SHOPIFY_API_VERSION, client.served_version
    if served and served != ours:
        yield Tick(
            "API version",
            "error",
            f"Shopify responds with version {served}. This release uses {ours}, which Shopify has "
            "retired. Update Agent Inbox.",
        )
        return
    year, month = (int(part) for part in ours.split("-"))
    until = date(year + _SUPPORTED_MONTHS // 12, month, 1)
    left = until - datetime.now(UTC).date()
    if left < _WARN_BEFORE:
        text = f"Version {ours} is supported until at least {until:%d %B %Y}. Update by then."
        yield Tick("API version", "warning", text)
    else:
        yield Tick("API version", "ok")
    if client.headroom and client.headroom[0] < client.headroom[1] / 4:
        text = f"{client.headroom[0]:.0f} of {client.headroom[1]:.0f} points left. Another "
        yield Tick("Rate limit", "warning", text + "program is using this app's rate limit.")


def _webhooks(store: Store, row: ShopConnection, *, repair: bool) -> Iterator[Tick]:
    missing = subscriptions.missing(store)
    needed = [topic for topic in missing if subscriptions.is_needed(topic)]
    if needed and not repair:
        names = ", ".join(subscriptions.wire_name(topic) for topic in needed)
        ShopConnection.objects.filter(pk=row.pk).update(webhooks_ok_at=None)
        yield Tick("Webhooks", "error", f"Not subscribed: {names}. Choose “Check and repair”.")
        return
    refused = subscriptions.ensure(store) if missing and repair else []
    ShopConnection.objects.filter(pk=row.pk).update(webhooks_ok_at=timezone.now())
    created = len(missing) - len(refused) if repair else 0
    yield Tick("Webhooks", "ok", f"{created} created." if created else "")
    checkouts = [said for said in refused if said.startswith("checkouts/")]
    if checkouts:
        text = f"Campaigns don't get checkouts: Shopify refused {'; '.join(checkouts)}. Grant the "
        yield Tick("Checkouts", "warning", text + "app the read_orders scope, then check again.")
    elif set(missing) & set(subscriptions.OPTIONAL_TOPICS) and not repair:
        text = "Campaigns don't receive checkouts yet. Choose “Check and repair”."
        yield Tick("Checkouts", "warning", text)
    yield from _scoped_webhooks(missing, refused, repair=repair)


def _scoped_webhooks(missing: list[str], refused: list[str], *, repair: bool) -> Iterator[Tick]:
    """Warn about optional topics that the app has the scope for but isn't subscribed to."""
    for name, topics, late in _LATE:
        said = [text for text in refused if text.startswith(tuple(map(_heading, topics)))]
        if said:
            yield Tick(name, "warning", f"{late}: Shopify refused {'; '.join(said)}")
        elif set(topics) & set(missing) and not repair:
            yield Tick(name, "warning", f"{late}. Choose “Check and repair”.")


def _heading(topic: str) -> str:
    """Return the prefix that subscriptions.ensure puts before Shopify's error for a topic."""
    return f"{subscriptions.wire_name(topic)}:"


_LATE: Final = (
    ("Merges", ("CUSTOMERS_MERGE",), "Merged customers are noticed late"),
    ("Disputes", ("DISPUTES_CREATE", "DISPUTES_UPDATE"), "Chargebacks are noticed late"),
)


def _address(store: Store, row: ShopConnection, now: datetime) -> Iterator[Tick]:
    if not settings.PUBLIC_URL.startswith("https://") and not settings.SHOPIFY_ADMIN_ORIGIN:
        text = (
            "Shopify delivers webhooks only over HTTPS. Set PUBLIC_URL to the server's public "
            "HTTPS address."
        )
        yield Tick("Address", "error", text)


def _token(store: Store, row: ShopConnection, now: datetime) -> Iterator[Tick]:
    row.refresh_from_db()
    expires = row.refresh_token_expires_at
    if expires and expires - now < timedelta(days=14):
        text = f"Access expires on {expires:%d %B %Y}. Reinstall the app before then."
        yield Tick("Token", "warning" if expires > now else "error", text)
    if row.previous_api_secret:
        text = "Webhooks signed with the previous secret are still accepted. Select “Forget the "
        text += "previous secret” an hour after the secret was changed."
        yield Tick("Secret", "warning", text)


def _time_zone(store: Store, row: ShopConnection, now: datetime) -> Iterator[Tick]:
    store.refresh_from_db(fields=["time_zone"])
    if not store.has_known_zone:
        text = f"This server doesn't know Shopify's time zone for the store, {store.time_zone}, so "
        yield Tick("Time zone", "warning", text + "dates are shown in UTC. Update Python’s tzdata.")


def _deliveries(store: Store, row: ShopConnection, now: datetime) -> Iterator[Tick]:
    events = WebhookEvent.objects.filter(store=store)
    last = events.aggregate(last=Max("received_at"))["last"]
    quiet_since = max(last or store.connected_at, store.connected_at)
    if row.webhooks_ok_at and quiet_since < now - _SILENCE:
        text = "No webhook has arrived for two days. Is PUBLIC_URL reachable from the internet?"
        yield Tick("Deliveries", "warning", text)
    if dead := events.filter(state=EventState.DEAD).count():
        text = f"{dead} couldn't be processed. Review them under “Webhook events”, then reprocess them."
        yield Tick("Dead events", "warning", text)


def _drift(store: Store, row: ShopConnection, now: datetime) -> Iterator[Tick]:
    found = Drift.objects.filter(store=store, found_at__gt=now - _DRIFT_WINDOW).count()
    if found:
        text = f"{found} changes of the last 24 hours came without a webhook; reconciliation "
        yield Tick(
            "Sync differences", "warning", text + "found them. More than a few: check the webhooks."
        )


_CHECKS: Final[tuple[Callable[[Store, ShopConnection, datetime], Iterator[Tick]], ...]] = (
    _address,
    _token,
    _time_zone,
    _deliveries,
    _drift,
)
