"""What every response says to browsers and caches; tests.pages.test_crawler looks at every page."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client

from core.response_headers import ResponseHeaders
from tests.pages.conftest import Desk

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
