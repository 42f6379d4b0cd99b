"""The webhook endpoint: raw bytes, strict signatures, once each, never a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DataError, OperationalError, connection
from django.db.models import Sum
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync.models import EventState, ShopConnection, WebhookEvent, WebhookTally
from shopify_sync.reading import orders
from shopify_sync.webhooks import (
    counters,
    processing,
    receiver,
    storage,
)
from shopify_sync.webhooks.delivery import Delivery
from shopify_sync.webhooks.signing import (
    is_signed,
    sign,
)
from tests.support.shop.doors import Door, ViewDoor, native_door
from tests.support.shop.in_process import Shop

Push = Callable[..., Any]
SECRET = b"shpss_secret"


@pytest.fixture(
    params=[
        pytest.param("view", marks=pytest.mark.django_db),
        pytest.param("native", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Django's view, and the receiver before Django over real HTTP: the same rules."""
    monkeypatch.setattr("core.queue.enqueue", lambda *_, **__: True)
    counters._counts.clear()
    if request.param == "view":
        yield ViewDoor()
        return
    with native_door() as native:
        yield native


@pytest.fixture
def connected(door: Door) -> Store:
    store = Store.objects.create(domain="demo.myshopify.com")
    ShopConnection.objects.create(
        store=store, access_token="t", api_secret=SECRET.decode(), previous_api_secret="old"
    )
    return store


@pytest.fixture
def push(door: Door) -> Callable[..., Any]:
    def send(body: bytes, *, secret: bytes = SECRET, **headers: str) -> Any:
        values = {
            "Content-Type": "application/json",
            "X-Shopify-Shop-Domain": "demo.myshopify.com",
            "X-Shopify-Topic": "orders/updated",
            "X-Shopify-Webhook-Id": "w-1",
            "X-Shopify-Hmac-Sha256": sign(body, secret),
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return door.post(body, values)

    return send


def test_a_signed_delivery_is_stored_as_its_bytes_and_answered_200(
    connected: Store, push: Push
) -> None:
    body = b'{"id": 820982911946154508, "weird":  "\\u0000 spacing kept"}'
    assert push(body).status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.body_bytes, event.topic, event.store) == (body, "orders/updated", connected)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": 5000000000001, "note": "https:\\/\\/shop.example\\/x"}',
        b'{"id": 5000000000001, "note": "caf\\u00e9"}',
        '{"id": 5000000000001, "note": "Grüße 🙂 \u202e"}'.encode(),
        b'\xef\xbb\xbf{"id": 5000000000001, "note": "after a byte order mark"}',
        b'{"id": "5000000000001", "note": "an id as text"}',
        b'{ "note" : "spacing\\tkept" ,\r\n"id":5000000000001 }\n',
    ],
    ids=["escaped slash", "escaped letter", "raw umlaut and emoji", "BOM", "id as text", "spacing"],
)
def test_the_signature_is_of_the_bytes_however_they_are_written(
    connected: Store, push: Push, body: bytes
) -> None:
    """The right secret gets a 200 and the order is read; a wrong one gets a 401."""
    assert push(body, secret=b"shpss_wrong").status_code == 401
    assert not WebhookEvent.objects.exists()
    assert push(body).status_code == 200
    assert WebhookEvent.objects.get().body_bytes == body
    processing.work_off()
    assert WebhookEvent.objects.get().state == EventState.DONE
    assert list(Order.objects.values_list("legacy_id", flat=True)) == [5000000000001]


def test_the_same_delivery_again_is_one_row(connected: Store, push: Push) -> None:
    assert [push(b'{"id": 1}').status_code for _ in range(3)] == [200] * 3
    assert WebhookEvent.objects.count() == 1


def test_deliveries_of_one_merchant_action_are_several(connected: Store, push: Push) -> None:
    for webhook_id in ("a", "b"):
        push(b'{"id": 1}', X_Shopify_Webhook_Id=webhook_id, X_Shopify_Event_Id="same")
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize(
    "signature", ["", "x", "====", "ü", "A" * 44, sign(b"another body", SECRET), "\udcff"]
)
def test_a_forged_delivery_is_refused_and_not_stored(
    connected: Store, push: Push, signature: str
) -> None:
    try:
        answer = push(b'{"id": 1}', X_Shopify_Hmac_Sha256=signature)
    except UnicodeEncodeError:
        pytest.skip("the client itself cannot send this header")
    assert answer.status_code == 401
    assert not WebhookEvent.objects.exists()


def test_without_the_check_a_forged_delivery_would_be_stored(
    connected: Store, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    for module in ("view", "receiver"):
        monkeypatch.setattr(f"shopify_sync.webhooks.{module}.is_signed", lambda *a: True)
    push(b'{"id": 1}', X_Shopify_Hmac_Sha256="forged")
    assert WebhookEvent.objects.count() == 1


def test_an_unknown_shop_is_refused(connected: Store, push: Push) -> None:
    answer = push(b"{}", X_Shopify_Shop_Domain="other.myshopify.com")
    assert answer.status_code == 401


def test_both_secrets_are_accepted_while_one_is_rotated(connected: Store, push: Push) -> None:
    assert push(b"{}", secret=b"old", X_Shopify_Webhook_Id="w-2").status_code == 200


def test_a_database_that_is_down_asks_shopify_to_send_again(connected: Store, push: Push) -> None:
    with patch("shopify_sync.webhooks.storage._store", side_effect=OperationalError):
        answer = push(b'{"id": 1}')
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert not WebhookEvent.objects.exists()
    assert push(b'{"id": 1}').headers["X-Webhook"] == "stored"


def test_too_large_a_body_is_413_and_not_400(connected: Store, push: Push, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert push(b'{"id": 1234567890}').status_code == 413


def test_a_get_request_is_not_a_delivery(connected: Store, door: Door) -> None:
    assert door.get().status_code == 405


def test_a_shop_that_is_switched_off_is_answered_and_kept_but_not_looked_at(
    connected: Store, push: Push
) -> None:
    Store.objects.update(is_active=False)
    assert push(b'{"id": 1}').status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.state, "turned off" in event.error) == (EventState.DONE, True)
    assert processing.work_off().taken == 0


def test_a_secret_changed_a_moment_ago_works_at_once(connected: Store, push: Push) -> None:
    assert push(b"{}").status_code == 200
    row = ShopConnection.objects.get()
    row.api_secret, row.previous_api_secret = "new", ""
    row.save()
    assert push(b"{}", secret=b"new", X_Shopify_Webhook_Id="w-2").status_code == 200


def test_a_shop_whose_secret_cannot_be_decrypted_is_asked_to_send_again(
    connected: Store, push: Push
) -> None:
    other = Store.objects.create(domain="other.myshopify.com")
    ShopConnection.objects.create(store=other, access_token="t", api_secret="s")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE shopify_sync_shopconnection SET api_secret = 'x' WHERE store_id = %s",
            [other.pk],
        )
    assert push(b"{}", X_Shopify_Shop_Domain="other.myshopify.com").status_code == 503
    assert push(b"{}").status_code == 200


def test_every_answer_is_counted_and_the_sum_balances(connected: Store, push: Push) -> None:
    push(b"1", X_Shopify_Webhook_Id="a")
    push(b"1", X_Shopify_Webhook_Id="a")
    push(b"1", secret=b"forged")
    push(b"1", X_Shopify_Shop_Domain="unknown.myshopify.com")
    push(b"1", X_Shopify_Webhook_Id="")
    with patch("shopify_sync.webhooks.storage._store", side_effect=OperationalError):
        push(b"1", X_Shopify_Webhook_Id="b")
    counters.flush()
    names = ("requests", "stored", "duplicates", "unauthorized", "malformed", "unavailable")
    sums = WebhookTally.objects.aggregate(**{name: Sum(name) for name in names})
    assert [sums[name] for name in names] == [6, 1, 1, 2, 1, 1]
    assert WebhookTally.objects.get(store=None).unauthorized == 1


def test_one_bad_row_does_not_take_its_batch_with_it(connected: Store) -> None:
    def delivery(number: int, store_id: int) -> Delivery:
        return Delivery(store_id, True, f"w-{number}", "", "orders/updated", "", "", b"{}")

    batch = [delivery(n, connected.pk) for n in range(3)] + [delivery(2, connected.pk)]
    real = storage._store

    def refuses_one(deliveries: Any, now: Any) -> Any:
        if any(one.webhook_id == "w-1" for one in deliveries):
            raise DataError
        return real(deliveries, now)

    with patch("shopify_sync.webhooks.storage._store", refuses_one):
        answers = storage.store(batch, now=timezone.now())
    assert [answer.name for answer in answers] == ["STORED", "UNAVAILABLE", "STORED", "KNOWN"]


def test_the_backlog_is_worked_off_in_batches_and_poison_does_not_stop_it(
    connected: Store, push: Push
) -> None:
    for number in range(5):
        push(b'{"id": 7}', X_Shopify_Webhook_Id=f"w-{number}")
    push(b"nonsense", X_Shopify_Webhook_Id="poison")
    push(b"{}", X_Shopify_Webhook_Id="else", X_Shopify_Topic="themes/publish")
    push(b'{"order_id": 8}', X_Shopify_Webhook_Id="r", X_Shopify_Topic="refunds/create")
    first = processing.work_off(limit=5)
    assert (first.taken, len(first.order_ids)) == (5, 1)
    rest = processing.work_off()
    assert (rest.taken, len(rest.order_ids)) == (3, 1)
    assert processing.work_off().taken == 0
    # Five deliveries in one batch: one more reading, not five.
    assert dict(Order.objects.values_list("legacy_id", "dirty_seq")) == {7: 1, 8: 1}
    assert WebhookEvent.objects.get(webhook_id="poison").attempts == 1
    assert WebhookEvent.objects.filter(state=EventState.DONE).count() == 7
    # Redaction finds a body by the order it was about.
    for event in WebhookEvent.objects.filter(topic="orders/updated", state=EventState.DONE):
        assert event.order_id == Order.objects.get(legacy_id=7).pk


NASTY = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"id": null}',
    b'{"id": "x"}',
    b'{"id": -1}',
    b'{"id": 1e400}',
    b'{"id": NaN}',
    b'{"id": true}',
    b'{"id": ' + b"9" * 5000 + b"}",
    b'{"id": ' + str(2**70).encode() + b"}",
    b"[" * 100_000,
    b'{"id": {"a": 1}}',
    b'"\\ud800"',
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(NASTY)))
def test_a_malicious_body_is_stored_and_ends_as_a_dead_event(
    connected: Store, push: Push, number: int
) -> None:
    assert push(NASTY[number]).status_code == 200
    event = WebhookEvent.objects.get()
    for _ in range(8):
        orders.process_event(event.pk)
    event.refresh_from_db()
    assert event.state == EventState.DEAD
    assert event.error
    assert not Order.objects.exists()


def test_a_signature_is_compared_on_bytes_and_never_raises() -> None:
    assert is_signed(b"x", sign(b"x", b"k"), [b"other", b"k"])
    for text in ("", "é", "not base64!", sign(b"x", b"k") + "="):
        assert not is_signed(b"x", text, [b"k"])


def test_a_webhook_marks_its_order_and_nothing_more(connected: Store, push: Push) -> None:
    body = json.dumps({"id": 7, "financial_status": "paid", "total_price": "99.00"}).encode()
    with patch.object(orders, "fetch_order"):
        push(body)
        orders.process_event(WebhookEvent.objects.get().pk)
    order = Order.objects.get()
    assert (order.legacy_id, order.document, order.financial_status) == (7, "", "")
    assert order.dirty_seq > order.clean_seq


@pytest.mark.django_db(transaction=True)
def test_a_refresh_that_was_overtaken_shows_the_later_read(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A summary must not rest on the row as it was before another process's newer read."""
    placed = shop.place()
    order_id = orders.mark(store, placed.number_id, timezone.now())
    in_hand = Order.objects.select_related("store").get(pk=order_id)
    real = orders.read_snapshot

    def overtaken(client: Any, gid: str) -> Any:
        monkeypatch.setattr(orders, "read_snapshot", real)
        orders.refresh(Order.objects.select_related("store").get(pk=order_id))
        return real(client, gid)

    monkeypatch.setattr(orders, "read_snapshot", overtaken)
    orders.refresh(in_hand)
    assert in_hand.document


def test_concurrent_deliveries_are_each_stored_once(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen connections into one process: batches, duplicates within and between them."""
    monkeypatch.setattr("core.queue.enqueue", lambda *_, **__: True)
    store = Store.objects.create(domain="demo.myshopify.com")
    ShopConnection.objects.create(store=store, access_token="t", api_secret=SECRET.decode())
    sizes: list[int] = []
    real = storage._store

    def store_them(deliveries: Any, now: Any) -> Any:
        sizes.append(len(deliveries))
        return real(deliveries, now)

    monkeypatch.setattr(storage, "_store", store_them)
    body = b'{"id": 1}'

    def sender(number: int) -> list[str]:
        client = native.client()
        found = []
        for turn in range(20):
            headers = {
                "X-Shopify-Shop-Domain": "demo.myshopify.com",
                "X-Shopify-Topic": "orders/updated",
                "X-Shopify-Webhook-Id": f"w-{number // 2}-{turn}",
                "X-Shopify-Hmac-Sha256": sign(body, SECRET),
            }
            found.append(client.post(body, headers).headers["X-Webhook"])
        client.close()
        return found

    with native_door() as native, ThreadPoolExecutor(16) as pool:
        answers = [answer for found in pool.map(sender, range(16)) for answer in found]
    assert (answers.count("stored"), answers.count("known")) == (160, 160)
    assert WebhookEvent.objects.count() == 160
    assert max(sizes) > 1
    tally = WebhookTally.objects.get()
    assert (tally.requests, tally.stored, tally.duplicates) == (320, 160, 160)
    assert tally.requests == sum(sizes)


def test_a_body_that_never_ends_is_cut_off_and_one_broken_off_is_counted(
    transactional_db: None, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    with native_door() as native:
        line = native.raw()
        line.sendall(
            b"POST /webhooks/shopify/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(8):
            line.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")
        line.close()
        line = native.raw()
        line.sendall(
            b"POST /webhooks/shopify/ HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc"
        )
        line.close()
        # The next one is served as if nothing had been.
        assert native.post(b"{}", {}).status_code == 401
    tally = WebhookTally.objects.get()
    assert (tally.store, tally.malformed, tally.unauthorized) == (None, 2, 1)


def test_a_full_queue_asks_shopify_to_retry(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.queue.enqueue", lambda *_, **__: True)
    monkeypatch.setattr(receiver, "WAITING", 0)
    store = Store.objects.create(domain="demo.myshopify.com")
    ShopConnection.objects.create(store=store, access_token="t", api_secret=SECRET.decode())
    with native_door() as native:
        answer = native.post(
            b"{}",
            {
                "X-Shopify-Shop-Domain": "demo.myshopify.com",
                "X-Shopify-Topic": "t",
                "X-Shopify-Webhook-Id": "w",
                "X-Shopify-Hmac-Sha256": sign(b"{}", SECRET),
            },
        )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
