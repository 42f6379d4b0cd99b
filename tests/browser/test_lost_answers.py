"""After a lost response or on an outdated page, nothing is sent twice, hidden, or taken from a
colleague, and typed text is kept."""

from __future__ import annotations

import itertools
import json
import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import axe, log_in
from tests.browser.gallery import PATIENCE_MS
from tests.browser.test_impatience import refunds_of, review
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE = {"width": 1440, "height": 900}
_numbers = itertools.count(1)


class Customer:
    """A new customer who writes through the demo's messenger."""

    def __init__(self, demo: Demo) -> None:
        self.keys = json.loads((demo.folder / "demo" / "keys.json").read_text())
        self.demo, self.name = demo, f"Wanda {next(_numbers)}"
        self.says("Hello, is anybody there?")

    def says(self, text: str) -> None:
        channel = self.keys["channels"][0]
        body = {
            "external_id": f"{self.name} {next(_numbers)}",
            "conversation": self.name,
            "sender": {"external_id": self.name, "name": self.name},
            "text": text,
        }
        request = urllib.request.Request(
            f"{self.demo.url}/api/v1/channels/{channel['id']}/messages/",
            json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {channel['key']}",
                "Content-Type": "application/json",
            },
        )
        urllib.request.urlopen(request).close()


def person(browser: Browser, demo: Demo, name: str) -> Page:
    context = log_in(browser, demo, name, viewport=WIDE, reduced_motion="reduce")
    return context.new_page()


@pytest.fixture
def alice(browser: Browser, demo: Demo) -> Iterator[Page]:
    page = person(browser, demo, "alice")
    yield page
    page.context.close()


@pytest.fixture
def bob(browser: Browser, demo: Demo) -> Iterator[Page]:
    page = person(browser, demo, "bob")
    yield page
    page.context.close()


@pytest.fixture
def sara(browser: Browser, demo: Demo) -> Iterator[Page]:
    page = person(browser, demo, "sara")
    yield page
    page.context.close()


def opened(page: Page, customer: Customer) -> Page:
    page.goto(f"/inbox/?scope=all&q={customer.name.replace(' ', '+')}")
    name = page.get_by_text(customer.name, exact=True)
    page.locator("a.conversation-row").filter(has=name).first.click()
    expect(page.locator("#view h1")).to_contain_text(customer.name, timeout=PATIENCE_MS)
    return page


def lose_answers(page: Page, address: str, *, how_many: int = 1) -> None:
    """The server does what was asked, but the response never reaches the browser."""
    left = itertools.repeat(None, how_many)

    def lose(route: Route) -> None:
        if next(left, "none") == "none":
            route.continue_()
            return
        route.fetch()
        route.abort()

    page.route(re.compile(address), lose)


def stop_updates(page: Page) -> None:
    """The page stays as it is: its fragments do not come."""
    page.route(re.compile(r"/(thread|header)/"), lambda route: route.abort())


def test_a_reply_whose_answer_is_lost_is_sent_once(alice: Page, demo: Demo) -> None:
    opened(alice, Customer(demo))
    lose_answers(alice, r"/reply/$")
    box = alice.locator("#composer-text")
    box.fill("It left on Monday.")
    alice.get_by_role("button", name="Send reply").click()
    expect(alice.get_by_role("alert")).to_contain_text("It may have been sent. Press Send again")
    expect(box).to_have_value("It left on Monday.")
    alice.get_by_role("button", name="Send reply").click()
    expect(box).to_have_value("")
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(1)
    alice.reload()
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(1)


def test_the_same_words_again_are_another_message(alice: Page, demo: Demo) -> None:
    """The answer to the first ones was lost, and the next save has found out that they were sent:
    the composer has an id of its own by now."""
    opened(alice, Customer(demo))
    lose_answers(alice, r"/reply/$")
    box = alice.locator("#composer-text")
    for sent in (1, 2):
        box.fill("Yes, please.")
        alice.get_by_role("button", name="Send reply").click()
        expect(box).to_have_value("", timeout=PATIENCE_MS)
        expect(alice.locator("#thread [data-kind=reply]")).to_have_count(sent)


def test_without_a_network_it_is_said_that_nothing_left(alice: Page, demo: Demo) -> None:
    opened(alice, Customer(demo))
    alice.locator("#composer-text").fill("It left on Monday.")
    alice.context.set_offline(True)
    alice.get_by_role("button", name="Send reply").click()
    expect(alice.get_by_role("alert")).to_contain_text("Nothing was sent")
    alice.context.set_offline(False)
    alice.get_by_role("button", name="Send reply").click()
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(1)


@pytest.mark.parametrize(
    ("verb", "button", "then"),
    [("resolve", "Resolve", "Reopen"), ("assign", "Assign to me", "Resolve")],
)
def test_a_button_whose_answer_is_lost_is_pressed_again(
    verb: str, button: str, then: str, alice: Page, demo: Demo
) -> None:
    opened(alice, Customer(demo))
    stop_updates(alice)
    lose_answers(alice, rf"/{verb}/$")
    pressed = alice.locator("#header").get_by_role("button", name=button, exact=True)
    pressed.click()
    expect(alice.get_by_role("alert")).to_contain_text("it won’t be done twice")
    pressed.click()
    expect(alice.locator("#header").get_by_role("button", name=then, exact=True)).to_be_visible()
    expect(pressed).to_have_count(0)
    expect(alice.locator("#overtaken-news")).to_have_count(0)


def test_a_refund_whose_answer_is_lost_is_made_once(sara: Page, demo: Demo) -> None:
    confirm = review(sara, "0.21")
    lose_answers(sara, r"/confirm/$")
    confirm.click()
    toast = sara.get_by_role("dialog").get_by_role("alert")
    expect(toast).to_contain_text("it won’t be done twice")
    confirm.click()
    expect(sara.get_by_role("dialog")).to_contain_text("done by Sara", timeout=PATIENCE_MS)
    assert refunds_of(demo, "0.21") == 1


def test_what_the_customer_wrote_in_between_is_shown_before_a_reply_is_sent(
    alice: Page, demo: Demo
) -> None:
    customer = Customer(demo)
    opened(alice, customer)
    stop_updates(alice)
    alice.locator("#composer-text").fill("It left on Monday.")
    customer.says("WAIT, please cancel it!")
    alice.get_by_role("button", name="Send reply").click()
    notice = alice.locator("#overtaken-news")
    expect(notice).to_contain_text(f"{customer.name} has written in the meantime")
    expect(notice).to_contain_text("WAIT, please cancel it!")
    expect(alice.locator("#thread")).to_contain_text("WAIT, please cancel it!")
    expect(alice.locator("#composer-text")).to_have_value("It left on Monday.")
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(0)
    # That is for an agent who has moved on to another conversation.
    expect(alice.locator("#toasts")).not_to_contain_text("A message was not sent")
    assert axe(alice) == []
    alice.get_by_role("button", name="Send anyway").click()
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(1)
    expect(notice).to_have_count(0)
    expect(alice.locator("#composer-text")).to_have_value("")
    # The same by Resolve.
    customer.says("And another thing!")
    alice.locator("#header").get_by_role("button", name="Resolve").click()
    expect(notice).to_contain_text("And another thing!")
    expect(alice.locator("#header").get_by_role("button", name="Resolve")).to_be_visible()
    alice.get_by_role("button", name="Resolve anyway").click()
    expect(alice.locator("#header").get_by_role("button", name="Reopen")).to_be_visible()
    expect(notice).to_have_count(0)


def test_a_colleagues_conversation_is_taken_over_knowingly(
    alice: Page, bob: Page, demo: Demo
) -> None:
    customer = Customer(demo)
    opened(alice, customer)
    stop_updates(alice)
    opened(bob, customer).locator("#header").get_by_role("button", name="Assign to me").click()
    expect(bob.locator("#assign-menu > summary")).to_contain_text("Bob")
    alice.locator("#header").get_by_role("button", name="Assign to me").click()
    expect(alice.locator("#overtaken-news")).to_contain_text("Bob took this conversation at")
    expect(alice.locator("#assign-menu > summary")).to_contain_text("Bob")
    alice.get_by_role("button", name="Take over anyway").click()
    expect(alice.locator("#assign-menu > summary")).to_contain_text("Alice")


def test_messages_below_the_visible_part_do_not_count_as_read(alice: Page, demo: Demo) -> None:
    customer = Customer(demo)
    for number in range(20):
        customer.says(f"Line {number}\n\n\n")
    opened(alice, customer)
    expect(alice.locator("#thread")).to_contain_text("Line 19")
    alice.locator("#thread").evaluate("thread => thread.scrollTop = 0")
    customer.says("WAIT, please cancel it!")
    expect(alice.get_by_role("button", name="New messages")).to_be_visible(timeout=PATIENCE_MS)
    alice.locator("#header").get_by_role("button", name="Resolve").click()
    expect(alice.locator("#overtaken-news")).to_contain_text("WAIT, please cancel it!")


def test_sending_from_further_up_scrolls_to_the_sent_message(alice: Page, demo: Demo) -> None:
    """And has then seen what the customer wrote in between."""
    customer = Customer(demo)
    for number in range(20):
        customer.says(f"Line {number}\n\n\n")
    opened(alice, customer)
    expect(alice.locator("#thread")).to_contain_text("Line 19")
    stop_updates(alice)
    alice.locator("#thread").evaluate("thread => thread.scrollTop = 0")
    customer.says("WAIT, please cancel it!")
    alice.locator("label:has(input[name=mode][value=note])").click()
    alice.locator("#composer-text").fill("Called her.")
    alice.get_by_role("button", name="Add note").click()
    expect(alice.locator("#thread [data-kind=note]")).to_be_in_viewport()
    expect(alice.locator("#thread")).to_contain_text("WAIT, please cancel it!")
    expect(alice.get_by_role("button", name="New messages")).to_be_hidden()


def go_to(page: Page, customer: Customer) -> None:
    name = page.get_by_text(customer.name, exact=True)
    page.locator("a.conversation-row").filter(has=name).first.click()
    expect(page.locator("#view h1")).to_contain_text(customer.name, timeout=PATIENCE_MS)


@pytest.mark.parametrize("how", ["failed", "unanswered"])
def test_a_slow_request_of_one_conversation_does_not_delay_another(
    alice: Page, demo: Demo, how: str
) -> None:
    first, second = Customer(demo), Customer(demo)
    alice.goto("/inbox/?scope=all")
    go_to(alice, first)
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        if how == "failed":
            route.abort()

    alice.route(re.compile(r"/thread/"), answer)
    first.says("One more thing.")
    # The fifth try comes after twelve seconds; no answer is waited for for eight.
    wanted = 4 if how == "failed" else 1
    for _look in range(200):
        if len(asked) >= wanted:
            break
        alice.wait_for_timeout(100)
    assert len(asked) == wanted
    alice.unroute(re.compile(r"/thread/"))
    go_to(alice, second)
    alice.wait_for_timeout(700)
    second.says("Where is my parcel?")
    expect(alice.locator("#thread")).to_contain_text("Where is my parcel?", timeout=4000)


def test_a_reply_asks_for_three_things_at_most(alice: Page, demo: Demo) -> None:
    opened(alice, Customer(demo))
    expect(alice.locator("#panel")).to_be_visible(timeout=PATIENCE_MS)
    alice.wait_for_timeout(1500)
    asked: list[str] = []
    alice.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    alice.locator("#composer-text").fill("It left on Monday.")
    alice.get_by_role("button", name="Send reply").click()
    expect(alice.locator("#thread [data-kind=reply]")).to_have_count(1)
    alice.wait_for_timeout(2500)
    own = [line for line in asked if "/inbox/" in line and not line.endswith(("/draft/", ".svg"))]
    assert len(own) <= 3, own
