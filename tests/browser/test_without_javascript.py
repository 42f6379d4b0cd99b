"""Without JavaScript everything works except live updates, and the page says so.

After the other browser tests by its name: it changes orders that their pictures show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import log_in
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def sara(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A supervisor, whose browser runs no script; she has just logged in."""
    context = log_in(
        browser, demo, "sara", viewport={"width": 1440, "height": 900}, java_script_enabled=False
    )
    yield context.new_page()
    context.close()


def opened(page: Page, words: str) -> str:
    """The first conversation found; its address."""
    page.goto(f"/inbox/?scope=all&q={words}")
    page.locator("a.conversation-row").first.click()
    page.wait_for_url("**/conversations/**")
    return page.url


def done(page: Page) -> None:
    """The result, which tells nothing new until it is looked at again."""
    page.wait_for_url("**/actions/**")
    for _ in range(60):
        if page.get_by_text("done by Sara").count():
            return
        page.wait_for_timeout(500)
        page.reload()
    pytest.fail("the action did not end")


def test_the_page_says_what_is_missing(sara: Page) -> None:
    sara.goto("/inbox/?scope=all")
    expect(sara.get_by_text("pages don’t update on their own")).to_be_visible()


def test_the_list_is_filtered_and_searched(sara: Page) -> None:
    sara.goto("/inbox/")
    sara.get_by_role("link", name="All", exact=True).click()
    sara.get_by_role("link", name="Snoozed").click()
    expect(sara.get_by_role("heading", name="All done here")).to_be_visible()
    sara.get_by_role("link", name="Open", exact=True).click()
    sara.get_by_label("Search conversations").fill("Oliver")
    sara.get_by_label("Search conversations").press("Enter")
    expect(sara.locator("a.conversation-row")).to_have_count(1)


def test_a_conversation_is_answered_noted_and_assigned(sara: Page) -> None:
    opened(sara, "Oliver")
    sara.locator("#composer-text").fill("Thank you for waiting, Oliver.")
    sara.get_by_role("button", name="Send reply").click()
    expect(sara.locator("#thread")).to_contain_text("Thank you for waiting, Oliver.")
    sara.locator(".composer [value=note]").check(force=True)
    sara.locator("#composer-text").fill("Waits for the bank.")
    sara.get_by_role("button", name="Add note").click()
    expect(sara.locator("#thread [data-kind=note]").last).to_contain_text("Waits for the bank.")
    sara.locator("#assign-menu > summary").click()
    sara.locator("#assign-menu").get_by_role("button", name="Bob Sommer").click()
    expect(sara.locator("#assign-menu > summary")).to_contain_text("Bob")


def test_orders_are_opened_filtered_and_found(sara: Page) -> None:
    opened(sara, "1031")
    card_id = sara.locator(".order:not([open])").first.get_attribute("id")
    closed = sara.locator(f"#{card_id}")
    closed.locator("summary").first.click()
    closed.get_by_role("link", name="Show the details").click()
    sara.wait_for_url("**/orders/**")
    expect(sara.locator("#panel .order").nth(1).locator(".line").first).to_be_attached()
    sara.get_by_role("link", name="Needs attention").click()
    sara.wait_for_url("**/orders/?show=attention")
    sara.get_by_role("link", name="Back to the conversation").click()
    sara.get_by_label("Find any order").fill("1060")
    sara.get_by_label("Find any order").press("Enter")
    sara.wait_for_url("**/inbox/orders/?q=1060")
    expect(sara.locator(".found-order").first).to_contain_text("Tom Becker")


def test_an_order_is_canceled(sara: Page, demo: Demo) -> None:
    address = opened(sara, "1065")
    sara.locator(".order[open] [data-act=cancel]").first.click()
    sara.wait_for_url("**/cancel/")
    # Without a reason it is asked again, with the mistake named.
    sara.get_by_role("button", name="Review").click()
    expect(sara.locator(".field-error").first).to_be_visible()
    sara.get_by_label("Customer changed or canceled order").check()
    sara.get_by_role("button", name="Review").click()
    expect(sara.get_by_role("heading", name="Review the cancellation of #1065")).to_be_visible()
    sara.get_by_role("button", name=re.compile("^Cancel order and refund")).click()
    done(sara)
    sara.get_by_role("button", name="Close").last.click()
    assert sara.url == address
    expect(sara.locator(".order[open] > summary .badges")).to_contain_text("Canceled")
    expect(sara.locator(".order[open] > summary .badges")).to_contain_text("Refunded")
    assert [c["order_name"] for c in demo.ledger()["cancelations"]].count("#1065") == 1


def test_the_whole_path_works_without_javascript(sara: Page, demo: Demo) -> None:
    address = opened(sara, "Sofia")
    sara.locator(".order[open] [data-act=refund]").first.click()
    sara.wait_for_url("**/refund/")
    expect(sara.get_by_label("Amount to refund")).to_be_hidden()
    sara.get_by_label("Amount only").check()
    expect(sara.get_by_label("Quantity of").first).to_be_hidden()
    sara.get_by_label("Reason").select_option(label="Goodwill")
    sara.get_by_label("Amount to refund").fill("0.18")
    sara.get_by_role("button", name="Review").click()
    expect(
        sara.get_by_text("No items are marked as refunded, and stock stays the same")
    ).to_be_visible()
    sara.get_by_role("button", name="Refund €0.18").click()
    done(sara)
    assert sum(r["amount"] == "0.18" for r in demo.ledger()["refunds"]) == 1
    sara.goto(address)
    expect(sara.locator(".order[open] > summary .badges")).to_contain_text("Partially refunded")


def test_contact_decisions_and_history_are_pages(sara: Page) -> None:
    opened(sara, "1060")
    sara.get_by_role("button", name="Order history").first.click()
    expect(sara.get_by_role("heading", name="History of #1060")).to_be_visible()
    sara.go_back()
    sara.locator("#header h2 a").click()
    expect(sara.get_by_role("heading", name="Tom Becker")).to_be_visible()
    expect(sara.get_by_role("heading", name="Activity")).to_be_visible()
    sara.get_by_role("link", name="Decisions").click()
    expect(sara.get_by_role("heading", name="Refunds due")).to_be_visible()
