"""What an agent writes survives navigation, reloads, crashes, logins and the session's end."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Held, log_in
from tests.browser.gallery import PATIENCE_MS
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def context(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    found = log_in(browser, demo, "bob", viewport=WIDE, reduced_motion="reduce")
    clear(demo)
    yield found
    # A page that is closed saves once more.
    found.close()
    clear(demo)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    found = context.new_page()
    found.goto("/inbox/?scope=all")
    return found


def database(demo: Demo, sql: str, *values: Any) -> list[Any]:
    """A look, or a change, beside the running server."""
    file = next(demo.folder.rglob("*.sqlite3"))
    with sqlite3.connect(file, timeout=20) as connected:
        return connected.execute(sql, values).fetchall()


def clear(demo: Demo) -> None:
    database(demo, "DELETE FROM inbox_draft")


def end_sessions(demo: Demo) -> None:
    database(demo, "DELETE FROM django_session")


def draft_of(demo: Demo, name: str = "bob") -> list[tuple[str, str]]:
    return database(
        demo,
        "SELECT mode, text FROM inbox_draft JOIN auth_user ON auth_user.id = user_id "
        "WHERE username = ? AND text != ''",
        name,
    )


def saved(page: Page, demo: Demo, mode: str, text: str, name: str = "bob") -> None:
    for _ in range(100):
        if (mode, text) in draft_of(demo, name):
            return
        page.wait_for_timeout(100)
    raise AssertionError(draft_of(demo, name))


def written(demo: Demo, text: str) -> int:
    rows = database(demo, "SELECT count(*) FROM inbox_message WHERE text = ?", text)
    return int(rows[0][0])


def go_to(page: Page, name: str) -> None:
    page.locator("a.conversation-row").filter(has_text=name).first.evaluate("row => row.click()")
    expect(page.locator("#view h1")).to_have_text(
        re.compile(f"Conversation with {name}"), timeout=PATIENCE_MS
    )


# Two customers without orders, in whose conversations no other test writes or looks.
TWO = ("Chloé", "Maximilian-Alexander")


def write_note(page: Page, text: str) -> None:
    page.locator(".composer [value=note]").check(force=True)
    page.locator("#composer-text").press_sequentially(text)


def is_note(page: Page, text: str) -> None:
    expect(page.locator("#composer-text")).to_have_value(text, timeout=PATIENCE_MS)
    expect(page.locator(".composer [value=note]")).to_be_checked()
    expect(page.locator(".composer button.for-note")).to_be_visible()
    expect(page.locator(".composer button.for-reply")).to_be_hidden()


def test_a_note_draft_stays_a_note_after_navigating_away(
    page: Page, context: BrowserContext, browser: Browser, demo: Demo
) -> None:
    first, second = TWO
    go_to(page, first)
    address = page.url
    write_note(page, "He is a reseller")
    # At once, before anything was saved.
    go_to(page, second)
    expect(page.locator("#composer-text")).to_have_value("")
    expect(page.locator(".composer [value=reply]")).to_be_checked()
    go_to(page, first)
    is_note(page, "He is a reseller")
    page.go_back()
    expect(page.locator("#view h1")).to_have_text(re.compile(second), timeout=PATIENCE_MS)
    page.go_forward()
    expect(page.locator("#view h1")).to_have_text(re.compile(first), timeout=PATIENCE_MS)
    is_note(page, "He is a reseller")
    page.locator("#composer-text").press_sequentially("!")
    page.reload()
    is_note(page, "He is a reseller!")
    # The only thing the browser holds is what the server does not have yet.
    saved(page, demo, "note", "He is a reseller!")
    page.wait_for_function(
        "() => !Object.keys(localStorage).some((key) => key.startsWith('draft'))"
    )
    row = page.locator("a.conversation-row").filter(has_text=first).first
    expect(row.locator(".draft-mark")).to_be_visible()
    # The crash: a browser that has nothing left, on another computer.
    context.close()
    fresh = log_in(browser, demo, "bob", viewport=WIDE)
    page = fresh.new_page()
    page.goto(address)
    is_note(page, "He is a reseller!")
    page.locator("#composer-text").press("Control+Enter")
    expect(page.locator("#thread [data-kind=note]").last).to_contain_text(
        "He is a reseller!", timeout=PATIENCE_MS
    )
    expect(page.locator("#composer-text")).to_have_value("")
    assert draft_of(demo) == []
    fresh.close()


def test_a_draft_survives_a_crash_before_its_first_save(
    page: Page, context: BrowserContext, demo: Demo
) -> None:
    first, _second = TWO
    page.route(re.compile("/draft/$"), lambda route: route.abort())
    go_to(page, first)
    address = page.url
    write_note(page, "Not saved anywhere else")
    assert draft_of(demo) == []
    # Its process dies: no pagehide, no last request.
    other = context.new_page()
    page.close(run_before_unload=False)
    other.goto(address)
    is_note(other, "Not saved anywhere else")
    saved(other, demo, "note", "Not saved anywhere else")


def test_another_agent_on_the_same_browser_sees_nothing_of_it(
    page: Page, context: BrowserContext, demo: Demo
) -> None:
    first, _second = TWO
    page.route(re.compile("/draft/$"), lambda route: route.abort())
    go_to(page, first)
    address = page.url
    write_note(page, "Only for Bob")
    page.unroute_all()
    page.goto("about:blank")
    page.goto("/inbox/")
    page.locator(".user-summary").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Username").fill("sara")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/inbox/**")
    page.goto(address)
    expect(page.locator("#composer-text")).to_have_value("")
    page.locator(".user-summary").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/inbox/**")
    page.goto(address)
    is_note(page, "Only for Bob")


def log_in_again(page: Page, name: str = "bob") -> None:
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog.get_by_label("Password")).to_be_visible(timeout=PATIENCE_MS)
    dialog.get_by_label("Username").fill(name)
    dialog.get_by_label("Password").fill("demo")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)


def test_the_session_ends_while_a_reply_is_written_and_send_still_sends_it(
    page: Page, demo: Demo
) -> None:
    first, _second = TWO
    before = written(demo, "It is on its way to you")
    go_to(page, first)
    box = page.locator("#composer-text")
    box.press_sequentially("It is on ")
    saved(page, demo, "reply", "It is on ")
    end_sessions(demo)
    box.press_sequentially("its way")
    # Said without taking the focus from the middle of a word.
    expect(page.locator("#session-bar")).to_contain_text(
        "Your session has ended", timeout=PATIENCE_MS
    )
    expect(box).to_be_focused()
    box.press_sequentially(" to you")
    page.get_by_role("button", name="Send reply").click()
    log_in_again(page)
    expect(page.locator("#thread")).to_contain_text("It is on its way to you", timeout=PATIENCE_MS)
    expect(box).to_have_value("")
    expect(page.locator("#session-bar .toast")).to_be_hidden()
    assert written(demo, "It is on its way to you") == before + 1
    assert draft_of(demo) == []


def test_the_log_in_that_is_put_off_sends_nothing_and_keeps_the_words(
    page: Page, demo: Demo
) -> None:
    first, second = TWO
    go_to(page, first)
    write_note(page, "Later")
    saved(page, demo, "note", "Later")
    end_sessions(demo)
    page.get_by_role("button", name="Add note").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog.get_by_label("Password")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    is_note(page, "Later")
    # Going on needs the login as well, and then it goes on.
    page.locator("a.conversation-row").filter(has_text=second).first.evaluate("row => row.click()")
    log_in_again(page)
    expect(page.locator("#view h1")).to_have_text(
        re.compile(f"Conversation with {second}"), timeout=PATIENCE_MS
    )
    assert written(demo, "Later") == 0
    go_to(page, first)
    is_note(page, "Later")


def test_another_agent_who_logs_in_gets_their_own_page(page: Page, demo: Demo) -> None:
    first, _second = TWO
    go_to(page, first)
    page.locator("#composer-text").press_sequentially("Written by Bob")
    saved(page, demo, "reply", "Written by Bob")
    end_sessions(demo)
    page.get_by_role("button", name="Send reply").click()
    log_in_again(page, "sara")
    expect(page.locator(".user-name")).to_have_text(re.compile("Sara"), timeout=PATIENCE_MS)
    expect(page.locator("#composer-text")).to_have_value("")
    assert database(demo, "SELECT count(*) FROM inbox_message WHERE text = 'Written by Bob'") == [
        (0,)
    ]
    assert draft_of(demo) == [("reply", "Written by Bob")]
    assert draft_of(demo, "sara") == []


def test_a_tab_that_was_open_before_goes_on_after_a_log_in_in_another(
    page: Page, context: BrowserContext, demo: Demo
) -> None:
    first, second = TWO
    go_to(page, first)
    page.locator("#composer-text").press_sequentially("From the old tab")
    end_sessions(demo)
    other = context.new_page()
    other.goto("/login/")
    other.get_by_label("Username").fill("bob")
    other.get_by_label("Password").fill("demo")
    other.get_by_role("button", name="Log in").click()
    other.wait_for_url("**/inbox/**")
    other.close()
    page.get_by_role("button", name="Send reply").click()
    expect(page.locator("#thread")).to_contain_text("From the old tab", timeout=PATIENCE_MS)
    go_to(page, second)


def test_two_tabs_of_one_conversation_show_one_text(
    page: Page, context: BrowserContext, demo: Demo
) -> None:
    first, _second = TWO
    go_to(page, first)
    other = context.new_page()
    other.goto(page.url)
    write_note(page, "In both")
    is_note(other, "In both")
    other.locator("#composer-text").press_sequentially(" of them")
    expect(page.locator("#composer-text")).to_have_value("In both of them")
    other.get_by_role("button", name="Add note").click()
    expect(other.locator("#thread")).to_contain_text("In both of them", timeout=PATIENCE_MS)
    expect(page.locator("#composer-text")).to_have_value("", timeout=PATIENCE_MS)
    assert draft_of(demo) == []


def test_going_back_and_forth_at_once_ends_where_the_address_says(page: Page) -> None:
    first, second = TWO
    go_to(page, first)
    go_to(page, second)
    held = Held(page, r"/conversations/\d+/$")
    page.evaluate("history.back()")
    held.wait()
    page.evaluate("history.forward()")
    page.wait_for_timeout(300)
    held.routes[0].continue_()
    page.wait_for_timeout(1000)
    expect(page.locator("#view h1")).to_have_text(re.compile(f"Conversation with {second}"))
    shown = page.locator("#view").get_attribute("data-conversation")
    assert page.url.endswith(f"/{shown}/")


def test_words_from_another_computer_are_shown_beside_those_of_this_one(
    page: Page, browser: Browser, demo: Demo
) -> None:
    first, _second = TWO
    go_to(page, first)
    home = log_in(browser, demo, "bob", viewport=WIDE)
    there = home.new_page()
    there.goto(page.url)
    write_note(there, "Written at home")
    saved(page, demo, "note", "Written at home")
    page.locator("#composer-text").press_sequentially("Written here")
    place = page.locator("[data-other]")
    expect(place).to_contain_text("Written at home", timeout=PATIENCE_MS)
    expect(page.locator("#composer-text")).to_have_value("Written here")
    place.get_by_role("button", name="Insert it").click()
    # With a part that was a note, the whole is one.
    is_note(page, "Written here\n\nWritten at home")
    saved(page, demo, "note", "Written here\n\nWritten at home")
    home.close()


def test_a_note_typed_while_the_one_before_is_on_its_way_stays_a_note(
    page: Page, demo: Demo
) -> None:
    first, _second = TWO
    go_to(page, first)
    write_note(page, "She called.")
    held = Held(page, r"/note/$")
    page.get_by_role("button", name="Add note").click()
    held.wait()
    page.locator("#composer-text").press_sequentially(" And again")
    held.routes[0].continue_()
    expect(page.locator("#thread")).to_contain_text("She called.", timeout=PATIENCE_MS)
    is_note(page, "And again")
    saved(page, demo, "note", "And again")


@pytest.mark.parametrize(("status", "reason"), [(422, " It is too long."), (403, ""), (404, "")])
def test_words_that_the_server_does_not_take_stay_here_and_that_is_said(
    page: Page, demo: Demo, status: int, reason: str
) -> None:
    first, _second = TWO
    go_to(page, first)
    address, body = re.compile(r"/draft/$"), '{"problem": "It is too long."}'
    page.route(
        address,
        lambda route: route.fulfill(status=status, content_type="application/json", body=body),
    )
    box, unsaved = page.locator("#composer-text"), page.locator("[data-unsaved]")
    box.press_sequentially("Dear Sofia")
    expect(unsaved).to_have_text(
        f"Not saved. What you’ve written is kept in this browser only.{reason}"
    )
    # This session has not ended, whatever a refusal may mean elsewhere.
    expect(page.locator("[data-log-in]")).to_be_hidden()
    page.reload()
    expect(box).to_have_value("Dear Sofia")
    page.unroute(address)
    box.press_sequentially(", hello")
    saved(page, demo, "reply", "Dear Sofia, hello")
    expect(unsaved).to_be_empty()


def test_a_lost_answer_is_found_out_by_the_next_save(page: Page, demo: Demo) -> None:
    first, _second = TWO
    before = written(demo, "Only once")
    go_to(page, first)
    box = page.locator("#composer-text")
    box.press_sequentially("Only once")

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route(re.compile(r"/reply/$"), lose, times=1)
    page.get_by_role("button", name="Send reply").click()
    # It was sent, so it is no draft, and it leaves the field.
    expect(box).to_have_value("", timeout=PATIENCE_MS)
    assert draft_of(demo) == []
    assert written(demo, "Only once") == before + 1
