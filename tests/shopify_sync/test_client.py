"""Answers sorted into what they mean for a request that was sent."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from shopify_sync.client import AdminClient
from shopify_sync.errors import NeedsAdmin, NotApplied, OutcomeUnknown, Refused, Throttled
from shopify_sync.fields import Secret


class Server:
    """Answers every POST with what the test set."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"{}", {}
        self.seen: list[Any] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.seen.append((dict(self.headers), json.loads(self.rfile.read(length))))
                self.send_response(outer.status)
                for key, value in outer.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server(settings: Any, db: None) -> Iterator[Server]:
    found = Server()
    settings.SHOPIFY_ADMIN_ORIGIN = found.origin
    settings.TESTING_IN_TRANSACTION = True
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def client(server: Server) -> AdminClient:
    return AdminClient(domain="demo.myshopify.com", token=Secret("shpat_secret_token"))


def gql(message: str, code: str, **more: Any) -> bytes:
    error = {"message": message, "extensions": {"code": code}}
    return json.dumps({"errors": [error], **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>maintenance</html>", OutcomeUnknown),
        (200, b"", OutcomeUnknown),
        (200, b'{"data": {"shop": ', OutcomeUnknown),
        (200, b"[]", OutcomeUnknown),
        (200, b"null", OutcomeUnknown),
        (200, b'{"data": null}', OutcomeUnknown),
        (200, b'"text"', OutcomeUnknown),
        (200, gql("boom", "INTERNAL_SERVER_ERROR"), OutcomeUnknown),
        (200, gql("x", "undefinedField"), Refused),
        (200, gql("no", "ACCESS_DENIED"), NeedsAdmin),
        (200, gql("no", "SHOP_INACTIVE"), NeedsAdmin),
        (200, gql("slow", "THROTTLED"), Throttled),
        (200, b'{"errors": "a string"}', Refused),
        (200, b'{"errors": [null]}', Refused),
        (400, b"", Refused),
        (401, b"", NeedsAdmin),
        (402, b"", NeedsAdmin),
        (403, b"", NeedsAdmin),
        (404, b"", NeedsAdmin),
        (423, b"", NeedsAdmin),
        (429, b"", Throttled),
        (430, b"", Throttled),
        (500, b"", OutcomeUnknown),
        (503, b"<html>", OutcomeUnknown),
        (302, b"", OutcomeUnknown),
    ],
)
def test_every_answer_has_its_class(
    server: Server, client: AdminClient, status: int, body: bytes, expected: type[Exception]
) -> None:
    server.status, server.body = status, body
    with pytest.raises(expected):
        client.execute("ShopInfo", {})


def test_a_good_answer_is_its_data(server: Server, client: AdminClient) -> None:
    server.body = b'{"data": {"shop": {"id": "1"}}}'
    assert client.execute("ShopInfo", {}) == {"shop": {"id": "1"}}
    headers, sent = server.seen[0]
    assert headers["Host"] == "demo.myshopify.com"
    assert headers["X-Shopify-Access-Token"] == "shpat_secret_token"
    assert sent["operationName"] == "ShopInfo"


def test_hidden_customer_fields_are_null_and_no_failure(
    server: Server, client: AdminClient
) -> None:
    error = {"message": "no", "path": ["order", "email"], "extensions": {"code": "ACCESS_DENIED"}}
    server.body = json.dumps({"data": {"order": {"email": None}}, "errors": [error]}).encode()
    assert client.execute("OrderForPanel", {}) == {"order": {"email": None}}


def test_throttling_says_how_long(server: Server, client: AdminClient) -> None:
    server.status, server.headers = 429, {"Retry-After": "7.5"}
    with pytest.raises(Throttled) as caught:
        client.execute("ShopInfo", {})
    assert caught.value.retry_after_s == 7.5


def test_no_connection_means_not_applied(settings: Any, db: None) -> None:
    settings.SHOPIFY_ADMIN_ORIGIN = "http://127.0.0.1:9"
    settings.TESTING_IN_TRANSACTION = True
    with pytest.raises(NotApplied):
        AdminClient(domain="demo.myshopify.com", token=Secret("t")).execute("ShopInfo", {})


@pytest.mark.django_db(transaction=True)
def test_a_call_inside_a_transaction_is_refused(settings: Any) -> None:
    client = AdminClient(domain="demo.myshopify.com", token=Secret("t"))
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database transaction"):
        client.execute("ShopInfo", {})


def test_a_token_hides_itself() -> None:
    token = Secret("shpat_0123456789abcdef")
    assert "0123456789" not in f"{token!r} {token} {[token]} {token:>40}"
    assert token.reveal() == "shpat_0123456789abcdef"
