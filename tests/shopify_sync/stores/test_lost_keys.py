"""A secret that no key decrypts stops only what needs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.encryption import (
    EncryptedTextField,
    Secret,
    UndecryptableSecret,
    box,
)
from orders import tasks as order_tasks
from orders.models import ActionState, Order, OrderAction, Store
from shopify_sync import tasks
from shopify_sync.api.errors import NeedsAdmin
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.reading import (
    compliance,
    orders,
)
from shopify_sync.setup import (
    connect,
    doctor,
)
from shopify_sync.stores import tokens
from shopify_sync.stores.clients import client_for
from tests.shopify_sync.asking import ask_refund
from tests.support.shop.in_process import DOMAIN, SECOND, Shop

pytestmark = pytest.mark.django_db(transaction=True)


def lose(store: Store, column: str) -> None:
    """Encrypted with a key that is gone."""
    gone = Fernet(Fernet.generate_key()).encrypt(b"shpat_whatever").decode()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE shopify_sync_shopconnection SET {column} = %s WHERE store_id = %s",  # noqa: S608
            [gone, store.pk],
        )


@pytest.fixture
def second(shop: Shop, store: Store) -> Store:
    row = connect.connect(
        domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second"
    )
    return row.store


def test_a_secret_is_decrypted_where_it_is_used(store: Store) -> None:
    lose(store, "access_token")
    row = ShopConnection.objects.get(store=store)
    assert row.access_token
    assert "cannot be decrypted" in f"{row.access_token!r} {row.access_token}"
    assert row.api_secret.reveal() == "shpss_practice_demo"
    assert row.access_token == row.access_token
    assert row.access_token != Secret("shpat_whatever")
    with pytest.raises(UndecryptableSecret):
        row.access_token.reveal()


def test_saving_a_row_keeps_what_cannot_be_decrypted(store: Store) -> None:
    lose(store, "access_token")
    row = ShopConnection.objects.get(store=store)
    before = row.access_token.ciphertext
    row.client_id, row.api_secret = "app", "shpss_new"
    row.save()
    row.refresh_from_db()
    assert (row.access_token.ciphertext, row.api_secret) == (before, "shpss_new")


def test_an_empty_secret_stays_empty_in_the_column() -> None:
    field: Any = EncryptedTextField()
    assert [field.get_prep_value(value) for value in (None, "", Secret(""))] == [None, "", ""]
    assert box().decrypt(field.get_prep_value(Secret("x")).encode()) == b"x"


@pytest.mark.parametrize("method", [ConnectionMethod.ADMIN_TOKEN, ConnectionMethod.OAUTH])
def test_a_lost_token_is_an_administrators_and_no_uninstallation(
    store: Store, method: ConnectionMethod
) -> None:
    ShopConnection.objects.update(
        method=method,
        client_id="app",
        refresh_token="shprt_x",
        access_token_expires_at=timezone.now() + timedelta(hours=1),
    )
    lose(store, "access_token")
    lose(store, "refresh_token")
    with pytest.raises(NeedsAdmin, match="can't be decrypted") as caught:
        client_for(store)
    assert caught.value.status == 0
    with pytest.raises(NeedsAdmin):
        compliance.is_refused(store)
    ticks = doctor.examine(store, repair=False)
    assert any("can't be decrypted" in tick.todo for tick in ticks if not tick.is_ok)


def test_a_missing_refresh_token_is_not_a_refusal(store: Store) -> None:
    """Status 401 is believed to be an uninstallation; here Shopify was not even asked."""
    ShopConnection.objects.update(
        method=ConnectionMethod.OAUTH, client_id="app", access_token_expires_at=timezone.now()
    )
    with pytest.raises(NeedsAdmin) as caught:
        client_for(store)
    assert caught.value.status == 0


def test_a_lost_access_token_is_renewed_where_it_can_be(store: Store) -> None:
    ShopConnection.objects.update(
        method=ConnectionMethod.CLIENT_CREDENTIALS,
        client_id="practice-demo",
        access_token_expires_at=timezone.now() + timedelta(hours=1),
    )
    lose(store, "access_token")
    assert client_for(store).read("ShopInfo", {})["shop"]["name"]
    assert tokens.current(ShopConnection.objects.get(store=store)).reveal()


def test_the_other_stores_action_goes_and_this_ones_is_blocked(
    shop: Shop, seen: Any, store: Store, second: Store, alice: User, deaf: None
) -> None:
    shop.place()
    here = ask_refund(seen(), "1.00", alice)
    placed = shop.place(domain=SECOND, email="mia@example.com")
    pk = orders.mark(second, placed.number_id, timezone.now())
    orders.refresh(Order.objects.select_related("store").get(pk=pk))
    there = ask_refund(Order.objects.select_related("store").get(pk=pk), "2.00", alice)
    lose(store, "access_token")
    order_tasks.sweep_actions()
    here.refresh_from_db()
    there.refresh_from_db()
    assert (here.state, there.state) == (ActionState.BLOCKED, ActionState.SUCCEEDED)
    assert "can't be decrypted" in here.message
    # The key is brought back: the action goes on by itself.
    ShopConnection.objects.filter(store=store).update(access_token="shpat_practice_demo")
    OrderAction.objects.filter(pk=here.pk).update(next_attempt_at=None)
    order_tasks.sweep_actions()
    here.refresh_from_db()
    assert here.state == ActionState.SUCCEEDED


def test_agents_may_refresh_when_another_store_lost_its_key(
    shop: Shop, seen: Any, store: Store, second: Store, as_alice: Client, conversation: Any
) -> None:
    shop.place()
    seen()
    lose(second, "access_token")
    lose(second, "api_secret")
    answer = as_alice.post(f"/inbox/conversations/{conversation.pk}/orders/refresh/")
    assert answer.status_code < 400
    assert "can't be decrypted" in ShopConnection.objects.get(store=second).last_error


def test_the_sweeps_of_all_stores_go_on(shop: Shop, seen: Any, store: Store, second: Store) -> None:
    shop.place()
    order = seen()
    lose(second, "access_token")
    Order.objects.create(
        store=second, gid="gid://shopify/Order/1", legacy_id=1, dirty_seq=1, fetch_after=None
    )
    Order.objects.filter(pk=order.pk).update(dirty_seq=order.dirty_seq + 1, fetch_after=None)
    for sweep in (
        tasks.sweep_dirty_orders,
        tasks.sweep_dirty_customers,
        tasks.complete_orders,
        tasks.watch_stores,
        tasks.compare_stores,
        tasks.reconcile_stores,
        tasks.advance_backfills,
    ):
        sweep()
    order.refresh_from_db()
    assert order.dirty_seq == order.clean_seq
    assert ShopConnection.objects.get(store=second).last_error


def test_only_the_previous_secret_is_lost(store: Store) -> None:
    """What Shopify signs with today is readable, so its webhooks are let in."""
    from shopify_sync.webhooks.secrets import read_keys

    ShopConnection.objects.update(previous_api_secret="shpss_before")
    lose(store, "previous_api_secret")
    keys = read_keys([DOMAIN])[DOMAIN]
    assert keys is not None
    assert keys.secrets == (b"shpss_practice_demo",)
