"""The webhook endpoint survives a changed secret, slow clients and an unknown time zone."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client

from orders.models import Order, Store
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.setup import (
    connect,
    doctor,
)
from shopify_sync.webhooks import receiver
from shopify_sync.webhooks.signing import sign
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)
OLD, NEW = b"shpss_practice_demo", b"shpss_new"


def push(secret: bytes, name: str) -> int:
    body = b'{"id": 5}'
    headers = {
        "X-Shopify-Topic": "orders/updated",
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Webhook-Id": name,
        "X-Shopify-Hmac-Sha256": sign(body, secret),
    }
    answer = Client().post(
        "/webhooks/shopify/", body, content_type="application/json", headers=headers
    )
    return answer.status_code


def test_a_secret_changed_in_a_terminal_loses_no_webhook(shop: Shop, store: Store) -> None:
    call_command("connect_store", shop=DOMAIN, token="shpat_practice_demo", secret=NEW.decode())
    assert (push(OLD, "a"), push(NEW, "b"), push(b"forged", "c")) == (200, 200, 401)
    ticks = doctor.examine(store, repair=False)
    assert any("previous secret" in tick.todo for tick in ticks)


def test_connecting_again_with_the_same_secret_keeps_the_one_before(store: Store) -> None:
    for _time in range(2):
        connect.connect(domain=DOMAIN, token="shpat_practice_demo", secret=NEW.decode())
    row = ShopConnection.objects.get()
    assert (row.api_secret, row.previous_api_secret) == (NEW.decode(), OLD.decode())


def test_tokens_of_other_credentials_are_dropped(store: Store) -> None:
    ShopConnection.objects.update(
        method=ConnectionMethod.OAUTH, client_id="app", refresh_token="shprt_x"
    )
    words = {"domain": DOMAIN, "token": "shpat_practice_demo", "client_id": "app"}
    connect.connect(**words, secret=OLD.decode(), method=ConnectionMethod.OAUTH)
    assert ShopConnection.objects.get().refresh_token == "shprt_x"
    connect.connect(**words, secret=NEW.decode(), method=ConnectionMethod.OAUTH)
    assert ShopConnection.objects.get().refresh_token == ""


def answer_to(receive: Any, *, length: bytes = b"10") -> list[Any]:
    """What the receiver says to one request, whose body `receive` brings."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def run() -> None:
        door = receiver.Receiver()
        scope = {"type": "http", "scheme": "https", "headers": [(b"content-length", length)]}
        try:
            await asyncio.wait_for(door(scope, receive, send), 10)
        finally:
            await door.stop()

    asyncio.run(run())
    return said


async def never() -> Any:
    await asyncio.sleep(3600)


def test_a_client_that_stalls_after_its_headers_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiver, "BODY_WITHIN_S", 0.1)
    said = answer_to(never)
    assert said[0]["status"] == 400


def test_a_client_that_stalls_in_the_body_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "BODY_WITHIN_S", 0.1)
    pieces = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def one_piece() -> Any:
        found = next(pieces, None)
        return found if found is not None else await never()

    assert answer_to(one_piece)[0]["status"] == 400


def test_a_body_without_the_key_is_an_empty_one() -> None:
    async def nothing() -> Any:
        return {"type": "http.request"}

    assert answer_to(nothing, length=b"0")[0]["status"] == 401


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\x00", "x" * 60]
)
def test_an_unknown_time_zone_stops_nothing(
    shop: Shop, seen: Any, store: Store, as_alice: Client, conversation: Any, zone: str
) -> None:
    shop.place()
    seen()
    try:
        Store.objects.filter(pk=store.pk).update(time_zone=zone)
    except (ValueError, DatabaseError):
        pytest.skip("the database does not hold such a name")
    store.refresh_from_db()
    assert store.zone.key == "UTC"
    page = as_alice.get(f"/inbox/conversations/{conversation.pk}/")
    assert page.status_code == 200
    assert Order.objects.visible().count() == 1


def test_the_doctor_reports_an_unknown_time_zone(shop: Shop, store: Store) -> None:
    shop.store.world.shops[DOMAIN].time_zone = "America/Newtown"
    ticks = {tick.name: tick for tick in doctor.examine(store, repair=False)}
    assert ticks["Time zone"].level == "warning"
    assert "America/Newtown" in ticks["Time zone"].todo
    store.refresh_from_db()
    # Tomorrow's tzdata may know it.
    assert (store.time_zone, store.zone.key) == ("America/Newtown", "UTC")


def test_the_doctor_does_not_report_a_known_time_zone(store: Store) -> None:
    assert store.zone.key == "Europe/Berlin"
    assert "Time zone" not in {tick.name for tick in doctor.examine(store, repair=False)}


def test_the_command_still_reports_what_is_missing(store: Store) -> None:
    with patch.object(doctor, "examine", return_value=[]):
        call_command("connect_store", shop=DOMAIN, check=True)
