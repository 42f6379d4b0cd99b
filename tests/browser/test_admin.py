"""Admin pages in Chromium are accessible, fit the screen, and work with the keyboard.

First of the browser tests by its name; it saves nothing.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import gallery
from tests.browser.conftest import Watched, axe, log_in
from tests.browser.gallery import ADMIN_SCENES, VARIANTS, Variant
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# In every way to look; the other pages are made of the same parts.
CORE = {"admin-desk", "admin-doctor"}


def troubles_of(page: Page, name: str, variant: Variant) -> list[str]:
    found = [f"{name}: {line}" for line in axe(page)]
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > variant.width:
        found.append(f"{name}: {wide} px wide")
    return found


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_kind_of_admin_page_is_accessible_and_fits(
    browser: Browser, demo: Demo, variant: Variant
) -> None:
    troubles: list[str] = []
    with gallery.pages(browser, demo.url, variant) as page_of:
        for scene in ADMIN_SCENES:
            if not gallery.looks_at(scene, variant, CORE):
                continue
            page = page_of(scene.who)
            scene.go(page, variant)
            troubles += troubles_of(page, scene.name, variant)
    assert "\n".join(troubles) == ""


def test_every_changelist_and_change_form_is_accessible(browser: Browser, demo: Demo) -> None:
    """Whatever is registered: the front page's own links, and the first row of each list."""
    variant = VARIANTS[2]
    troubles: list[str] = []
    with gallery.pages(browser, demo.url, variant) as page_of:
        page = page_of("admin")
        page.goto("/admin/")
        links = page.locator(".desk-link").evaluate_all("links => links.map(a => a.pathname)")
        assert len(links) > 20
        for path in links:
            page.goto(path)
            troubles += troubles_of(page, path, variant)
            row = page.locator("#result_list tbody th a").first
            if row.count():
                page.goto(row.get_attribute("href") or "")
                troubles += troubles_of(page, f"{path} row", variant)
    assert "\n".join(troubles) == ""


def test_a_fault_of_the_admin_would_be_seen(browser: Browser, demo: Demo) -> None:
    """The negative control: an input loses its label, a page grows too wide."""
    variant = VARIANTS[2]
    with gallery.pages(browser, demo.url, variant) as page_of:
        page = page_of("admin")
        page.goto("/admin/orders/policy/add/")
        page.evaluate(
            "() => { document.querySelector('label[for=id_refund_up_to]').remove();"
            " document.querySelector('h1').style.minWidth = '700px'; }"
        )
        found = "\n".join(troubles_of(page, "policy", variant))
    assert "label: " in found
    assert "px wide" in found


def test_what_would_happen_if_answers_while_one_types(browser: Browser, demo: Demo) -> None:
    context = log_in(browser, demo, "admin", viewport={"width": 1440, "height": 900})
    watched = Watched(context.new_page())
    page = watched.page
    page.goto("/admin/orders/policy/")
    page.locator("#result_list tbody th a").first.click()
    ruling = page.locator("#what-if-ruling")
    page.get_by_label("Refund up to").fill("10")
    page.get_by_label("Amount", exact=True).fill("10")
    expect(ruling).to_contain_text("Allowed without approval")
    page.get_by_label("Amount", exact=True).fill("10.01")
    expect(ruling).to_contain_text("Needs approval by one other person")
    expect(ruling).to_contain_text("Sara")
    # What was typed above is still there, and nothing was saved.
    expect(page.get_by_label("Refund up to")).to_have_value("10")
    page.reload()
    expect(page.get_by_label("Refund up to")).not_to_have_value("10")
    assert watched.troubles == []
    context.close()


def test_the_tryout_works_without_javascript_by_button_and_keyboard(
    browser: Browser, demo: Demo
) -> None:
    context = log_in(browser, demo, "admin", java_script_enabled=False)
    page = context.new_page()
    page.goto("/admin/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text(re.compile("Skip to main content"))
    page.get_by_role("link", name=re.compile("^Policies")).click()
    page.locator("#result_list tbody th a").first.click()
    page.get_by_label("Refund up to").fill("10")
    page.get_by_label("Amount", exact=True).fill("10.01")
    page.get_by_label("Amount", exact=True).press("Enter")
    expect(page.locator("#what-if-ruling")).to_contain_text("Needs approval")
    expect(page.get_by_label("Refund up to")).to_have_value("10")
    context.close()
