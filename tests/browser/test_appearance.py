"""Every scene is accessible, fits, and looks as before; nothing typed is lost.

First of the browser tests by its name: the others change the demo's orders.
"""

from __future__ import annotations

import re
import urllib.parse

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from inbox.design.states import (
    ERRORS,
    STATES,
)
from tests.browser import gallery, pictures
from tests.browser.conftest import Watched, axe, log_in
from tests.browser.gallery import PATIENCE_MS, SCENES, VARIANTS, Variant
from tests.support.browser.colleague import changing
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDE = {"width": 1440, "height": 900}
# Scenes whose orders no other test changes, and whose letters every machine draws alike.
PICTURED = {
    "login": "main",
    "design": "main",
    "keys": "#keys",
    "orders-parcels": "#panel",
    "cancel-authorized": "#dialog",
    "refund-parcels": "#dialog",
}

# Of these also right to left: no dates, and words whose letters .ci/run installs a font for.
MIRRORED = {"login", "keys", "cancel-authorized"}
# 200 %: nothing is cut off, and what closes or confirms a dialog is on the screen.
ENLARGED = (
    "list",
    "conversation",
    "orders",
    "cancel",
    "cancel-review",
    "refund",
    "refund-review",
    "contact",
    "decisions",
    "search",
)
CORE = {*PICTURED, *ENLARGED}


@pytest.mark.parametrize("variant", VARIANTS[:5], ids=lambda variant: variant.name)
def test_every_scene_is_accessible_and_looks_as_it_did(
    browser: Browser, demo: Demo, variant: Variant
) -> None:
    troubles: list[str] = []
    with gallery.pages(browser, demo.url, variant) as page_of:
        for scene in SCENES:
            if variant.language != "en" and not scene.is_translated:
                continue
            if not gallery.looks_at(scene, variant, CORE):
                continue
            page = page_of(scene.who)
            scene.visit(page, variant)
            troubles += [f"{scene.name}: {line}" for line in axe(page)]
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > variant.width:
                troubles.append(f"{scene.name}: {wide} px wide")
            if variant.is_narrow:
                troubles += [f"{scene.name}: {line}" for line in _too_small(page)]
            if page.evaluate("document.documentElement.scrollTop"):
                troubles.append(f"{scene.name}: the page itself has scrolled")
            part = PICTURED.get(scene.name)
            if part and (variant.language == "en" or scene.name in MIRRORED):
                gallery.still(page)
                shot = page.locator(part).first.screenshot()
                troubles += pictures.compare(page, f"{scene.name}.{variant.name}", shot)
    assert "\n".join(troubles) == ""


def test_at_200_percent_nothing_is_cut_off(browser: Browser, demo: Demo) -> None:
    troubles: list[str] = []
    with gallery.pages(browser, demo.url, gallery.ZOOMED) as page_of:
        for scene in SCENES:
            if scene.name not in ENLARGED:
                continue
            page = page_of(scene.who)
            scene.visit(page, gallery.ZOOMED)
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > gallery.ZOOMED.width:
                troubles.append(f"{scene.name}: {wide} px wide")
            for button in page.locator("dialog[open] .sheet-foot .button").all():
                box = button.bounding_box()
                if not box or box["y"] + box["height"] > gallery.ZOOMED.height:
                    troubles.append(f"{scene.name}: {button.inner_text()} is not on the screen")
            body = page.locator("dialog[open] .sheet-body")
            if body.count() and body.evaluate("body => body.clientHeight") < 120:
                troubles.append(f"{scene.name}: the dialog has no room")
    assert "\n".join(troubles) == ""


def test_the_gallery_knows_every_rare_state() -> None:
    assert set(gallery.RARE) == {*STATES, *(f"errors/{code}" for code in ERRORS)}


def test_a_moved_button_is_seen(browser: Browser, demo: Demo) -> None:
    """The negative control of the pictures: four pixels are enough."""
    variant = VARIANTS[0]
    with gallery.pages(browser, demo.url, variant) as page_of:
        page = page_of("sara")
        gallery.dialog("1095", "cancel")(page, variant)
        gallery.still(page)
        foot = page.locator("#cancel-form .sheet-foot .button").first
        foot.evaluate("button => button.style.translate = '4px 0'")
        shot = page.locator("#dialog").screenshot()
        assert pictures.compare(page, "cancel-authorized.light", shot, may_write=False) != []


_IS_LONG = """() => {
  const thread = document.getElementById('thread');
  return thread.scrollHeight - thread.clientHeight > 300;
}"""
TOP = "element => element.getBoundingClientRect().top"


def _cookies(browser: Browser, demo: Demo, who: str) -> str:
    context = log_in(browser, demo, who)
    found = "; ".join(f"{c['name']}={c['value']}" for c in context.cookies())
    context.close()
    return found


REPLY = "Hello Greta, the other tiles left us this morning and should be with you soon."


def _keeps_what_the_agent_does(page: Page, demo: Demo, cookie: str, act: str) -> dict[str, bool]:
    """Types, scrolls and fills in a dialog while ten changes a second arrive."""
    page.goto("/inbox/?scope=all&q=1055")
    page.locator("a.conversation-row").first.click()
    page.wait_for_url("**/conversations/**")
    expect(page.locator("#panel .order").first).to_be_attached(timeout=PATIENCE_MS)
    path = urllib.parse.urlsplit(page.url).path
    kept: dict[str, bool] = {}
    with changing(demo, cookie, path, 0.1) as statuses:
        page.wait_for_timeout(1500)
        box = page.locator("#composer-text")
        # What was begun at the other width is there as a draft.
        box.fill("")
        box.press_sequentially(REPLY, delay=35)
        kept["reply"] = box.input_value() == REPLY
        kept["reply focus"] = box.evaluate("box => document.activeElement === box")
        kept |= _keeps_the_place(page)
        # The narrow screen shows one pane at a time.
        if (tab := page.locator(".pane-tabs a[href='#orders']")).is_visible():
            tab.click()
        page.locator(f".order[open] [data-act={act}]").first.click()
        kept |= _keeps_the_dialog(page, act)
        page.keyboard.press("Escape")
        kept["reply after all"] = box.input_value() == REPLY
    expect(page.locator("#thread")).to_contain_text("Note 5")
    assert len(statuses) > 20
    assert set(statuses) == {200}
    return kept


def _keeps_the_place(page: Page) -> dict[str, bool]:
    """Where the thread was scrolled to, and the row of the list that has the focus."""
    kept: dict[str, bool] = {}
    page.wait_for_function(_IS_LONG)
    page.locator("#thread").evaluate("thread => { thread.scrollTop = 30; }")
    place = page.locator("#thread .message").nth(1)
    place_id = place.get_attribute("id")
    was = place.evaluate(TOP)
    row = page.locator("a.conversation-row").first
    has_list = row.is_visible()
    if has_list:
        row.focus()
        row.evaluate("row => { window.myRow = row; }")
    page.wait_for_timeout(1500)
    marked = page.locator(f"#{place_id}")
    kept["thread scroll"] = marked.count() == 1 and abs(marked.evaluate(TOP) - was) < 2
    if has_list:
        kept["row focus"] = page.evaluate("document.activeElement === window.myRow")
    return kept


def _keeps_the_dialog(page: Page, act: str) -> dict[str, bool]:
    kept: dict[str, bool] = {}
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(f"#{act}-form")).to_be_visible(timeout=PATIENCE_MS)
    if act == "refund":
        dialog.get_by_label("Amount only").check()
    amount = dialog.locator(f"#{act}-amount")
    amount.fill("")
    amount.press_sequentially("1.25", delay=60)
    if act == "refund":
        reason = dialog.get_by_label("Reason")
        reason.select_option(label="Goodwill")
    else:
        reason = dialog.get_by_label("Staff error")
        reason.check()
    note = dialog.locator("#staff-note")
    note.press_sequentially("as agreed on the phone", delay=35)
    body = dialog.locator(".sheet-body")
    body.evaluate("body => { body.scrollTop = 40; }")
    page.wait_for_timeout(1000)
    kept["amount"] = amount.input_value() == "1.25"
    kept["reason"] = reason.is_checked() if act == "cancel" else reason.input_value() != ""
    kept["note"] = note.input_value() == "as agreed on the phone"
    kept["dialog focus"] = note.evaluate("note => document.activeElement === note")
    kept["dialog scroll"] = body.evaluate("body => body.scrollTop") == 40
    return kept


@pytest.mark.parametrize(("width", "act"), [(1440, "refund"), (390, "cancel")])
def test_nothing_is_lost_while_ten_changes_a_second_arrive(
    browser: Browser, demo: Demo, width: int, act: str
) -> None:
    # Low enough that each dialog has to be scrolled.
    size = {"width": width, "height": 560}
    context = log_in(browser, demo, "sara", viewport=size, reduced_motion="reduce")
    watched = Watched(context.new_page())
    kept = _keeps_what_the_agent_does(watched.page, demo, _cookies(browser, demo, "bob"), act)
    context.close()
    assert kept == dict.fromkeys(kept, True)
    assert watched.troubles == []


@pytest.mark.parametrize("scrolls_up", [True, False])
def test_an_agent_who_scrolled_up_stays_there_when_news_arrives(
    alice: Page, browser: Browser, demo: Demo, scrolls_up: bool
) -> None:
    """The second case is the control: who stays at the end is taken to the new end."""
    alice.goto("/inbox/?scope=all&q=1055")
    alice.locator("a.conversation-row").first.click()
    thread = alice.locator("#thread")
    held: list[Route] = []
    with changing(demo, _cookies(browser, demo, "bob"), urllib.parse.urlsplit(alice.url).path, 0.1):
        alice.wait_for_function(_IS_LONG)
        alice.route(re.compile(r"/thread/"), lambda route: held.append(route))
        while not held:
            alice.wait_for_timeout(50)
    if scrolls_up:
        thread.evaluate("thread => { thread.scrollTop = 30; }")
    last = thread.get_attribute("data-last")
    held[0].continue_()
    expect(thread).not_to_have_attribute("data-last", last or "")
    alice.wait_for_timeout(200)
    assert (thread.evaluate("thread => thread.scrollTop") == 30) == scrolls_up
    assert alice.locator(".new-below").is_visible() == scrolls_up
    alice.unroute_all(behavior="ignoreErrors")


def test_without_morphing_something_is_lost(browser: Browser, demo: Demo) -> None:
    """The negative control: the same hands, with parts replaced instead of morphed."""
    context = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    page = context.new_page()
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          const ajax = htmx.ajax;
          htmx.ajax = (verb, path, more) => ajax(verb, path, {...more, swap: "outerHTML"});
        })"""
    )
    kept = _keeps_what_the_agent_does(page, demo, _cookies(browser, demo, "bob"), "refund")
    context.close()
    assert not all(kept.values())


def _too_small(page: Page) -> list[str]:
    """What is pressed and less than 44 px high, or without room for a finger around it."""
    found: list[str] = page.evaluate(_SMALL)
    return found


# A small button's ::after reaches beyond it: what a finger hits 20 px above its middle counts.
_SMALL = """() => {
  const dialog = document.querySelector('dialog[open]');
  return [...(dialog ?? document).querySelectorAll(
    'button, a.button, a.icon-button, summary, nav a, .menu-item, select, textarea, input:not([type=hidden])')]
    .filter((e) => e.checkVisibility({opacityProperty: true, visibilityProperty: true}) && !e.matches('[tabindex="-1"]'))
    .map((e) => [e, (e.matches('[type=checkbox], [type=radio]') ? e.closest('label') ?? e : e).getBoundingClientRect()])
    .filter(([e, box]) => {
      const reach = parseFloat(getComputedStyle(e, '::after').insetBlockStart) || 0;
      return box.height && box.height - 2 * Math.min(reach, 0) < 43.5;
    })
    .map(([e, box]) => `${e.tagName} ${e.className} is ${Math.round(box.height)} px: ${e.textContent.trim().slice(0, 30)}`);
}"""


def test_conversations_open_beside_the_list_without_a_reload(alice: Page) -> None:
    alice.goto("/inbox/?scope=all")
    alice.evaluate("window.sameDocument = true")
    rows = alice.locator("a.conversation-row")
    first, second = rows.nth(2), rows.nth(3)
    names = [row.locator(".conversation-name").inner_text() for row in (first, second)]
    first.click()
    expect(alice.locator("#header h2")).to_have_text(names[0])
    alice.locator("#composer-text").fill("half a sentence")
    second.click()
    expect(alice.locator("#header h2")).to_have_text(names[1])
    expect(alice.locator("#composer-text")).to_have_value("")
    expect(second).to_have_attribute("aria-current", "true")
    alice.go_back()
    expect(alice.locator("#header h2")).to_have_text(names[0])
    expect(alice.locator("#composer-text")).to_have_value("half a sentence")
    assert alice.evaluate("window.sameDocument") is True
    alice.locator("#composer-text").fill("")


def test_panes_keep_the_width_they_were_given(alice: Page) -> None:
    alice.goto("/inbox/?scope=all")
    alice.locator("a.conversation-row").nth(2).click()
    handle = alice.get_by_role("separator", name="Order panel width")
    side = alice.locator("#orders")
    before = side.bounding_box()
    handle.focus()
    for _ in range(3):
        alice.keyboard.press("ArrowLeft")
    wider = side.bounding_box()
    assert before
    assert wider
    assert wider["width"] == before["width"] + 48
    alice.reload()
    again = side.bounding_box()
    assert again
    assert again["width"] == wider["width"]


def test_everything_can_be_done_with_the_keyboard(alice: Page) -> None:
    alice.goto("/inbox/?scope=all&q=1085")
    alice.keyboard.press("j")
    alice.keyboard.press("Enter")
    expect(alice.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)
    alice.keyboard.press("r")
    expect(alice.locator("#composer-text")).to_be_focused()
    alice.keyboard.type("jr?")
    expect(alice.locator("#composer-text")).to_have_value("jr?")
    alice.locator("#composer-text").fill("")
    alice.locator("#conversation").focus()
    alice.keyboard.press("?")
    expect(alice.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    alice.get_by_label("Use single-key shortcuts").uncheck()
    alice.keyboard.press("Escape")
    alice.keyboard.press("r")
    expect(alice.locator("#composer-text")).not_to_be_focused()
    alice.evaluate("localStorage.removeItem('single-keys')")
