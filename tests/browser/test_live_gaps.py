"""Situations in which live updates could get lost while the page says "Live"."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FrameLocator,
    Page,
    Route,
    ViewportSize,
    expect,
)

from tests.browser.conftest import Held, log_in
from tests.browser.gallery import PATIENCE_MS
from tests.browser.test_frame import connect
from tests.support.browser.demo import Demo, running_demo
from tests.support.browser.desk import context, running_desk, set_up
from tests.support.servers.postgres_and_redis import Redis, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.thorough]
WIDE: ViewportSize = {"width": 1440, "height": 900}
# A page without a stream used to look again after this: what is meant here comes before.
BEFORE_POLLING_MS = 8000
STREAM = re.compile(r"/events/\?(?!.*check=)")


def say(demo: Demo, text: str, *, key: str = "") -> str:
    """A customer's message, through the channel; returns the key of its conversation."""
    key = key or secrets.token_hex(6)
    return demo.say(text, name=f"Gap {key}", email=f"{key}@example.com", conversation=key)


@pytest.fixture
def people(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    """Sara's browser: failures are intended, so the console isn't checked."""
    found = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    yield found
    found.close()


def state(page: Page) -> str:
    return str(page.evaluate("document.documentElement.dataset.live ?? ''"))


def is_live(page: Page, timeout: float = PATIENCE_MS) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", "live", timeout=timeout)


def opened(context: BrowserContext, address: str = "/inbox/?scope=all") -> Page:
    page = context.new_page()
    page.goto(address)
    return page


def row(page: Page, text: str):  # type: ignore[no-untyped-def]
    return page.locator("a.conversation-row").filter(has_text=text)


# --- The five holes ---------------------------------------------------------------------------------
def test_a_change_between_the_page_and_its_stream_is_shown(
    people: BrowserContext, demo: Demo
) -> None:
    page = people.new_page()
    held = Held(page, STREAM.pattern)
    page.goto("/inbox/?scope=all")
    held.wait()
    say(demo, "Between page and stream")
    held.routes[0].continue_()
    is_live(page)
    expect(row(page, "Between page and stream")).to_be_visible(timeout=BEFORE_POLLING_MS)


def test_a_change_while_a_view_is_loading_is_shown(people: BrowserContext, demo: Demo) -> None:
    key = say(demo, "Before the view")
    page = opened(people)
    is_live(page)
    expect(row(page, "Before the view")).to_be_visible(timeout=PATIENCE_MS)
    waiting: list[tuple[Route, object]] = []

    def compute_and_hold(route: Route) -> None:
        if route.request.headers.get("x-fragment") != "view" or waiting:
            return route.continue_()
        waiting.append((route, route.fetch()))
        return None

    page.route(re.compile(r"/inbox/conversations/\d+/$"), compute_and_hold)
    row(page, "Before the view").evaluate("row => row.click()")
    for _ in range(200):
        if waiting:
            break
        page.wait_for_timeout(50)
    say(demo, "While the view was on its way", key=key)
    expect(row(page, "While the view was on its way")).to_be_visible(timeout=PATIENCE_MS)
    route, answer = waiting[0]
    route.fulfill(response=answer)  # type: ignore[arg-type]
    expect(page.locator("#thread")).to_contain_text("Before the view", timeout=PATIENCE_MS)
    expect(page.locator("#thread")).to_contain_text(
        "While the view was on its way", timeout=BEFORE_POLLING_MS
    )


def test_another_tab_takes_over_when_the_leading_tab_closes(
    people: BrowserContext, demo: Demo
) -> None:
    first = opened(people)
    is_live(first)
    second = people.new_page()
    held = Held(second, STREAM.pattern)
    second.goto("/inbox/?scope=all")
    is_live(second)
    assert not held.routes
    first.close()
    held.wait()
    say(demo, "Without a leader")
    held.routes[0].continue_()
    expect(row(second, "Without a leader")).to_be_visible(timeout=BEFORE_POLLING_MS)
    is_live(second)


class Pipe:
    """A network between the browser and the demo that can go silent without saying so."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._silent: set[int] = set()
        self._streams: set[int] = set()
        self._open: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def go_silent(self) -> None:
        """Streams stay open, and pass nothing on any more. New connections work."""
        self._silent |= self._streams

    def close(self) -> None:
        self._server.close()
        for pair in list(self._open.values()):
            for end in pair:
                end.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                client, _address = self._server.accept()
            except OSError:
                return
            number += 1
            server = socket.create_connection(self._target)
            self._open[number] = (client, server)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(number, *pair), daemon=True).start()

    def _pump(self, number: int, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                if chunk.startswith(b"GET /events/"):
                    self._streams.add(number)
                if number not in self._silent:
                    sink.sendall(chunk)
            if number not in self._silent:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_half_open_connection_is_noticed_and_replaced(browser: Browser, demo: Demo) -> None:
    host, _, port = demo.url.removeprefix("http://").partition(":")
    pipe = Pipe((host, int(port)))
    through = Demo(f"http://127.0.0.1:{pipe.port}", demo.store_url, demo.folder, demo.pid)
    people = log_in(browser, through, "sara", viewport=WIDE, reduced_motion="reduce")
    try:
        page = opened(people)
        is_live(page)
        pipe.go_silent()
        say(demo, "Into a dead line")
        # Two and a half heartbeats.
        expect(row(page, "Into a dead line")).to_be_visible(timeout=45_000)
        is_live(page)
    finally:
        people.close()
        pipe.close()


@pytest.fixture
def framed(browser: Browser, demo: Demo) -> Iterator[tuple[Page, str]]:
    """A page in a help desk, and the address at which it shows Noah's orders in our frame."""
    with running_desk() as desk:
        admin = log_in(browser, demo, "admin")
        address, _secret = set_up(
            admin.new_page(), demo.url, desk.origin, name="Gaps", kind="chatwoot", limit="20"
        )
        admin.close()
        visitor = browser.new_context(viewport=WIDE, reduced_motion="reduce")
        yield (
            visitor.new_page(),
            desk.page(address, context("noah@example.se", "alice@demo.example", "#1085")),
        )
        visitor.close()


def badges(panel: FrameLocator):  # type: ignore[no-untyped-def]
    return panel.locator("details.order").filter(has_text="#1085").locator("summary .badges")


def test_the_frame_shows_what_it_missed_after_a_reconnect(
    framed: tuple[Page, str], demo: Demo
) -> None:
    page, address = framed
    demo.staff("#1085", "in_transit")
    ended: list[Route] = []
    held: list[Route] = []

    def come(route: Route) -> None:
        if not ended:
            ended.append(route)
            # A stream that opens, and breaks.
            route.fulfill(
                status=200, body="retry: 100\n\n", headers={"Content-Type": "text/event-stream"}
            )
        elif not held:
            held.append(route)
        else:
            route.continue_()

    page.route(STREAM, come)
    page.goto(address)
    panel = page.frame_locator("iframe")
    connect(page, panel)
    expect(badges(panel)).to_contain_text("Arriving on", timeout=PATIENCE_MS)
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(50)
    demo.staff("#1085", "out")
    # By now the inbox knows it.
    page.wait_for_timeout(3000)
    held[0].continue_()
    expect(badges(panel)).to_contain_text("Out for delivery", timeout=BEFORE_POLLING_MS)
    demo.staff("#1085", "in_transit")
    expect(badges(panel)).to_contain_text("Arriving on", timeout=PATIENCE_MS)


# --- What it says -----------------------------------------------------------------------------------
def test_a_later_tab_is_told_what_it_missed_by_the_tab_that_leads(
    people: BrowserContext, demo: Demo
) -> None:
    leader = opened(people)
    is_live(leader)
    late = people.new_page()
    held = Held(late, r"js/stream\.js")
    late.goto("/inbox/?scope=all", wait_until="commit")
    held.wait()
    say(demo, "Before the tab listened")
    expect(row(leader, "Before the tab listened")).to_be_visible(timeout=PATIENCE_MS)
    held.routes[0].continue_()
    is_live(late)
    expect(row(late, "Before the tab listened")).to_be_visible(timeout=BEFORE_POLLING_MS)


def test_offline_is_over_when_the_network_is_back(people: BrowserContext, demo: Demo) -> None:
    page = opened(people)
    is_live(page)
    people.set_offline(True)
    page.wait_for_function("document.documentElement.dataset.live !== 'live'", timeout=PATIENCE_MS)
    say(demo, "While offline")
    people.set_offline(False)
    is_live(page, 30_000)
    expect(row(page, "While offline")).to_be_visible(timeout=BEFORE_POLLING_MS)


def test_a_server_that_cannot_be_reached_is_offline_and_found_again_without_an_event(
    people: BrowserContext, demo: Demo
) -> None:
    """The browser believes itself online all the while."""
    page = people.new_page()
    page.route(re.compile(r"/events/"), lambda route: route.abort())
    page.goto("/inbox/?scope=all")
    expect(page.locator("html")).to_have_attribute("data-live", "offline", timeout=PATIENCE_MS)
    expect(page.locator(".live-state")).to_have_text("Offline")
    page.unroute(re.compile(r"/events/"))
    is_live(page, 30_000)


def test_without_a_stream_it_does_not_say_live(people: BrowserContext, demo: Demo) -> None:
    """A proxy lets everything through but streams."""
    page = people.new_page()
    page.route(STREAM, lambda route: route.abort())
    page.goto("/inbox/?scope=all")
    expect(page.locator(".live-state")).to_have_text("Updating every 30 s", timeout=PATIENCE_MS)
    say(demo, "Without a stream")
    expect(row(page, "Without a stream")).to_be_visible(timeout=45_000)
    assert state(page) == "polling"


def test_a_refresh_whose_answer_is_lost_is_tried_again(people: BrowserContext, demo: Demo) -> None:
    page = opened(people)
    is_live(page)
    lost: list[Route] = []

    def lose(route: Route) -> None:
        lost.append(route)
        if len(lost) == 1:
            route.abort()
        elif len(lost) == 2:
            route.fulfill(status=502, body="")
        elif len(lost) > 3:  # the third never comes
            route.continue_()

    page.route(re.compile(r"/inbox/rows/"), lose)
    say(demo, "Told, and its answer lost")
    # Not for as long as the page shows what was before.
    expect(page.locator("html")).to_have_attribute("data-live", "reconnecting", timeout=10_000)
    expect(row(page, "Told, and its answer lost")).to_be_visible(timeout=40_000)
    assert len(lost) >= 4
    is_live(page)


def test_an_age_is_counted_by_the_servers_clock(browser: Browser, demo: Demo) -> None:
    """The browser's clock is 38 minutes fast: what has just come is not 38 minutes old."""
    people = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    people.add_init_script(
        "{ const real = Date.now.bind(Date); Date.now = () => real() + 38 * 60_000; }"
    )
    try:
        say(demo, "Just written")
        page = opened(people)
        ages = row(page, "Just written").locator("time[data-age]")
        young = re.compile(r"^(just now|\d+\s?s)")
        expect(ages).to_have_text(young, timeout=PATIENCE_MS)
        is_live(page)
        expect(ages).to_have_text(young)
    finally:
        people.close()


# --- Without Redis ----------------------------------------------------------------------------------
def test_without_redis_changes_still_come_and_cost_a_tab_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    redis = Redis(tmp_path, free_port(), is_embedded=True)
    url = f"redis://127.0.0.1:{redis.port}/0"
    with running_demo(tmp_path / "demo", redis_url=url) as demo:
        people = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
        page = opened(people)
        is_live(page)
        redis.kill()
        say(demo, "The first without Redis")
        expect(row(page, "The first without Redis")).to_be_visible(timeout=BEFORE_POLLING_MS)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(10_000)
        # A refresh for each change that there still is, and none besides.
        assert len(asked) <= 5
        assert state(page) == "live"
        say(demo, "The second without Redis")
        expect(row(page, "The second without Redis")).to_be_visible(timeout=BEFORE_POLLING_MS)
        redis.start()
        say(demo, "With Redis again")
        expect(row(page, "With Redis again")).to_be_visible(timeout=BEFORE_POLLING_MS)
        assert state(page) == "live"
        people.close()
    redis.kill()
