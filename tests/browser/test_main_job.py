"""An agent's main job, in Chromium against the whole running demo."""

from __future__ import annotations

import re
import time
from typing import Literal

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.browser.conftest import axe, log_in
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 20_000


def open_conversation(page: Page, text: str) -> None:
    page.goto("/inbox/?scope=all")
    page.get_by_role("link").filter(has_text=text).first.click()
    expect(page.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)


def card(page: Page, name: str, store: str = "Demo Store") -> Locator:
    found = page.locator("details.order").filter(has_text=name).filter(has_text=store)
    found = found.first
    if found.get_attribute("open") is None:
        found.locator("summary").click()
    return found


def badges(order: Locator, *labels: str) -> None:
    for label in labels:
        expect(order.locator("summary .badges")).to_contain_text(label, timeout=PATIENCE_MS)


def test_alice_reads_an_order(alice: Page) -> None:
    open_conversation(alice, "The grinder of order #1050")
    order = card(alice, "#1050")
    badges(order, "Archived", "Paid", "Delivered")
    expect(order).to_contain_text(re.compile(r"Order ID\s*\d{13}"))
    link = order.get_by_role("link", name=re.compile("JD014600003")).first
    expect(link).to_have_attribute("href", re.compile("^https://www.dhl.de/"))
    expect(link).to_have_attribute("rel", re.compile("noopener"))


def test_only_tracked_parcels_have_links(alice: Page) -> None:
    open_conversation(alice, "#1060 part two")
    order = card(alice, "#1060")
    badges(order, "Out for delivery")
    expect(order).to_contain_text("LC-77-0001")
    assert order.get_by_role("link", name=re.compile("LC-77")).count() == 0
    expect(order).to_contain_text("Not shipped")


def test_alice_cancels_an_unpaid_order(alice: Page, demo: Demo) -> None:
    open_conversation(alice, "I never paid for #1031")
    order = card(alice, "#1031")
    badges(order, "Open", "Unpaid")
    assert order.get_by_role("button", name="Refund", exact=True).count() == 0
    order.get_by_role("button", name="Cancel order").click()
    dialog = alice.get_by_role("dialog")
    dialog.get_by_label("Customer changed or canceled order").check()
    assert axe(alice) == []
    dialog.get_by_role("button", name="Review").click()
    dialog.get_by_role("button", name="Cancel order", exact=True).click()
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Close").last.click()
    badges(card(alice, "#1031"), "Canceled", "Voided")
    ledger = demo.ledger()
    mine = [c for c in ledger["cancelations"] if c["order_name"] == "#1031"]
    assert len(mine) == 1
    assert [r for r in ledger["refunds"] if r["order_name"] == "#1031"] == []
    # Opened again, it is no news to a screen reader.
    alice.goto("/inbox/?scope=all&q=1031")
    alice.locator("a.conversation-row").first.click()
    expect(card(alice, "#1031")).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    alice.wait_for_timeout(300)
    expect(alice.locator("#live-region")).to_contain_text("Conversation with")


def test_alice_cancels_and_refunds_a_part_in_one_confirmation(alice: Page, demo: Demo) -> None:
    open_conversation(alice, "You may keep the mug")
    order = card(alice, "#1043")
    badges(order, "Open", "Paid", "Unfulfilled")
    order.get_by_role("button", name="Cancel order").click()
    dialog = alice.get_by_role("dialog")
    dialog.get_by_label("Customer changed or canceled order").check()
    dialog.get_by_label("Amount to refund").fill("100.00")
    dialog.get_by_role("button", name="Review").click()
    expect(dialog).to_contain_text("Stays with the shop")
    assert axe(alice) == []
    confirm = dialog.get_by_role("button", name="Cancel order and refund €100.00")
    confirm.dblclick()
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Close").last.click()
    badges(card(alice, "#1043"), "Canceled", "Partially refunded")
    refunds = [r for r in demo.ledger()["refunds"] if r["order_name"] == "#1043"]
    assert [r["amount"] for r in refunds] == ["100.0"]
    # The confirmation arrives in the conversation and by mail, once each.
    expect(alice.locator("#thread")).to_contain_text(
        "We are refunding €100.00", timeout=PATIENCE_MS
    )
    until = time.monotonic() + 20
    mails: list[str] = []
    while not mails and time.monotonic() < until:
        texts = [f.read_text() for f in (demo.folder / "demo" / "mail").iterdir()]
        mails = [t for t in texts if "#1043" in t and "€100.00" in t]
        time.sleep(0.2)
    assert len(mails) == 1


def test_alice_refunds_a_delivered_order_with_no_return_needed(alice: Page, demo: Demo) -> None:
    open_conversation(alice, "The grinder of order #1050")
    card(alice, "#1050").get_by_role("button", name="Refund", exact=True).click()
    dialog = alice.get_by_role("dialog")
    dialog.get_by_label("No return needed").check()
    dialog.get_by_label("Reason").select_option(label="Damaged on arrival")
    assert axe(alice) == []
    dialog.get_by_role("button", name="Review").click()
    dialog.get_by_role("button", name=re.compile(r"^Refund €")).click()
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Close").last.click()
    badges(card(alice, "#1050"), "Refunded")
    refunds = [r for r in demo.ledger()["refunds"] if r["order_name"] == "#1050"]
    assert len(refunds) == 1


def test_a_change_on_the_shops_side_appears_without_reload(alice: Page, demo: Demo) -> None:
    open_conversation(alice, "Can I still cancel #1085?")
    order = card(alice, "#1085")
    badges(order, "Arriving on")
    demo.staff("#1085", "out")
    badges(order, "Out for delivery")
    demo.staff("#1085", "deliver")
    badges(order, "Delivered")


def test_another_agents_conversation_says_why_not(alice: Page) -> None:
    open_conversation(alice, "May I have my money now?")
    order = card(alice, "#1090")
    button = order.get_by_role("button", name="Refund", exact=True)
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(order).to_contain_text("Assign this to yourself to act")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_accessible(
    browser: Browser, demo: Demo, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = log_in(
        browser,
        demo,
        "sara",
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto("/inbox/?scope=all")
    assert axe(page) == []
    page.get_by_role("link").filter(has_text="#1080").first.click()
    page.wait_for_url("**/conversations/**")
    address = page.url.split("#")[0]
    page.goto("about:blank")
    page.goto(f"{address}#orders")
    expect(page.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)
    assert axe(page) == []
    card(page, "#1080").get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Review")).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    page.goto(page.url.split("#")[0])
    page.locator("#header h2 a").click()
    page.wait_for_url("**/contacts/**")
    assert axe(page) == []
    width_of_page = page.evaluate("document.documentElement.scrollWidth")
    assert width_of_page <= width
    context.close()
    fresh = browser.new_context(base_url=demo.url, color_scheme=scheme)
    login = fresh.new_page()
    login.goto("/login/")
    assert axe(login) == []
    fresh.close()


def test_names_with_markup_are_text(alice: Page, demo: Demo) -> None:
    text = "<script>alert('hi')</script> is what your form made of my name"
    demo.say(text, name="<b>Robert</b>", email="robert@example.us")
    opened: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        opened.append(dialog.message)
        dialog.dismiss()

    alice.on("dialog", dismiss)
    alice.goto("/inbox/?scope=all")
    alice.get_by_role("link").filter(has_text="<b>Robert</b>").first.click()
    expect(alice.locator("#thread")).to_contain_text("<script>alert('hi')</script>")
    assert opened == []


def test_a_pressed_button_does_not_become_another_one(alice: Page) -> None:
    """Morphing once gave the pressed Assign button the form of Resolve."""
    # By its number: what was written there last may be another test's.
    alice.goto("/inbox/?scope=all&q=1075")
    alice.locator("a.conversation-row").first.click()
    alice.get_by_role("button", name="Assign to me").click()
    expect(alice.get_by_role("button", name="Resolve")).to_be_visible(timeout=PATIENCE_MS)
    expect(alice.get_by_role("button", name="Assign to me")).to_have_count(0)
    expect(alice.locator("#header .assignee")).to_contain_text("Alice")
