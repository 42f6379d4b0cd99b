"""Triple clicks, two tabs, an expired session, a closed tab: still one action."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Held, Watched, axe, log_in
from tests.browser.test_main_job import PATIENCE_MS
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def sara(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A supervisor may act on every conversation."""
    context = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    watched = Watched(context.new_page())
    yield watched.page
    context.close()
    assert watched.troubles == []


def review(page: Page, amount: str) -> Locator:
    """Sofia's first refundable order, up to the summary; the confirming button."""
    page.goto("/inbox/?scope=all&q=Sofia")
    page.locator("a.conversation-row").first.click()
    page.get_by_role("button", name="Refund", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount only").check()
    dialog.get_by_label("Amount to refund").fill(amount)
    dialog.get_by_label("Reason").select_option(label="Goodwill")
    dialog.get_by_role("button", name="Review").click()
    button = dialog.get_by_role("button", name=f"Refund €{amount}")
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    return button


def refunds_of(demo: Demo, amount: str, *, at_least: int = 1) -> int:
    """How many refunds of that sum the shop has made, once it had the time to."""
    wire = amount.rstrip("0")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = sum(r["amount"] == wire for r in demo.ledger()["refunds"])
        if found >= at_least:
            break
        time.sleep(0.2)
    # A second one would be there soon after the first.
    time.sleep(1)
    return sum(r["amount"] == wire for r in demo.ledger()["refunds"])


def test_clicking_refund_three_times_refunds_once(sara: Page, demo: Demo) -> None:
    review(sara, "0.11").click(click_count=3)
    assert refunds_of(demo, "0.11") == 1


def test_the_same_summary_in_two_tabs_is_one_refund(sara: Page, demo: Demo) -> None:
    first = review(sara, "0.12")
    other = sara.context.new_page()
    second = review(other, "0.12")
    first.click()
    expect(sara.get_by_role("dialog")).to_contain_text("done by Sara", timeout=PATIENCE_MS)
    second.click()
    expect(other.get_by_role("dialog")).to_contain_text(
        re.compile("The order has changed|already started|Nothing was sent"), timeout=PATIENCE_MS
    )
    assert refunds_of(demo, "0.12") == 1


def test_a_session_that_ends_in_the_dialog_sends_nothing(sara: Page, demo: Demo) -> None:
    confirm = review(sara, "0.13")
    held = Held(sara, r"/confirm/$")
    confirm.click()
    held.wait()
    # Not before the click: any refresh of the page would be told so first.
    sara.context.clear_cookies(name="sessionid")
    held.routes[0].continue_()
    log_in = sara.get_by_role("dialog", name="Your session has ended")
    expect(log_in).to_be_visible(timeout=PATIENCE_MS)
    assert refunds_of(demo, "0.13", at_least=0) == 0
    log_in.get_by_label("Username").fill("sara")
    log_in.get_by_label("Password").fill("demo")
    log_in.get_by_role("button", name="Log in").click()
    expect(log_in).to_be_hidden(timeout=PATIENCE_MS)
    # Money is never sent again by itself.
    assert refunds_of(demo, "0.13", at_least=0) == 0
    expect(sara.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)


def test_a_closed_tab_does_not_stop_it(sara: Page, demo: Demo) -> None:
    confirm = review(sara, "0.14")
    with sara.expect_response(lambda answer: "/confirm/" in answer.url):
        confirm.click()
    sara.close()
    assert refunds_of(demo, "0.14") == 1


@pytest.mark.parametrize(("width", "amount"), [(1440, "0.15"), (390, "0.16")])
def test_an_agent_asks_and_a_supervisor_approves(
    browser: Browser, demo: Demo, alice: Page, sara: Page, width: int, amount: str
) -> None:
    admin = log_in(browser, demo, "admin", viewport=WIDE)
    _limit(admin.new_page(), "0.05")
    alice.goto("/inbox/?scope=all&q=Sofia")
    alice.locator("a.conversation-row").first.click()
    expect(alice.locator("#header")).to_be_visible()
    if alice.get_by_role("button", name="Assign to me").count():
        alice.get_by_role("button", name="Assign to me").click()
        expect(alice.get_by_role("button", name="Assign to me")).to_have_count(0)
    alice.reload()
    alice.get_by_role("button", name="Refund", exact=True).first.click()
    dialog = alice.get_by_role("dialog")
    dialog.get_by_label("Amount only").check()
    dialog.get_by_label("Amount to refund").fill(amount)
    dialog.get_by_label("Reason").select_option(label="Goodwill")
    dialog.get_by_role("button", name="Review").click()
    expect(dialog).to_contain_text("Above your limit")
    assert axe(alice) == []
    dialog.get_by_role("button", name=f"Ask for approval: Refund €{amount}").click()
    expect(dialog).to_contain_text("waiting for approval", timeout=PATIENCE_MS)
    for page, text in ((alice, "Someone else has to approve"), (sara, f"Refund €{amount}")):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/inbox/decisions/")
        page.locator(".request-row").filter(has_text=f"€{amount}").first.click()
        expect(page.locator("#request")).to_contain_text(text)
        assert axe(page) == []
    sara.get_by_role("button", name=re.compile("^Approve")).first.click()
    expect(sara.get_by_role("alert")).to_contain_text("Approved")
    assert refunds_of(demo, amount) == 1
    _limit(admin.pages[0], "250")
    admin.close()


def _limit(page: Page, amount: str) -> None:
    """The administrator changes what agents may refund."""
    page.goto("/admin/orders/policy/")
    page.get_by_role("link", name="agents").first.click()
    page.get_by_label("Refund up to").fill(amount)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/orders/policy/")
