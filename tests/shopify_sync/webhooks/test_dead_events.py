"""Dead events: viewed without personal data, replayed, or settled otherwise."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from orders.models import AuditEntry, AuditKind, Order, Store
from shopify_sync.models import EventState, WebhookEvent
from shopify_sync.webhooks.body_preview import (
    MASKED,
    masked_body,
)
from tests.conftest import logged_in
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/shopify_sync/webhookevent/"
CANARIES = ("Jane", "Doe", "jane@example.com", "+4930123456", "Main Street", "ring twice", "52.52")


def event(store: Store, key: str, **more: Any) -> WebhookEvent:
    values = {"topic": "orders/updated", "body": b"{", "state": EventState.DEAD, "attempts": 8}
    return WebhookEvent.objects.create(store=store, webhook_id=key, **values | more)


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def viewer(db: None) -> Client:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_webhookevent"))
    return logged_in(user)


@pytest.fixture
def demo(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com")


def test_the_preview_shows_shape_ids_and_amounts_but_no_personal_data(
    demo: Store, viewer: Client
) -> None:
    body = {
        "id": 7,
        "admin_graphql_api_id": "gid://shopify/Order/7",
        "total_price": "99.00",
        "currency": "EUR",
        "financial_status": "paid",
        "email": "jane@example.com",
        "phone": "+4930123456",
        "note": "ring twice",
        "created_at": "2026-11-01T10:00:00Z",
        "shipping_address": {"name": "Jane Doe", "address1": "Main Street 1", "latitude": 52.52},
        "Jane": 1,
        "cancel_reason": "Jane Doe wants it",
        "user_id": "jane@example.com",
        "total_note": "Jane",
        "line_items": [{"id": 8, "quantity": 2, "title": "for Jane"}] * 30,
    }
    row = event(demo, "w", body=json.dumps(body).encode())
    page = viewer.get(f"{ADMIN}{row.pk}/change/").content.decode()
    for shown in ("gid://shopify/Order/7", "99.00", "EUR", "paid", "2026-11-01T10:00:00Z"):
        assert shown in page
    assert MASKED in page
    assert "and 10 more" in page
    for canary in CANARIES:
        assert canary not in page
        # Negative control: they are there to be found.
        assert canary.encode() in row.body_bytes


@pytest.mark.parametrize(
    "body", [b"{jane@example.com", b"[" * 50_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"\xff", b""]
)
def test_no_body_breaks_the_preview_or_shows_through(body: bytes) -> None:
    assert "jane" not in masked_body(body)


def test_all_dead_events_of_a_topic_are_processed_again_once(demo: Store, root: Client) -> None:
    for number in range(3):
        event(demo, f"w{number}")
    other = event(demo, "other", topic="refunds/create")
    done = event(demo, "done", state=EventState.DONE)
    listed = root.get(f"{ADMIN}?topic=orders/updated&state__exact=dead").content.decode()
    assert "Reprocess all dead orders/updated events (3)" in listed
    page = root.get(f"{ADMIN}{WebhookEvent.objects.latest('pk').pk - 2}/change/").content.decode()
    assert "events (3)" in page
    answer = root.post(f"{ADMIN}replay-dead/", {"topic": "orders/updated"}, follow=True)
    assert "3 events will be processed again." in answer.content.decode()
    assert WebhookEvent.objects.filter(state=EventState.WAITING, attempts=0).count() == 3
    for row, state in ((other, EventState.DEAD), (done, EventState.DONE)):
        row.refresh_from_db()
        assert row.state == state
    answer = root.post(f"{ADMIN}replay-dead/", {"topic": "orders/updated"}, follow=True)
    assert "0 events will be processed again." in answer.content.decode()
    answer = root.post(f"{ADMIN}replay-dead/", follow=True)
    assert "0 events will be processed again." in answer.content.decode()
    entry = AuditEntry.objects.get(kind=AuditKind.STORE)
    assert (entry.actor, entry.detail["count"]) == ("root", 3)


def test_only_who_may_change_has_the_buttons(demo: Store, viewer: Client, root: Client) -> None:
    row = event(demo, "w")
    for url in (f"{ADMIN}?topic=orders/updated", f"{ADMIN}{row.pk}/change/"):
        page = viewer.get(url)
        assert page.status_code == 200
        assert "Reprocess all" not in page.content.decode()
        assert "Reread the order" not in page.content.decode()
    for door in (f"{ADMIN}replay-dead/", f"{ADMIN}{row.pk}/read-order/"):
        answer = viewer.post(door, {"topic": "orders/updated", "order_number": "1"})
        assert answer.status_code == 403
        assert root.get(door).status_code == 405
    row.refresh_from_db()
    assert row.state == EventState.DEAD
    assert not Order.objects.exists()


def test_an_unreadable_event_is_settled_by_reading_its_order(
    shop: Shop, store: Store, root: Client
) -> None:
    placed = shop.place()
    body = b'{"id": %d, "email": "jane@exam' % placed.number_id
    row = event(store, "w", body=body)
    page = root.get(f"{ADMIN}{row.pk}/change/").content.decode()
    assert f'value="{placed.number_id}"' in page
    door = f"{ADMIN}{row.pk}/read-order/"
    refused = root.post(door, {"order_number": "#1001"}, follow=True).content.decode()
    assert "the digits at the end" in refused
    for _ in range(2):
        answer = root.post(door, {"order_number": placed.number_id}, follow=True)
        assert "is being reread from Shopify" in answer.content.decode()
    order = Order.objects.get()
    assert (order.legacy_id, order.financial_status) == (placed.number_id, "PAID")
    row.refresh_from_db()
    assert (row.state, row.order_id) == (EventState.DONE, order.pk)
    assert AuditEntry.objects.filter(order_id=order.pk, after="order read again").count() == 2


def test_an_event_whose_body_is_gone_is_not_processed_again(demo: Store, root: Client) -> None:
    """By retention or a redaction; without its body, done would become dead."""
    gone = event(demo, "gone", body=b"", state=EventState.DONE)
    kept = event(demo, "kept")
    words = {"action": "replay", "_selected_action": [gone.pk, kept.pk]}
    page = root.post(ADMIN, words, follow=True).content.decode()
    assert "1 event will be processed again" in page
    gone.refresh_from_db()
    assert gone.state == EventState.DONE


def test_typing_an_order_number_does_not_assign_the_event_to_that_order(
    shop: Shop, store: Store, root: Client
) -> None:
    """A redaction would look for the body among the wrong person's."""
    placed = shop.place()
    row = event(store, "w", body=b'{"id": 77, "email": "jane@exam')
    root.post(f"{ADMIN}{row.pk}/read-order/", {"order_number": placed.number_id})
    assert Order.objects.get().legacy_id == placed.number_id
    row.refresh_from_db()
    assert (row.state, row.order_id) == (EventState.DONE, None)


def test_a_deletion_request_is_not_settled_by_reading_an_order(demo: Store, root: Client) -> None:
    row = event(demo, "w", topic="customers/redact")
    page = root.get(f"{ADMIN}{row.pk}/change/").content.decode()
    assert "Reread the order" not in page
    root.post(f"{ADMIN}{row.pk}/read-order/", {"order_number": "1"})
    row.refresh_from_db()
    assert row.state == EventState.DEAD


def test_the_terminal_replays_by_topic_and_shop_and_says_how_many(demo: Store) -> None:
    second = Store.objects.create(domain="second.myshopify.com")
    event(demo, "a")
    event(second, "a")
    event(second, "b", topic="refunds/create")
    out = StringIO()

    def run(**words: Any) -> str:
        out.truncate(0)
        out.seek(0)
        call_command("replay_webhooks", stdout=out, **words)
        return out.getvalue().strip()

    said = run(dead=True, topic="orders/updated", shop=second.domain)
    assert said == "1 events will be processed again"
    assert WebhookEvent.objects.filter(state=EventState.WAITING).get().store == second
    assert run(dead=True) == "2 events will be processed again"
    assert run(dead=True) == "0 events will be processed again"
    with pytest.raises(CommandError, match=r"No store unknown\.myshopify\.com"):
        call_command("replay_webhooks", dead=True, shop="unknown.myshopify.com")
