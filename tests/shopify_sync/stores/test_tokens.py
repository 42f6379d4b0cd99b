"""Expiring tokens are renewed once and never lost, and administrators learn what to do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from core.encryption import Secret
from orders.models import Store
from practice_store.web import oauth
from shopify_sync.api.errors import (
    NeedsAdmin,
    Unreachable,
)
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.setup import connect
from shopify_sync.stores import tokens
from shopify_sync.stores.clients import client_for
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def asked(shop: Shop) -> int:
    return sum(r["operation"] == "token" and r["status"] == 200 for r in shop.store.requests)


@pytest.fixture
def own_app(shop: Shop, store: Store) -> Store:
    connect.connect(
        domain=store.domain,
        secret="shpss_practice_demo",
        client_id="practice-demo",
        method=ConnectionMethod.CLIENT_CREDENTIALS,
    )
    return store


@pytest.fixture
def installed(shop: Shop, store: Store) -> Store:
    """By OAuth, with an expiring token and its refresh token."""
    row = connect.connect(
        domain=store.domain,
        secret="shpss_practice_demo",
        client_id="practice-demo",
        method=ConnectionMethod.OAUTH,
    )
    oauth._codes["code-1"] = (store.domain, time.time())
    tokens.exchange(row, "code-1")
    return store


def expire(shop: Shop) -> None:
    ShopConnection.objects.update(access_token_expires_at=timezone.now() - timedelta(minutes=1))
    state = shop.store.world.shops["demo.myshopify.com"]
    for token in state.issued:
        state.issued[token] = shop.store.world.now()


def read(store: Store) -> Any:
    return client_for(store).read("ShopInfo", {})


def test_an_own_app_gets_its_first_token_by_itself(own_app: Store, shop: Shop) -> None:
    assert read(own_app)["shop"]["name"]
    read(own_app)
    assert asked(shop) == 1


def test_an_expired_token_is_renewed_before_it_is_used(installed: Store, shop: Shop) -> None:
    before = ShopConnection.objects.get()
    expire(shop)
    assert read(installed)
    after = ShopConnection.objects.get()
    assert after.access_token != before.access_token
    assert after.previous_refresh_token == before.refresh_token
    assert asked(shop) == 2  # the installation's and this one


def test_another_workers_token_is_not_used_once_it_expired(installed: Store, shop: Shop) -> None:
    """Between the read of a token and Shopify's 401, others renewed it and it ended again."""
    expire(shop)
    row = ShopConnection.objects.get()
    token = tokens.renew(row, used=Secret("shpat_the_one_before"))
    assert token != row.access_token
    assert asked(shop) == 2


def test_a_token_that_ended_early_is_renewed_and_the_request_sent_again(
    installed: Store, shop: Shop
) -> None:
    state = shop.store.world.shops["demo.myshopify.com"]
    state.issued.clear()
    assert read(installed)
    assert asked(shop) == 2


def test_twenty_workers_on_an_expired_token_make_one_renewal(installed: Store, shop: Shop) -> None:
    expire(shop)
    assert _twenty(installed) == 20
    assert asked(shop) == 2


@pytest.mark.slow
def test_without_the_lease_they_make_many(installed: Store, shop: Shop) -> None:
    """The negative control of the test above: five are let into a renewal side by side."""
    expire(shop)
    together, grants = threading.Barrier(5), tokens._grants

    def meet(row: ShopConnection) -> list[dict[str, str]]:
        with suppress(threading.BrokenBarrierError):
            together.wait(timeout=5)
        return grants(row)

    with patch.object(tokens, "_claim", lambda _row: True), patch.object(tokens, "_grants", meet):
        _twenty(installed)
    assert asked(shop) > 2


def _twenty(store: Store) -> int:
    def one(_n: int) -> bool:
        try:
            return bool(read(store))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        return sum(pool.map(one, range(20)))


@pytest.mark.parametrize("phase", ["drop_before", "commit_then_drop", "500_before", "truncate"])
def test_a_lost_answer_to_a_renewal_loses_nothing(installed: Store, shop: Shop, phase: str) -> None:
    expire(shop)
    shop.store.faults.set([{"operation": "token", "phase": phase, "times": 1}])
    with pytest.raises(Unreachable):
        read(installed)
    assert read(installed)
    expire(shop)
    assert read(installed)


def test_where_the_new_refresh_token_was_never_good_the_one_before_it_is_tried(
    installed: Store, shop: Shop
) -> None:
    row = ShopConnection.objects.get()
    ShopConnection.objects.update(
        refresh_token="shprt_garbled", previous_refresh_token=row.refresh_token
    )
    expire(shop)
    assert read(installed)


@pytest.mark.parametrize("way", ["own_app", "installed"])
def test_an_app_that_was_uninstalled_says_what_to_do(
    way: str, shop: Shop, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue(way)
    read(store)
    shop.store.world.shops["demo.myshopify.com"].is_installed = False
    with pytest.raises(NeedsAdmin, match="Reconnect the store"):
        read(store)


def test_no_token_is_asked_for_inside_a_transaction(own_app: Store) -> None:
    from django.db import transaction

    with pytest.raises(RuntimeError, match="transaction"), transaction.atomic():
        read(own_app)


def test_keys_are_rotated_and_a_lost_key_is_told(installed: Store, settings: Any) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    call_command("rotate_keys")
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert ShopConnection.objects.get().api_secret.reveal() == "shpss_practice_demo"
    assert read(installed)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="not in FIELD_ENCRYPTION_KEYS"):
        call_command("rotate_keys")


def in_its_last_minutes(minutes: float = 2) -> None:
    ShopConnection.objects.update(
        access_token_expires_at=timezone.now() + timedelta(minutes=minutes)
    )


@pytest.mark.parametrize("phase", ["drop_before", "500_before"])
def test_a_valid_token_is_used_while_the_renewal_fails(
    installed: Store, shop: Shop, phase: str
) -> None:
    in_its_last_minutes()
    before = ShopConnection.objects.get().access_token
    shop.store.faults.set([{"operation": "token", "phase": phase, "times": 1000}])
    with patch.object(tokens, "_ask", wraps=tokens._ask) as ask:
        for _read in range(3):
            assert read(installed)
    assert ShopConnection.objects.get().access_token == before
    # Asked once, not with every read: a renewal that hangs must not hold up each of them.
    assert ask.call_count == 1


def test_a_refused_renewal_does_not_take_a_valid_token_away(installed: Store, shop: Shop) -> None:
    ShopConnection.objects.update(refresh_token="shprt_no", previous_refresh_token="")
    in_its_last_minutes()
    assert read(installed)


def test_no_request_waits_for_a_renewal_while_its_token_is_valid(
    installed: Store, shop: Shop
) -> None:
    in_its_last_minutes()
    ShopConnection.objects.update(renewal_lease_until=timezone.now() + timedelta(seconds=15))
    with patch.object(time, "sleep", side_effect=AssertionError("waited")):
        assert read(installed)


def test_with_an_expired_token_a_failing_renewal_is_told(installed: Store, shop: Shop) -> None:
    """The other side of the three above: only a token that is still good is used."""
    expire(shop)
    shop.store.faults.set([{"operation": "token", "phase": "drop_before", "times": 1000}])
    with pytest.raises(Unreachable):
        read(installed)


def test_a_token_in_its_last_five_minutes_is_renewed_where_that_works(
    installed: Store, shop: Shop
) -> None:
    before = ShopConnection.objects.get().access_token
    in_its_last_minutes(5.5)
    assert read(installed)
    assert ShopConnection.objects.get().access_token == before
    in_its_last_minutes(4.9)
    assert read(installed)
    assert ShopConnection.objects.get().access_token != before
