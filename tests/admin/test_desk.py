"""The admin's front page: correct numbers and links, with a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, RequestFactory
from django.utils import timezone

from core.dashboard import (
    DESK,
    Tile,
)
from inbox.models import Channel, Contact, Conversation
from orders.models import ActionKind, Order, OrderAction, OrderEvent, Policy, Store
from shopify_sync.models import Backfill, Drift, EventState, ShopConnection, WebhookEvent
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return logged_in(User.objects.create_superuser("root"))


def tiles(store: Store | None) -> dict[str, Tile]:
    now, store_id = timezone.now(), store.pk if store else None
    return {
        tile.title: tile
        for provider in DESK.tiles
        for tile in provider(now)
        if tile.store_id == store_id
    }


def order(store: Store, number: int, **columns: Any) -> Order:
    return Order.objects.create(
        store=store,
        gid=f"gid://shopify/Order/{number}",
        legacy_id=number,
        name=f"#{number}",
        currency="EUR",
        shop_currency="EUR",
        document="{}",
        **columns,
    )


def act(of: Order, by: User, **columns: Any) -> OrderAction:
    words = {"amount": Decimal(40), "amount_shop": Decimal(40), "currency": "EUR"} | columns
    return OrderAction.objects.create(
        order=of,
        requested_by=by,
        kind=ActionKind.REFUND,
        proposal={},
        steps=[],
        nonce=str(of.pk),
        **words,
    )


def test_each_tile_shows_its_number_and_links_to_where_it_is_resolved(
    root: Client, alice: User, channel: Channel
) -> None:
    now = timezone.now()
    store = Store.objects.create(
        domain="demo.myshopify.com", currency="EUR", connected_at=now - timedelta(days=9)
    )
    other = Store.objects.create(domain="second.myshopify.com", currency="USD")
    ShopConnection.objects.create(
        store=store,
        access_token="shpat_x",
        api_secret="s",
        credentials_ok_at=now,
        webhooks_ok_at=now,
    )
    Policy.objects.create(role=Group.objects.get(name="agents"), refund_per_day=100)
    act(order(store, 1), alice, state="awaiting_approval", approvals_needed=1)
    act(order(store, 2), alice, state="needs_human")
    act(order(store, 3), alice, state="blocked", amount_shop=50)
    order(store, 4, cancelled_at=now, net_payment=Decimal("12.50"))
    OrderEvent.objects.create(
        order=order(store, 5),
        kind="refunded",
        key="refunded:1",
        occurred_at=now,
        source="shopify",
        amount=7,
        currency="EUR",
    )
    for n in range(4):
        Drift.objects.create(store=store, order_gid=str(n), found_at=now, shop_updated_at=now)
    WebhookEvent.objects.create(
        store=store, webhook_id="w", topic="orders/updated", body=b"", state=EventState.DEAD
    )
    Backfill.objects.create(store=store, since=now, next_step_at=now)
    contact = Contact.objects.create(name="Jane")
    for n, assignee in enumerate((alice, None, None)):
        Conversation.objects.create(
            contact=contact,
            channel=channel,
            external_id=str(n),
            assignee=assignee,
            waiting_since=now if n == 1 else None,
        )
    shown = tiles(store)
    values = {title: (tile.value, tile.tone) for title, tile in shown.items()}
    assert values == {
        "Refunded in 24 hours": ("€7.00", "default"),
        "Closest to the daily limit": ("alice: 90 %", "warning"),
        "Waiting for an administrator": ("1", "critical"),
        "Connection": ("3 of 3 checks", "success"),
        "Last webhook": ("None yet", "warning"),
        "Sync differences in 24 hours": ("4", "warning"),
        "Dead events": ("1", "critical"),
        "Importing past orders": ("0 %", "info"),
        "Waiting for approval": ("1", "attention"),
        "Needs review": ("1", "critical"),
        "Refunds outstanding": ("€12.50", "warning"),
    }
    assert tiles(other)["Connection"].value == "Not connected"
    common = {title: tile.value for title, tile in tiles(None).items()}
    assert common == {
        "Open conversations": "3",
        "Unassigned": "2",
        "Customers waiting": "1",
        "Not delivered": "0",
    }
    page = root.get("/admin/").content.decode()
    for tile in shown.values():
        # An administrator isn't sent into the inbox.
        url = tile.admin_url or tile.url
        assert url.replace("&", "&amp;") in page
        assert root.get(url).status_code == 200
    dead = root.get(shown["Dead events"].url)
    assert dead.context["cl"].result_count == 1
    assert root.get(shown["Waiting for an administrator"].url).context["cl"].result_count == 1


def test_the_front_page_costs_the_same_for_many_stores(
    root: Client, alice: User, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopify_sync.api import client

    def call(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the front page must not call Shopify")

    monkeypatch.setattr(client.AdminClient, "read", call)
    number = 0
    for stores in (1, 4):
        for _ in range(stores):
            number += 1
            store = Store.objects.create(domain=f"s{number}.myshopify.com", currency="EUR")
            ShopConnection.objects.create(store=store, api_secret="s")
            act(order(store, number), alice)
            person = User.objects.create_user(f"p{number}")
            act(order(store, 1000 + number), person)
        with django_assert_num_queries(QUERIES):
            assert root.get("/admin/").status_code == 200


QUERIES = 23


def test_a_person_sees_only_what_they_may_look_at(db: None) -> None:
    Store.objects.create(domain="demo.myshopify.com")
    ann = User.objects.create_user("ann", is_staff=True)
    ann.user_permissions.add(Permission.objects.get(codename="view_conversation"))
    page = logged_in(ann).get("/admin/").content.decode()
    assert "Unassigned" in page
    assert "demo.myshopify.com" not in page
    assert "Refunds outstanding" not in page
    assert "Policies" not in page


def test_every_model_has_its_place(root: Client) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="root")
    groups = admin.site.get_app_list(request)
    assert [group["name"] for group in groups] == [
        "Stores & Shopify",
        "Orders & money",
        "Policies & people",
        "Inbox & channels",
        "Campaigns",
        "Audit & privacy",
        "Outgoing webhooks",
        "Webhooks",
    ]
    assert "Connect your first store" in root.get("/admin/").content.decode()
