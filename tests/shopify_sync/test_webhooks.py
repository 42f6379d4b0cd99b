"""The webhook door: raw bytes, strict signature, once, never a 500."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orders.models import Order, Store
from shopify_sync import ingest
from shopify_sync.models import EventState, ShopConnection, WebhookEvent
from shopify_sync.signing import is_signed, sign
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db
SECRET = b"shpss_secret"


@pytest.fixture
def connected(db: None) -> Store:
    store = Store.objects.create(domain="demo.myshopify.com")
    ShopConnection.objects.create(
        store=store, access_token="t", api_secret=SECRET.decode(), previous_api_secret="old"
    )
    return store


def push(body: bytes, *, secret: bytes = SECRET, **headers: str) -> Any:
    values = {
        "X-Shopify-Shop-Domain": "demo.myshopify.com",
        "X-Shopify-Topic": "orders/updated",
        "X-Shopify-Webhook-Id": "w-1",
        "X-Shopify-Hmac-Sha256": sign(body, secret),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return Client().post(
        "/webhooks/shopify/", body, content_type="application/json", headers=values
    )


def test_a_signed_delivery_is_stored_as_its_bytes_and_answered_200(connected: Store) -> None:
    body = b'{"id": 820982911946154508, "weird":  "\\u0000 spacing kept"}'
    assert push(body).status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.body_bytes, event.topic, event.store) == (body, "orders/updated", connected)


def test_the_same_delivery_again_is_one_row(connected: Store) -> None:
    assert [push(b'{"id": 1}').status_code for _ in range(3)] == [200] * 3
    assert WebhookEvent.objects.count() == 1


def test_deliveries_of_one_merchant_action_are_several(connected: Store) -> None:
    for webhook_id in ("a", "b"):
        push(b'{"id": 1}', X_Shopify_Webhook_Id=webhook_id, X_Shopify_Event_Id="same")
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize(
    "signature", ["", "x", "====", "ü", "A" * 44, sign(b"another body", SECRET), "\udcff"]
)
def test_a_forged_delivery_is_refused_and_not_stored(connected: Store, signature: str) -> None:
    try:
        answer = push(b'{"id": 1}', X_Shopify_Hmac_Sha256=signature)
    except UnicodeEncodeError:
        pytest.skip("the client itself cannot send this header")
    assert answer.status_code == 401
    assert not WebhookEvent.objects.exists()


def test_without_the_check_a_forged_delivery_would_be_stored(
    connected: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr("shopify_sync.views.is_signed", lambda *a: True)
    push(b'{"id": 1}', X_Shopify_Hmac_Sha256="forged")
    assert WebhookEvent.objects.count() == 1


def test_an_unknown_shop_is_refused(connected: Store) -> None:
    answer = push(b"{}", X_Shopify_Shop_Domain="other.myshopify.com")
    assert answer.status_code == 401


def test_both_secrets_are_accepted_while_one_is_rotated(connected: Store) -> None:
    assert push(b"{}", secret=b"old", X_Shopify_Webhook_Id="w-2").status_code == 200


def test_a_database_that_is_down_asks_shopify_to_send_again(connected: Store) -> None:
    with patch.object(WebhookEvent.objects, "create", side_effect=OperationalError):
        assert push(b'{"id": 1}').status_code == 503


def test_too_large_a_body_is_413_and_not_400(connected: Store, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert push(b'{"id": 1234567890}').status_code == 413


def test_get_is_no_delivery(connected: Store) -> None:
    assert Client().get("/webhooks/shopify/").status_code == 405


NASTY = [
    b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"id": null}', b'{"id": "x"}', b'{"id": -1}',
    b'{"id": 1e400}', b'{"id": NaN}', b'{"id": true}', b'{"id": ' + b"9" * 5000 + b"}",
    b'{"id": ' + str(2**70).encode() + b"}", b"[" * 100_000, b'{"id": {"a": 1}}', b'"\\ud800"',
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NASTY)))
def test_a_nasty_body_is_stored_and_becomes_a_poison_row(connected: Store, number: int) -> None:
    assert push(NASTY[number]).status_code == 200
    event = WebhookEvent.objects.get()
    for _ in range(8):
        ingest.process_event(event.pk)
    event.refresh_from_db()
    assert event.state == EventState.DEAD
    assert event.error
    assert not Order.objects.exists()


@given(body=st.binary(max_size=200), topic=st.text(max_size=30), key=st.text(max_size=30))
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_sent_is_never_a_500(
    connected: Store, body: bytes, topic: str, key: str
) -> None:
    ascii_only = {
        "X_Shopify_Topic": topic.encode("ascii", "ignore").decode().replace("\n", ""),
        "X_Shopify_Webhook_Id": key.encode("ascii", "ignore").decode().replace("\n", ""),
    }
    assert push(body, **ascii_only).status_code in {200, 400, 401, 413}


def test_a_signature_is_compared_on_bytes_and_never_raises() -> None:
    assert is_signed(b"x", sign(b"x", b"k"), [b"other", b"k"])
    for text in ("", "é", "not base64!", sign(b"x", b"k") + "="):
        assert not is_signed(b"x", text, [b"k"])


def test_a_webhook_marks_its_order_and_nothing_more(connected: Store) -> None:
    body = json.dumps({"id": 7, "financial_status": "paid", "total_price": "99.00"}).encode()
    with patch("shopify_sync.tasks.fetch_order"):
        push(body)
        ingest.process_event(WebhookEvent.objects.get().pk)
    order = Order.objects.get()
    assert (order.legacy_id, order.document, order.financial_status) == (7, "", "")
    assert order.dirty_seq > order.clean_seq


@pytest.mark.django_db(transaction=True)
def test_a_refresh_that_was_overtaken_shows_the_later_read(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A summary must not rest on the row as it was before somebody else's newer read."""
    placed = shop.place()
    order_id = ingest.mark(store, placed.number_id, timezone.now())
    in_hand = Order.objects.select_related("store").get(pk=order_id)
    real = ingest.read_snapshot

    def overtaken(client: Any, gid: str) -> Any:
        monkeypatch.setattr(ingest, "read_snapshot", real)
        ingest.refresh(Order.objects.select_related("store").get(pk=order_id))
        return real(client, gid)

    monkeypatch.setattr(ingest, "read_snapshot", overtaken)
    ingest.refresh(in_hand)
    assert in_hand.document
