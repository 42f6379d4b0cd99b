"""No log line shows a secret that an address of ours carries."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from core.observability import masking
from inbox.frames import tokens
from inbox.frames.tokens import Customer, Pass
from inbox.live import events
from inbox.suppression import opt_outs

# Routes with words in their path that are no secrets: names of pages, and IDs.
PLAIN = re.compile(r"^(admin/|design/|account/)")


def worded_routes() -> Iterator[str]:
    """Every route of ours with a variable that is no number."""

    def walk(patterns: Any, prefix: str) -> Iterator[str]:
        for found in patterns:
            route = prefix + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route)
            elif isinstance(found, URLPattern):
                yield route

    for route in walk(get_resolver().url_patterns, ""):
        if re.search(r"<(?!int:)", route) and not PLAIN.match(route):
            yield route


def secrets_in_urls(user: User) -> dict[str, tuple[str, str]]:
    """By the route: a URL, and the secret in it."""
    held = Pass(
        frame_id=1, agent_id=user.pk, session_key="s3ss1on", opened_at=0, customer=Customer()
    )
    window, summary = tokens.seal_window(held), tokens.seal_summary("a token")
    link, reset = opt_outs.token_of("jane@example.com"), default_token_generator.make_token(user)
    stream = events.frame_stream_token(events.FrameStream(agent_id=user.pk, topics=("order:1",)))
    hmac, code = "5a5a" * 16, "c0de" * 8
    callback = "/shopify/callback/?shop=demo.myshopify.com"
    return {
        "unsubscribe/<str:token>/": (f"/unsubscribe/{link}/", link),
        "unsubscribe (quoted)": (f"/unsubscribe/{quote(link, safe='')}/", link.partition(":")[0]),
        "sidebar/window/<str:window>/": (f"/sidebar/window/{window}/orders/", window),
        "summary": (f"/sidebar/window/x/orders/1/review/?summary={summary}", summary),
        "callback": (f"{callback}&code={code}&hmac={hmac}&state=st4te", code),
        "callback's signature": (f"{callback}&hmac={hmac}", hmac),
        "callback's state": (f"{callback}&state=st4te-st4te", "st4te-st4te"),
        "reset link": (f"/reset/MQ/{reset}/", reset),
        "a stream's token, where it does not belong": (f"/events/?token={stream}", stream),
        "an API token, where it does not belong": (
            "/api/v1/orders/?q=axt_s3cr3ts3cr3t",
            "s3cr3ts3cr3t",
        ),
    }


def lines(path: str) -> list[str]:
    """What our loggers, error reports and a proxy in front would write of a request for this path."""
    shape = logging.Formatter("%(name)s %(message)s %(exc_text)s")
    found = []
    for name, args in (
        ('"%s" %s %s', (f"GET {path} HTTP/1.1", 404, 1)),
        ("%s: %s", ("Not Found", path)),
        ("Invalid HTTP_HOST header, on %s", (f"http://testserver{path}",)),
        ("failed: %r", ({"path": path, "next": path},)),
    ):
        record = logging.LogRecord("django.server", logging.INFO, __file__, 1, name, args, None)
        masking.MaskingFilter().filter(record)
        found.append(shape.format(record))
    found.append(str(masking.masked_event({"request": {"url": path, "query_string": path}})))
    return found


@pytest.mark.django_db
def test_no_line_shows_the_secret_of_a_url(alice: User) -> None:
    for what, (path, secret) in secrets_in_urls(alice).items():
        assert [line for line in lines(path) if secret in line] == [], what


@pytest.mark.django_db
def test_nor_does_a_request_for_it(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(masking.MaskingFilter())
    client = Client()
    client.raise_request_exception = False
    found = secrets_in_urls(alice)
    for path, _secret in found.values():
        client.get(path)
        client.put(path)
    assert caplog.text
    assert [what for what, (_path, secret) in found.items() if secret in caplog.text] == []


@pytest.mark.django_db
def test_without_masking_they_would_be_seen(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(masking, "mask", lambda text: text)
    for what, (path, secret) in secrets_in_urls(alice).items():
        assert any(secret in line for line in lines(path)), what


@pytest.mark.django_db
def test_no_other_route_carries_words(alice: User) -> None:
    """A new one has to be declared here: is its word a secret?"""
    known = [route for route in secrets_in_urls(alice) if "<" in route]
    others = [route for route in worded_routes() if not route.startswith(tuple(known))]
    assert others == []


def test_ordinary_paths_stay_readable() -> None:
    for path in (
        "/inbox/conversations/17/orders/42/refund/",
        "/static/inbox/fonts/inter-latin-wght-normal.0123456789ab.woff2",
        "/inbox/orders/?q=1043&after=1043-1790000000000",
        "2026-11-27T10:20:30:123 at 10:20:30",
    ):
        assert masking.mask(path) == path
