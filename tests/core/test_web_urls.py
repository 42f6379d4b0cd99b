"""What isn't a web address never becomes a link, wherever it comes from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.web_urls import web_url
from inbox.conversations.timeline import _file
from orders.snapshot import Tracking, decode, encode
from tests.support.orders import snapshots

HOSTILE = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " \tjava\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,x",
    "vbscript:msgbox(1)",
    "//dhl.example/1",
    "https://",
    "http://[::1",
    "file:///etc/passwd",
]


@pytest.mark.parametrize(
    "url", ["https://dhl.example/1", "http://dhl.example/1", "HTTPS://dhl.example/1"]
)
def test_web_addresses_are_kept(url: str) -> None:
    assert web_url(f" {url}\n") == url
    assert Tracking(url=url).url == url


@pytest.mark.parametrize("url", HOSTILE)
def test_anything_else_is_dropped(url: str) -> None:
    assert web_url(url) == ""
    assert _file({"name": "a.png", "url": url}).url == ""


@pytest.mark.parametrize("url", HOSTILE)
def test_what_was_stored_before_it_was_checked_is_no_link_either(url: str) -> None:
    good = "https://dhl.example/1"
    shown = replace(
        snapshots.order(),
        status_page_url=good,
        fulfillments=(snapshots.parcel(tracking=(Tracking(number="1", url=good),)),),
    )
    document = encode(shown)
    assert document.count(good) == 2
    stored = decode(document.replace(good, url.translate({9: "\\t", 10: "\\n", 1: "\\u0001"})))
    assert stored.status_page_url == ""
    assert stored.fulfillments[0].tracking == (Tracking(number="1"),)
