"""What every response says to browsers and caches; tests.pages.test_crawler looks at every page."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.conf import settings as configured
from django.test import Client

from core.response_headers import ALWAYS, ResponseHeaders
from tests.pages.conftest import Desk
from tests.support.shop.doors import NativeDoor, native_door

pytestmark = pytest.mark.django_db(transaction=True)


def kept(client: Client, paths: list[str]) -> list[str]:
    """The paths whose response a cache or browser may store."""
    return [p for p in paths if "no-store" not in client.get(p).headers.get("Cache-Control", "")]


def some_pages(desk: Desk) -> list[str]:
    return [
        *(path for path in desk.pages() if "/orders/" in path or "/contacts/" in path),
        "/inbox/",
        "/admin/",
        "/api/v1/orders/?q=1001",
        "/api/schema/",
        "/nowhere/",
        "/metrics",
    ]


def test_nothing_with_a_customer_in_it_is_stored(desk: Desk) -> None:
    paths = some_pages(desk)
    assert len(paths) > 15
    assert kept(desk.client, paths) == []
    assert kept(Client(), ["/login/", "/inbox/", "/api/v1/orders/?q=1001"]) == []


def test_without_the_middleware_pages_are_stored(desk: Desk, settings: Any) -> None:
    """Negative control."""
    name = f"{ResponseHeaders.__module__}.{ResponseHeaders.__name__}"
    settings.MIDDLEWARE = [one for one in configured.MIDDLEWARE if one != name]
    assert "/inbox/" in kept(desk.client, some_pages(desk))


def test_static_files_may_be_kept() -> None:
    answer = Client().get("/static/inbox/favicon.svg")
    answer.close()
    assert answer.status_code == 200
    assert "public" in answer.headers["Cache-Control"]
    assert "no-store" not in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/login/", "/static/inbox/favicon.svg", "/metrics", "/nowhere/"])
def test_pages_get_no_powers(path: str) -> None:
    answer = Client().get(path)
    answer.close()
    headers = answer.headers
    policy = headers["Permissions-Policy"]
    assert "camera=()" in policy
    assert "publickey-credentials-get=(self)" in policy
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"


# Of responses that never reach Django: the request, and the status that says who answered it.
NATIVE: Final = {
    "a probe": (b"GET /livez HTTP/1.1\r\n", 200),
    "the stream": (b"GET /events/ HTTP/1.1\r\n", 403),
    "the webhook receiver": (b"POST /webhooks/shopify/ HTTP/1.1\r\nContent-Length: 0\r\n", 401),
    "the limit on bodies": (b"POST /login/ HTTP/1.1\r\nContent-Length: 70000\r\n", 413),
    "the parser": (b"nonsense\r\n", 400),
    "the limit on addresses": (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n", 414),
}


@pytest.fixture(scope="module")
def server() -> Iterator[NativeDoor]:
    with native_door() as door:
        yield door


@pytest.mark.parametrize("what", NATIVE)
def test_responses_without_django_say_the_same(server: NativeDoor, what: str) -> None:
    text, status = NATIVE[what]
    with server.raw() as line:
        line.sendall(text + b"Host: x\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(line)
        answer.begin()
    assert answer.status == status
    wanted = {**ALWAYS, "Cache-Control": "no-store"}
    assert {name: answer.headers.get_all(name) for name in wanted} == {
        name: [value] for name, value in wanted.items()
    }
