"""Compliance webhooks through the real endpoint. The HMAC signs the body only, so each test of
a forged topic sends a correctly signed body."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orders import privacy
from orders.errors import ActionRefused
from orders.models import (
    AuditEntry,
    Customer,
    Order,
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    Store,
)
from orders.tasks import sweep_privacy
from shopify_sync.models import EventState, ShopConnection, WebhookEvent
from shopify_sync.reading import compliance
from shopify_sync.webhooks import delivery
from shopify_sync.webhooks.signing import sign
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)
CUSTOMER = {"id": 8412265349309, "email": "jo@example.com", "phone": "+15550101234"}
SHOP = {"shop_id": 70118211837, "shop_domain": DOMAIN}
REDACT = {**SHOP, "customer": CUSTOMER, "orders_to_redact": [6310248751293]}
DATA = {**SHOP, "customer": CUSTOMER, "orders_requested": [1], "data_request": {"id": 9999}}
GONE = {"id": 70118211837, "myshopify_domain": DOMAIN, "email": "boss@example.com"}
_numbers = itertools.count()


def send(topic: str, body: Any) -> WebhookEvent:
    raw = json.dumps(body).encode()
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Webhook-Id": f"w-{next(_numbers)}",
        "X-Shopify-Hmac-Sha256": sign(raw, b"shpss_practice_demo"),
    }
    door = "/webhooks/shopify/"
    answer = Client().post(door, raw, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    return WebhookEvent.objects.latest("pk")


@pytest.fixture
def revoked(shop: Shop, store: Store) -> Callable[[], None]:
    """The merchant uninstalls the app: Shopify refuses the token from then on."""

    def uninstall() -> None:
        ShopConnection.objects.filter(store=store).update(access_token="shpat_revoked")

    return uninstall


def test_a_redact_request_is_written_down_with_its_due_date(store: Store) -> None:
    send("customers/redact", REDACT)
    request = PrivacyRequest.objects.get()
    assert (request.kind, request.state) == (PrivacyKind.CUSTOMER_REDACT, PrivacyState.WAITING)
    assert request.due_at - request.received_at == timedelta(days=30)
    assert "jo@example.com" not in json.dumps(
        [request.sealed_scope, request.evidence, request.fingerprint]
    )


def test_a_repeated_privacy_request_is_handled_once(store: Store) -> None:
    for _ in range(3):
        send("customers/redact", REDACT)
    sweep_privacy()
    send("customers/redact", REDACT)
    assert PrivacyRequest.objects.get().state == PrivacyState.DONE


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("customers/redact", DATA),
        ("customers/redact", SHOP),
        ("customers/redact", GONE),
        ("customers/redact", {"id": 1, "email": "jo@example.com", "customer": CUSTOMER}),
        ("customers/redact", {**REDACT, "shop_domain": "second.myshopify.com"}),
        ("customers/redact", {**REDACT, "customer": None}),
        ("customers/redact", {**REDACT, "customer": {"id": "1 OR 1"}}),
        ("customers/redact", {**REDACT, "customer": {**CUSTOMER, "id": -1}}),
        ("customers/redact", {**REDACT, "orders_to_redact": ["x"]}),
        ("customers/redact", [REDACT]),
        ("customers/data_request", REDACT),
        ("customers/data_request", SHOP),
        ("shop/redact", REDACT),
        ("shop/redact", DATA),
        ("shop/redact", GONE),
        ("shop/redact", {**SHOP, "shop_domain": "second.myshopify.com"}),
        ("shop/redact", {}),
        ("app/uninstalled", SHOP),
        ("app/uninstalled", REDACT),
        ("app/uninstalled", {**GONE, "myshopify_domain": "second.myshopify.com"}),
    ],
)
def test_a_true_body_under_another_topic_does_nothing(
    store: Store, revoked: Callable[[], None], topic: str, body: Any
) -> None:
    """Even with the token revoked, so that the shape alone has to stop it."""
    revoked()
    event = send(topic, body)
    assert not PrivacyRequest.objects.exists()
    event.refresh_from_db()
    assert event.state == EventState.WAITING
    assert "jo@example.com" not in event.error
    store.refresh_from_db()
    assert (store.uninstalled_at, store.is_active) == (None, True)


def test_without_the_shape_a_replayed_body_would_be_believed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(compliance, "_check_shape", lambda *args: None)
    send("shop/redact", REDACT)
    assert PrivacyRequest.objects.get().kind == PrivacyKind.SHOP_REDACT


def test_an_uninstallation_shopify_denies_changes_nothing(store: Store) -> None:
    send("app/uninstalled", GONE)
    store.refresh_from_db()
    assert (store.uninstalled_at, store.is_active) == (None, True)


def test_without_asking_shopify_a_false_uninstallation_would_be_believed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(compliance, "is_refused", lambda store: True)
    send("app/uninstalled", GONE)
    store.refresh_from_db()
    assert store.uninstalled_at


def test_an_uninstallation_shopify_confirms_switches_the_store_off(
    store: Store, revoked: Callable[[], None]
) -> None:
    revoked()
    send("app/uninstalled", GONE)
    store.refresh_from_db()
    assert store.uninstalled_at
    assert not store.is_active
    assert AuditEntry.objects.filter(after="uninstalled").count() == 1


@pytest.mark.parametrize("phase", ["402", "423", "500_before", "drop_before", "html200"])
def test_a_shop_in_trouble_is_not_uninstalled(shop: Shop, store: Store, phase: str) -> None:
    shop.fault(phase=phase, times=5)
    event = send("app/uninstalled", GONE)
    event.refresh_from_db()
    store.refresh_from_db()
    assert store.uninstalled_at is None


def test_a_shop_redact_of_an_installed_app_is_refused(store: Store) -> None:
    send("shop/redact", SHOP)
    sweep_privacy()
    request = PrivacyRequest.objects.get()
    assert request.state == PrivacyState.REFUSED
    assert "still installed" in request.note
    assert ShopConnection.objects.exists()


def test_a_store_that_is_off_still_gets_every_handled_compliance_topic() -> None:
    assert set(compliance.HANDLERS) == delivery.ALWAYS_HEARD


def test_a_shop_is_wiped_only_after_two_days_and_a_week(
    store: Store, revoked: Callable[[], None]
) -> None:
    start = timezone.now()
    Customer.objects.create(store=store, gid="gid://shopify/Customer/1", name="Jane")
    Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1, email="j@e.com")
    revoked()
    send("app/uninstalled", GONE)
    send("shop/redact", SHOP)
    request = PrivacyRequest.objects.get()
    for hours, state in ((0, "waiting"), (47, "waiting"), (49, "grace"), (49 + 167, "grace")):
        privacy.work_off(now=start + timedelta(hours=hours), seconds=10)
        request.refresh_from_db()
        assert request.state == state
        assert Customer.objects.filter(name="Jane").exists()
    privacy.work_off(now=start + timedelta(hours=49 + 169), seconds=10)
    request.refresh_from_db()
    assert request.state == PrivacyState.DONE
    assert request.sealed_scope == ""
    assert not Customer.objects.exists()
    assert not Order.objects.exists()
    assert not WebhookEvent.objects.exists()
    assert not ShopConnection.objects.exists()


def test_a_shop_that_comes_back_in_the_week_is_not_wiped(
    store: Store, revoked: Callable[[], None]
) -> None:
    start = timezone.now()
    revoked()
    send("app/uninstalled", GONE)
    send("shop/redact", SHOP)
    privacy.work_off(now=start + timedelta(hours=49), seconds=10)
    ShopConnection.objects.update(access_token="shpat_practice_demo")
    privacy.work_off(now=start + timedelta(days=20), seconds=10)
    store.refresh_from_db()
    assert PrivacyRequest.objects.get().state == PrivacyState.REFUSED
    assert (store.uninstalled_at, store.is_active) == (None, True)


def test_a_stopped_deletion_stays_stopped(
    store: Store, revoked: Callable[[], None], sara: Any
) -> None:
    start = timezone.now()
    revoked()
    send("app/uninstalled", GONE)
    send("shop/redact", SHOP)
    privacy.work_off(now=start + timedelta(hours=49), seconds=10)
    request = PrivacyRequest.objects.get()
    privacy.stop(request_id=request.pk, by=sara, now=start)
    privacy.work_off(now=start + timedelta(days=20), seconds=10)
    request.refresh_from_db()
    assert request.state == PrivacyState.STOPPED
    assert ShopConnection.objects.exists()
    with pytest.raises(ActionRefused):
        privacy.stop(request_id=request.pk, by=sara, now=start)
