"""The API documentation page under our content security policy, and the demo's keys."""

from __future__ import annotations

import json
import stat
import urllib.request

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Watched, log_in
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_api_is_described_from_our_own_files(browser: Browser, demo: Demo) -> None:
    context = log_in(browser, demo, "alice")
    page = context.new_page()
    watched = Watched(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="Agent Inbox")).to_be_visible()
    expect(page.get_by_text("/api/v1/orders/{order_id}/actions/").first).to_be_visible()
    assert watched.troubles == []
    foreign = [url for url in asked if not url.startswith((demo.url, "data:"))]
    assert foreign == []
    context.close()


def test_other_programs_find_their_keys(demo: Demo) -> None:
    file = demo.folder / "demo" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = json.loads(file.read_text())
    assert {channel["verifies"] for channel in keys["channels"]} == {True, False}
    request = urllib.request.Request(
        f"{demo.url}/api/v1/orders/?q=1043",
        headers={"Authorization": f"Token {keys['tokens']['alice']}"},
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["results"]
    shop = keys["shops"]["demo.myshopify.com"]
    request = urllib.request.Request(
        f"{demo.store_url}/admin/api/2026-10/graphql.json",
        data=b'{"query": "{ shop { name } }"}',
        headers={"X-Shopify-Access-Token": shop["token"], "Host": "demo.myshopify.com"},
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["data"]["shop"]["name"]
