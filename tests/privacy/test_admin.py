"""Privacy requests in the admin: view, download, run, stop; downloads are audited."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from inbox.models import Channel
from orders import privacy
from orders.models import AuditEntry, AuditKind, Order, PrivacyKind, PrivacyRequest, Store
from orders.privacy.registry import Scope
from tests.conftest import logged_in
from tests.privacy import filling
from tests.privacy.filling import canary, fill

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/orders/privacyrequest/"


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


def data_request(store: Store, number: int = 0) -> PrivacyRequest:
    scope = Scope(
        store_id=store.pk,
        customer_gids=(filling.customer_gid(number),),
        emails=(filling.email(number),),
    )
    asked = privacy.ask(
        store=store,
        kind=PrivacyKind.DATA_REQUEST,
        fingerprint=f"data {number}",
        scope=scope,
        now=timezone.now(),
    )
    assert asked
    privacy.work_off(now=timezone.now(), seconds=10)
    asked.refresh_from_db()
    return asked


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_the_export_holds_everything_of_the_person_and_nothing_of_others(
    store: Store, channel: Channel, alice: User, root: Client
) -> None:
    fill(store, channel, alice, 3)
    request = data_request(store, 1)
    page = root.get(f"{ADMIN}{request.pk}/change/").content.decode()
    assert "Download the data" in page
    assert canary(1) not in page
    answer = root.post(f"{ADMIN}{request.pk}/change/export/")
    assert "no-store" in answer["Cache-Control"]
    raw = body(answer)
    data = json.loads(raw)["data"]
    assert data["orders.Order"][0]["document"]["email"] == filling.email(1)
    texts = [row["text"] for row in data["inbox.Message"]]
    assert any(canary(1) in text for text in texts)
    assert data["orders.OrderAction"][0]["staff_note"] == canary(1)
    assert data["inbox.Identity"]
    for other in (0, 2):
        assert canary(other).encode() not in raw
        assert filling.phone(other).encode() not in raw
    entry = AuditEntry.objects.get(kind=AuditKind.EXPORT)
    assert (entry.actor, entry.detail["row"]) == ("root", request.pk)


def test_an_export_expires(store: Store, channel: Channel, alice: User, root: Client) -> None:
    fill(store, channel, alice, 1)
    request = data_request(store)
    privacy.work_off(now=timezone.now() + timedelta(days=31), seconds=10)
    request.refresh_from_db()
    assert (request.state, request.sealed_scope) == ("expired", "")
    answer = root.post(f"{ADMIN}{request.pk}/change/export/", follow=True)
    assert "nothing left to download" in answer.content.decode()
    assert not AuditEntry.objects.filter(kind=AuditKind.EXPORT).exists()


def test_a_downloaded_export_ends_as_done(
    store: Store, channel: Channel, alice: User, root: Client
) -> None:
    fill(store, channel, alice, 1)
    request = data_request(store)
    body(root.post(f"{ADMIN}{request.pk}/change/export/"))
    privacy.work_off(now=timezone.now() + timedelta(days=31), seconds=10)
    request.refresh_from_db()
    assert (request.state, request.sealed_scope) == ("done", "")


@pytest.mark.parametrize("door", ["export", "stop", "run"])
def test_only_permitted_people_can_export_run_or_stop(store: Store, db: None, door: str) -> None:
    request = data_request(store)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_privacyrequest"))
    client = logged_in(viewer)
    page = client.get(f"{ADMIN}{request.pk}/change/")
    assert page.status_code == 200
    assert "formaction" not in page.content.decode()
    assert client.post(f"{ADMIN}{request.pk}/change/{door}/").status_code == 403
    assert client.get(f"{ADMIN}{request.pk}/change/{door}/").status_code == 405
    assert client.post(f"{ADMIN}{request.pk}/delete/").status_code == 403
    assert client.get(f"{ADMIN}add/").status_code == 403


def test_a_deletion_can_be_run_at_once_and_a_wipe_stopped(store: Store, root: Client) -> None:
    Order.objects.create(
        store=store, gid="gid://shopify/Order/1", legacy_id=1, customer_gid="c", email="j@e.com"
    )
    asked = privacy.ask(
        store=store,
        kind=PrivacyKind.CUSTOMER_REDACT,
        fingerprint="x",
        scope=Scope(store_id=store.pk, customer_gids=("c",)),
        now=timezone.now(),
    )
    assert asked
    page = root.get(f"{ADMIN}{asked.pk}/change/").content.decode()
    assert "Run now" in page
    page = root.post(f"{ADMIN}{asked.pk}/change/run/", follow=True).content.decode()
    assert "Now: Done." in page
    assert "orders.Order: 1" in page
    assert Order.objects.get().email == ""
    wipe = privacy.ask(
        store=store,
        kind=PrivacyKind.SHOP_REDACT,
        fingerprint="y",
        scope=Scope(store_id=store.pk, is_whole_store=True),
        now=timezone.now(),
    )
    assert wipe
    page = root.get(f"{ADMIN}{wipe.pk}/change/").content.decode()
    assert "Stop the deletion" in page
    page = root.post(f"{ADMIN}{wipe.pk}/change/stop/", follow=True).content.decode()
    assert "Stopped. Nothing was deleted." in page
    entry = AuditEntry.objects.filter(kind=AuditKind.PRIVACY).latest("pk")
    assert (entry.actor, entry.after) == ("root", "stopped")
    for url in (ADMIN, "/admin/orders/redactedidentity/"):
        assert root.get(url).status_code == 200
