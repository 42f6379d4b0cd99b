"""An order that nobody wrote about, in Chromium: found, refunded, and written to first."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser.conftest import axe
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE_MS = 20_000
# Paid, of a customer who has no conversation.
QUIET = "#1298"
NARROW: ViewportSize = {"width": 390, "height": 844}


def find(page: Page, name: str) -> Locator:
    page.goto("/inbox/orders/")
    page.get_by_role("searchbox").fill(name)
    page.get_by_role("button", name="Find", exact=True).click()
    # Not the link of the recent search, which says the same.
    page.locator("a.found-name").filter(has_text=name).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name, timeout=PATIENCE_MS)
    return page.locator("#order-page")


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_alice_refunds_an_order_nobody_wrote_about(alice: Page, demo: Demo) -> None:
    order = find(alice, QUIET)
    expect(order).to_contain_text("This customer hasn’t written yet.")
    assert axe(alice) == []
    order.get_by_role("button", name="Refund", exact=True).click()
    dialog = alice.get_by_role("dialog")
    dialog.locator("[name=mode][value=amount]").check()
    dialog.locator("#refund-amount").fill("5.00")
    dialog.locator("#refund-reason").select_option("goodwill")
    dialog.get_by_role("button", name="Review").click()
    dialog.get_by_role("button", name=re.compile(r"^Refund \S*5\.00")).click()
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Close").last.click()
    # The page follows by itself.
    expect(order.locator(".order-head")).to_contain_text("Partially refunded", timeout=PATIENCE_MS)
    expect(order).to_contain_text("Alice · on the order’s page", timeout=PATIENCE_MS)
    refunds = [r for r in demo.ledger()["refunds"] if r["order_name"] == QUIET]
    assert [r["amount"] for r in refunds] == ["5.0"]
    alice.set_viewport_size(NARROW)
    assert not is_too_wide(alice)
    assert axe(alice) == []


def test_alice_writes_first(alice: Page) -> None:
    order = find(alice, QUIET)
    order.get_by_role("button", name="Start a conversation").click()
    expect(alice.locator("#thread")).to_contain_text("Nothing has been sent yet.")
    expect(alice.locator("#panel .order").first).to_contain_text(QUIET, timeout=PATIENCE_MS)
    alice.get_by_role("textbox", name="Message", exact=True).fill("Your parcel is on its way.")
    alice.get_by_role("button", name="Send reply").click()
    expect(alice.locator("#thread .message")).to_contain_text("Your parcel is on its way.")
    expect(find(alice, QUIET)).to_contain_text(f"Your order {QUIET}")
