"""Fixtures that start the whole demo, and Chromium to use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.support.browser.demo import CHROMIUM, FLAGS, Demo, running_demo

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with running_demo(tmp_path_factory.mktemp("demo")) as found:
        yield found


@pytest.fixture(scope="session")
def browser(demo: Demo) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


def log_in(browser: Browser, demo: Demo, username: str, **options: Any) -> BrowserContext:
    context = browser.new_context(base_url=demo.url, **options)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    page.close()
    return context


class Watched:
    """A page whose console errors, failed requests and CSP reports fail the test."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on(
            "console",
            # Chromium and htmx write down each 401, which is how a page hears that its session
            # has ended. Only tests end one.
            lambda message: (
                self.troubles.append(message.text)
                if message.type == "error" and "401" not in message.text
                else None
            ),
        )
        page.on(
            "response",
            lambda answer: (
                self.troubles.append(f"{answer.status} {answer.url}")
                if answer.status >= 500
                else None
            ),
        )


class Held:
    """The first requests to an address wait until they are let go; the later ones pass."""

    def __init__(self, page: Page, address: str, *, how_many: int = 1) -> None:
        self._page = page
        self._how_many = how_many
        self.routes: list[Route] = []
        page.route(re.compile(address), self._come)

    def _come(self, route: Route) -> None:
        if len(self.routes) < self._how_many:
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self, how_many: int = 1) -> None:
        for _ in range(200):
            if len(self.routes) >= how_many:
                return
            self._page.wait_for_timeout(50)
        raise AssertionError("nothing was asked")


@pytest.fixture
def alice(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Alice's page on a wide screen."""
    context = log_in(
        browser, demo, "alice", viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    watched = Watched(context.new_page())
    yield watched.page
    context.close()
    assert watched.troubles == []


def axe(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands, a line each."""
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['help']} — {node['html'][:120]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]
