"""Responses that arrive after the agent has moved on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Held, log_in
from tests.browser.gallery import PATIENCE_MS
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Sara's, where failures are intended: the console isn't checked."""
    context = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    found = context.new_page()
    found.goto("/inbox/?scope=all")
    yield found
    context.close()


def go_to(page: Page, name: str) -> None:
    """Without a pointer that would fetch ahead."""
    page.locator("a.conversation-row").filter(has_text=name).first.evaluate("row => row.click()")


def shown(page: Page, name: str) -> None:
    expect(page.locator("#view h1")).to_have_text(
        re.compile(f"Conversation with {name}"), timeout=PATIENCE_MS
    )


def names(page: Page) -> tuple[str, str]:
    """A customer with refundable orders, and another customer."""
    every = page.locator(".conversation-name").all_inner_texts()
    return "Sofia", next(name.split()[0] for name in every if "Sofia" not in name)


def ask_for(page: Page, number: int) -> None:
    """Press one of the panel's links that open a dialog."""
    page.locator("#panel [data-act][hx-get]").nth(number).evaluate("link => link.click()")


def test_a_dialog_that_was_asked_for_does_not_open_in_the_next_conversation(page: Page) -> None:
    sofia, other = names(page)
    go_to(page, sofia)
    expect(page.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)
    held = Held(page, r"/(refund|cancel)/$")
    ask_for(page, 0)
    held.wait()
    go_to(page, other)
    shown(page, other)
    held.routes[0].continue_()
    page.wait_for_timeout(1500)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_dialog_that_fails_after_it_was_closed_leaves_the_next_one_open(page: Page) -> None:
    go_to(page, "Sofia")
    expect(page.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)
    held = Held(page, r"/(refund|cancel)/$", how_many=2)
    for number in (0, 1):
        ask_for(page, number)
        held.wait(number + 1)
        expect(page.get_by_role("dialog")).to_be_visible()
        if not number:
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
    held.routes[0].fulfill(status=500)
    page.wait_for_timeout(300)
    expect(page.get_by_role("dialog")).to_be_visible()
    held.routes[1].continue_()
    expect(page.get_by_role("dialog").locator("form").first).to_be_visible(timeout=PATIENCE_MS)


def test_a_conversation_that_cannot_be_opened_does_not_take_the_one_that_was_opened_since(
    page: Page,
) -> None:
    sofia, other = names(page)
    row = page.locator("a.conversation-row").filter(has_text=sofia).first
    held = Held(page, re.escape(str(row.get_attribute("href"))) + "$")
    go_to(page, sofia)
    held.wait()
    go_to(page, other)
    shown(page, other)
    held.routes[0].abort()
    page.wait_for_timeout(1500)
    shown(page, other)


def test_a_reply_that_was_sent_does_not_come_back_as_a_draft(page: Page) -> None:
    sofia, other = names(page)
    go_to(page, sofia)
    shown(page, sofia)
    page.locator("#composer-text").fill("It left on Monday.")
    held = Held(page, r"/reply/$")
    page.get_by_role("button", name="Send reply").click()
    held.wait()
    go_to(page, other)
    shown(page, other)
    with page.expect_response(re.compile(r"/reply/$")):
        held.routes[0].continue_()
    page.wait_for_timeout(300)
    go_to(page, sofia)
    shown(page, sofia)
    expect(page.locator(".thread-inner")).to_contain_text("It left on Monday.")
    expect(page.locator("#composer-text")).to_have_value("")


def test_an_answer_that_comes_late_leaves_the_next_conversations_address(page: Page) -> None:
    """It was written on a page of the past, whose address its answer replaces."""
    sofia, other = names(page)
    go_to(page, sofia)
    shown(page, sofia)
    last = page.locator("#thread .message").last.get_attribute("id")
    assert last
    page.goto(f"{page.url.partition('#')[0]}?before={last.removeprefix('message-')}")
    shown(page, sofia)
    page.locator("#composer-text").fill("It left on Tuesday.")
    held = Held(page, r"/reply/$")
    page.get_by_role("button", name="Send reply").click()
    held.wait()
    go_to(page, other)
    shown(page, other)
    here = page.url
    with page.expect_response(re.compile(r"/reply/$")) as answer:
        held.routes[0].continue_()
    assert "hx-replace-url" in answer.value.headers
    page.wait_for_timeout(300)
    assert page.url == here
    shown(page, other)


@pytest.mark.parametrize("order", [("dialog", "log-in"), ("log-in", "dialog")])
def test_an_error_is_shown_in_the_topmost_dialog(page: Page, order: tuple[str, str]) -> None:
    place = "() => document.getElementById('toasts').parentElement.id"
    for name in order:
        page.evaluate("name => document.getElementById(name).showModal()", name)
    page.evaluate("document.dispatchEvent(new CustomEvent('inbox:toast', {detail: 'Oh no'}))")
    assert page.evaluate(place) == order[1]
    for name, under in ((order[1], order[0]), (order[0], "")):
        page.evaluate("name => document.getElementById(name).close()", name)
        page.wait_for_function(f"({place})() === '{under}'")
    expect(page.get_by_text("Oh no")).to_be_visible()


def test_what_is_typed_while_the_note_before_is_on_its_way_stays(page: Page) -> None:
    _sofia, other = names(page)
    go_to(page, other)
    shown(page, other)
    box = page.locator("#composer-text")
    page.locator(".composer [value=note]").check(force=True)
    box.fill("She called.")
    held = Held(page, r"/note/$")
    page.get_by_role("button", name="Add note").click()
    held.wait()
    box.press_sequentially(" And once more")
    held.routes[0].continue_()
    expect(page.locator("#thread")).to_contain_text("She called.", timeout=PATIENCE_MS)
    expect(box).to_have_value("And once more")
    box.fill("")


def test_an_agent_who_moved_on_is_told_that_their_reply_was_refused(page: Page) -> None:
    sofia, other = names(page)
    go_to(page, sofia)
    shown(page, sofia)
    page.locator("#composer-text").fill("It left on Tuesday.")
    held = Held(page, r"/reply/$")
    page.get_by_role("button", name="Send reply").click()
    held.wait()
    go_to(page, other)
    shown(page, other)
    held.routes[0].fulfill(status=409, body="")
    expect(page.locator("#toasts")).to_contain_text("A message was not sent.")
    go_to(page, sofia)
    shown(page, sofia)
    expect(page.locator("#composer-text")).to_have_value("It left on Tuesday.")
