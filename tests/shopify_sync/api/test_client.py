"""Shopify's responses, classified by what they mean for a request that was sent."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from core.encryption import Secret
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    NotApplied,
    OutcomeUnknown,
    Refused,
    Throttled,
)


class Server:
    """Answers every POST with what the test set."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.headers: dict[str, str] = {}
        self.seen: list[Any] = []
        self.raw: list[bytes] = []
        self.paths: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.raw.append(self.rfile.read(length))
                outer.paths.append(self.path)
                outer.seen.append((dict(self.headers), json.loads(outer.raw[-1])))
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


# A body as good as any, under a status that says otherwise.
GOOD = b'{"data": {"refundCreate": {"refund": {"id": "1"}, "userErrors": []}}}'
TWO_CODES = json.dumps(
    {"errors": [{"extensions": {"code": "THROTTLED"}}, {"extensions": {"code": "TIMEOUT"}}]}
).encode()


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
        (200, gql("long", "MAX_COST_EXCEEDED"), Refused),
        (200, gql("?", "TIMEOUT"), OutcomeUnknown),
        (200, gql("?", ""), OutcomeUnknown),
        (200, b'{"errors": [{"message": "no code"}]}', OutcomeUnknown),
        (200, gql("no", "ACCESS_DENIED", data={"refundCreate": {"refund": None}}), OutcomeUnknown),
        (200, TWO_CODES, OutcomeUnknown),
        (200, b'{"errors": "a string"}', OutcomeUnknown),
        (200, b'{"errors": [null]}', OutcomeUnknown),
        (400, b"", OutcomeUnknown),
        (408, b"", OutcomeUnknown),
        (409, GOOD, OutcomeUnknown),
        (413, b"", Refused),
        (422, b"", OutcomeUnknown),
        (499, b"", OutcomeUnknown),
        (401, b"", NeedsAdmin),
        (402, b"", NeedsAdmin),
        (403, b"", NeedsAdmin),
        (404, b"", OutcomeUnknown),
        (423, b"", NeedsAdmin),
        (429, b"", Throttled),
        (430, b"", Throttled),
        (201, GOOD, OutcomeUnknown),
        (302, GOOD, OutcomeUnknown),
        (500, b"", OutcomeUnknown),
        (502, GOOD, OutcomeUnknown),
        (503, b"<html>", OutcomeUnknown),
        (302, b"", OutcomeUnknown),
    ],
)
@pytest.mark.slow
def test_every_response_to_a_mutation_is_classified(
    server: Server, client: AdminClient, status: int, body: bytes, expected: type[Exception]
) -> None:
    server.status, server.body = status, body
    with pytest.raises(expected):
        client.execute("ShopInfo", {})


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b""), (409, b""), (200, gql("?", "TIMEOUT")), (200, b'{"errors": "a string"}')],
)
def test_a_query_that_was_refused_is_refused(
    server: Server, client: AdminClient, status: int, body: bytes
) -> None:
    """Nothing can have come of a query: only of a mutation is an unknown answer open."""
    server.status, server.body = status, body
    with pytest.raises(Refused):
        client.read("ShopInfo", {})


def test_a_step_is_sent_exactly_as_it_was_frozen(
    server: Server, client: AdminClient, settings: Any
) -> None:
    """After an upgrade with another document and another API version, too."""
    step: Any = {
        "goal": "refund",
        "target": "1",
        "document": "RefundCreate",
        "query": "mutation Old { a }",
        "api_version": "2026-07",
        "variables": {"b": 1, "a": "ü"},
    }
    server.body = GOOD
    client.send(step)
    (_, first), (path, *_) = server.seen[0], server.paths
    assert path == "/admin/api/2026-07/graphql.json"
    assert first["query"] == "mutation Old { a }"
    # The very bytes, so that a later release doesn't encode them otherwise.
    sent = (
        '{"query":"mutation Old { a }","variables":{"b":1,"a":"ü"},"operationName":"RefundCreate"}'
    )
    assert server.raw[0] == sent.encode()
    settings.SHOPIFY_API_VERSION = "2027-01"
    AdminClient(domain="demo.myshopify.com", token=Secret("t")).send(step)
    assert server.raw[0] == server.raw[1]
    assert server.paths[1] == path


def test_a_step_whose_token_was_renewed_waits_for_its_next_turn(server: Server) -> None:
    """The renewal took longer than the worker's lease may last: it sends no second request."""
    server.status, asked = 401, []

    def renew(used: Secret) -> Secret:
        asked.append(used.reveal())
        server.status, server.body = 200, GOOD
        return Secret("shpat_new")

    client = AdminClient(domain="demo.myshopify.com", token=Secret("shpat_old"), renew=renew)
    step: Any = {"document": "RefundCreate", "variables": {}}
    with pytest.raises(Throttled):
        client.send(step)
    assert (asked, len(server.raw)) == (["shpat_old"], 1)
    assert client.send(step) == json.loads(GOOD)["data"]
    assert server.seen[-1][0]["X-Shopify-Access-Token"] == "shpat_new"


def test_a_successful_response_returns_its_data(server: Server, client: AdminClient) -> None:
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


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("7", 7), ("0", 0), ("inf", 2), ("nan", 2), ("soon", 2), ("1e12", 3600), (None, 2)],
)
def test_an_impossible_retry_time_is_ignored(
    server: Server, client: AdminClient, said: str | None, wait_s: float
) -> None:
    server.status, server.headers = 429, {"Retry-After": said} if said else {}
    with pytest.raises(Throttled) as raised:
        client.execute("ShopInfo", {})
    assert raised.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    "cost",
    [
        [],
        "x",
        {"throttleStatus": [1]},
        {
            "throttleStatus": {
                "maximumAvailable": None,
                "currentlyAvailable": "many",
                "restoreRate": [],
            }
        },
    ],
)
@pytest.mark.parametrize(
    "errors",
    [
        [{"message": "?", "path": 3, "extensions": ["a"]}],
        [{"message": "?", "path": ["x", "y"], "extensions": "ACCESS_DENIED"}],
    ],
)
def test_whatever_stands_where_a_cost_or_a_code_should_be_is_unknown(
    server: Server, client: AdminClient, cost: Any, errors: Any
) -> None:
    answer = {"data": {"refundCreate": {}, "x": 1}, "errors": errors}
    server.body = json.dumps(answer | {"extensions": {"cost": cost}}).encode()
    with pytest.raises(OutcomeUnknown):
        client.execute("ShopInfo", {})


def test_an_empty_bucket_is_learned(server: Server, client: AdminClient) -> None:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0}
    cost = {"requestedQueryCost": 10, "throttleStatus": status}
    server.body = json.dumps({"data": {}, "extensions": {"cost": cost}}).encode()
    client.execute("ShopInfo", {})
    assert client.headroom == (0, 2000)


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


def test_a_token_does_not_show_in_its_repr() -> None:
    token = Secret("shpat_0123456789abcdef")
    assert "0123456789" not in f"{token!r} {token} {[token]} {token:>40}"
    assert token.reveal() == "shpat_0123456789abcdef"
