"""A message counts as read only if an agent was looking at the page that showed it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import log_in
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# A browser that runs without a screen shows every tab.
HIDDEN = """
window.isHidden = true;
Object.defineProperty(document, "hidden", { get: () => window.isHidden });
"""
LOOK = """() => {
  window.isHidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
}"""
AWAY = "Date.now = ((now) => () => now() + 6 * 60_000)(Date.now.bind(Date))"


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    context = log_in(browser, demo, "sara", viewport={"width": 1440, "height": 900})
    found = context.new_page()
    found.goto("/inbox/?scope=all")
    yield found
    context.close()


def unread(page: Page) -> str:
    """The address of a conversation that this agent has not read."""
    row = page.locator("a.conversation-row[data-unread]").first
    return str(row.get_attribute("href")).split("?")[0]


def dot(page: Page, address: str) -> int:
    return page.locator(f'a.conversation-row[data-unread][href^="{address}"]').count()


def test_a_tab_in_the_background_marks_nothing_as_read(page: Page) -> None:
    address = unread(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(HIDDEN)
    page.goto(f"{address}?scope=all")
    expect(page.locator("#thread")).to_have_attribute("data-read-url", re.compile("/read/$"))
    page.wait_for_timeout(800)
    assert not [url for url in asked if url.endswith("/read/")]
    assert dot(page, address) == 1
    with page.expect_response(re.compile(r"/read/$")) as answer:
        page.evaluate(LOOK)
    assert answer.value.status == 204
    expect(page.locator(f'a.conversation-row[data-unread][href^="{address}"]')).to_have_count(0)


def test_a_tab_whose_agent_is_away_reads_once_they_are_back(page: Page) -> None:
    address = unread(page)
    page.add_init_script(HIDDEN)
    page.goto(f"{address}?scope=all")
    page.evaluate(AWAY)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(LOOK)
    page.wait_for_timeout(800)
    assert not [url for url in asked if url.endswith("/read/")]
    with page.expect_response(re.compile(r"/read/$")):
        page.mouse.move(300, 300)


def test_a_thread_behind_the_orders_of_a_narrow_screen_is_not_read(page: Page) -> None:
    address = unread(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}?scope=all#orders")
    expect(page.locator("#panel")).to_be_visible()
    page.mouse.move(200, 300)
    page.wait_for_timeout(800)
    assert not [url for url in asked if url.endswith("/read/")]
    with page.expect_response(re.compile(r"/read/$")):
        page.evaluate("location.hash = ''")
