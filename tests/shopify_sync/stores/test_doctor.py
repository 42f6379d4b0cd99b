"""The connection doctor finds and names each problem, and says how to fix it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from orders.models import Store
from shopify_sync.models import Drift, EventState, ShopConnection, WebhookEvent
from shopify_sync.setup import doctor
from shopify_sync.webhooks.signing import sign
from tests.support.shop.doors import PATH
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def found(store: Store, *, repair: bool = False) -> dict[str, tuple[str, str]]:
    return {t.name: (t.level, t.todo) for t in doctor.examine(store, repair=repair)}


def test_the_doctor_finds_nothing_wrong_with_a_healthy_store(shop: Shop, store: Store) -> None:
    ticks = doctor.examine(store, repair=True)
    assert {t.level for t in ticks} == {"ok"}
    row = ShopConnection.objects.get()
    assert [t["name"] for t in row.findings] == [t.name for t in ticks]


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("401", "no longer valid"),
        ("402", "frozen"),
        ("403", "a scope is missing"),
        ("423", "locked"),
        ("500_before", "couldn't be reached"),
        ("throttle", "couldn't be reached"),
    ],
)
def test_the_doctor_reports_what_shopify_refuses(
    shop: Shop, store: Store, phase: str, words: str
) -> None:
    shop.fault(phase=phase)
    level, todo = found(store)["Test call"]
    assert level == "error"
    assert words in todo
    shop.store.faults.set([])
    assert found(store, repair=True)["Test call"][0] == "ok"


def test_without_write_returns_a_return_is_closed_in_shopify(shop: Shop, store: Store) -> None:
    assert "Returns" not in found(store, repair=True)
    shop.store.world.shops["demo.myshopify.com"].scopes.remove("write_returns")
    level, todo = found(store)["Returns"]
    assert level == "warning"
    assert "write_returns" in todo


def test_a_missing_scope_is_named(shop: Shop, store: Store) -> None:
    scopes = shop.store.world.shops["demo.myshopify.com"].scopes
    for scope in ("read_customers", "write_customers", "read_all_orders"):
        scopes.remove(scope)
    ticks = found(store, repair=True)
    assert ticks["Scopes"] == ("error", "Grant the app these scopes in Shopify: read_customers.")
    assert ticks["Older orders"][0] == "warning"
    assert "60 days" in ticks["Older orders"][1]


def test_missing_webhooks_are_named_and_repaired(shop: Shop, store: Store) -> None:
    level, todo = found(store)["Webhooks"]
    assert level == "error"
    assert "orders/create" in todo
    assert "Check and repair" in todo
    assert found(store, repair=True)["Webhooks"][0] == "ok"
    assert found(store)["Webhooks"] == ("ok", "")


def test_checkouts_that_shopify_refuses_are_a_warning_and_fail_nothing_else(
    shop: Shop, store: Store
) -> None:
    scopes = shop.store.world.shops["demo.myshopify.com"].scopes
    for scope in ("read_orders", "write_orders"):
        scopes.remove(scope)
    ticks = found(store, repair=True)
    assert ticks["Webhooks"][0] == "ok"
    level, todo = ticks["Checkouts"]
    assert level == "warning"
    assert "checkouts/create" in todo
    assert "read_orders" in todo
    assert found(store)["Webhooks"][0] == "ok"
    assert "Check and repair" in found(store)["Checkouts"][1]
    scopes.append("read_orders")
    assert "Checkouts" not in found(store, repair=True)


def test_the_doctor_reports_a_retired_api_version(shop: Shop, store: Store) -> None:
    with patch("practice_store.web.admin_api.VERSIONS", ("2027-01",)):
        assert "Update Agent Inbox" in found(store, repair=True)["API version"][1]
    soon = datetime(2027, 8, 1, tzinfo=UTC)
    with patch("shopify_sync.setup.doctor.datetime") as clock:
        clock.now.return_value = soon
        assert "until at least 01 October 2027" in found(store)["API version"][1]


def test_the_doctor_reports_problems_in_our_own_tables(
    shop: Shop, store: Store, settings: Any
) -> None:
    now = timezone.now()
    found(store, repair=True)
    Store.objects.update(connected_at=now - timedelta(days=3))
    ShopConnection.objects.update(
        previous_api_secret="old", refresh_token_expires_at=now + timedelta(days=3)
    )
    Drift.objects.create(store=store, order_gid="g", found_at=now, shop_updated_at=now)
    store.refresh_from_db()
    ticks = found(store)
    assert {"Secret", "Token", "Deliveries", "Sync differences"} <= set(ticks)
    WebhookEvent.objects.create(
        store=store, webhook_id="w", topic="orders/create", body=b"{", state=EventState.DEAD
    )
    ticks = found(store)
    assert "Dead events" in ticks
    assert "Deliveries" not in ticks
    settings.SHOPIFY_ADMIN_ORIGIN = ""
    assert found(store)["Address"][0] == "error"


def test_the_terminal_says_the_same_and_fails_where_something_is_missing(
    shop: Shop, store: Store
) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match="incomplete"):
        call_command("connect_store", shop=store.domain, check=True, stdout=out)
    assert "MISSING Webhooks" in out.getvalue()
    call_command("connect_store", shop=store.domain, check=True, repair=True, stdout=out)
    call_command("connect_store", shop=store.domain, check=True, stdout=out)


@pytest.mark.parametrize("topic", ["app/scopes_update", "shop/update"])
def test_changed_scopes_are_known_at_once(shop: Shop, store: Store, topic: str) -> None:
    """By the webhook, not with the next hour; another topic, as negative control, does nothing."""
    doctor.examine(store, repair=True)
    scopes = shop.store.world.shops["demo.myshopify.com"].scopes
    for scope in ("read_customers", "write_customers"):
        scopes.remove(scope)
    body = b"{}"
    headers = {
        "X-Shopify-Shop-Domain": store.domain,
        "X-Shopify-Topic": topic,
        "X-Shopify-Webhook-Id": "w",
        "X-Shopify-Hmac-Sha256": sign(body, b"shpss_practice_demo"),
    }
    answer = Client().post(PATH, body, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    row = ShopConnection.objects.get()
    levels = {finding["name"]: finding["level"] for finding in row.findings}
    is_known = topic == "app/scopes_update"
    assert levels["Scopes"] == ("error" if is_known else "ok")
    assert ("read_customers" in row.scopes) is not is_known


def test_without_their_scope_chargebacks_are_said_to_be_invisible(shop: Shop, store: Store) -> None:
    scopes = shop.store.world.shops["demo.myshopify.com"].scopes
    scopes.remove("read_shopify_payments_disputes")
    level, todo = found(store, repair=True)["Disputes"]
    assert level == "warning"
    assert "read_shopify_payments_disputes" in todo
    assert "Disputes" in [t["name"] for t in ShopConnection.objects.get().findings]
    topics = {s.topic for s in shop.store.world.shops["demo.myshopify.com"].subscriptions.values()}
    assert not {topic for topic in topics if topic.startswith("DISPUTES")}


def test_topics_of_disputes_are_subscribed_where_the_scope_is(shop: Shop, store: Store) -> None:
    found(store, repair=True)
    ours = shop.store.world.shops["demo.myshopify.com"].subscriptions
    topics = {s.topic for s in ours.values()}
    assert {"DISPUTES_CREATE", "DISPUTES_UPDATE"} <= topics
    for number in [n for n, s in ours.items() if s.topic == "DISPUTES_UPDATE"]:
        del ours[number]
    text = "Chargebacks are noticed late. Choose “Check and repair”."
    assert found(store)["Disputes"] == ("warning", text)
    assert "Disputes" not in found(store, repair=True)


def test_the_doctor_reports_dispute_topics_that_shopify_refuses(shop: Shop, store: Store) -> None:
    with patch("shopify_sync.setup.doctor.subscriptions.ensure") as ensure:
        ensure.return_value = ["disputes/create: no", "customers/merge: neither"]
        ticks = found(store, repair=True)
    assert (
        ticks["Disputes"][1] == "Chargebacks are noticed late: Shopify refused disputes/create: no"
    )
    assert "customers/merge: neither" in ticks["Merges"][1]
