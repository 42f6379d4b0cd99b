"""Long names and several participants never make a page wider than the screen."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watched, log_in
from tests.support.browser.demo import Demo

pytestmark = pytest.mark.browser
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 6
WIDTHS = (390, 1280)


def push(demo: Demo, talk: str, number: int, sender: dict[str, Any], text: str) -> int:
    keys = json.loads((demo.folder / "demo" / "keys.json").read_text())
    channel = next(c for c in keys["channels"] if c["verifies"])
    body = {"external_id": f"{talk}-{number}", "conversation": talk, "sender": sender, "text": text}
    request = urllib.request.Request(
        f"{demo.url}/api/v1/channels/{channel['id']}/messages/",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {channel['key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer)["conversation_id"])


def is_too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways, or part of a pane does."""
    return bool(
        page.evaluate(
            """() => [document.documentElement, ...document.querySelectorAll(
                '#list, .thread-head, .menu-panel, #thread, .message, #composer, .contact-head')]
                .some(part => part.scrollWidth > part.clientWidth + 1)"""
        )
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_stay_inside(demo: Demo, browser: Browser, width: int) -> None:
    jane = {"external_id": "long-1", "name": LONG, "email": "long-one@example.com"}
    bob = {
        "external_id": "long-2",
        "name": f"{LONG} the second",
        "email": f"{'b' * 60}@example.com",
    }
    push(demo, f"long-{width}", 1, jane, "Where is it?")
    pk = push(demo, f"long-{width}", 2, bob, "And mine?")
    context = log_in(browser, demo, "alice", viewport={"width": width, "height": 800})
    page = context.new_page()
    watched = Watched(page)
    for path in ("/inbox/", f"/inbox/conversations/{pk}/"):
        page.goto(path)
        expect(page.locator("main")).to_be_visible()
        assert not is_too_wide(page), path
    page.locator("#others-menu > summary").click()
    panel = page.locator("#others-menu .menu-panel")
    expect(panel).to_be_visible()
    box = panel.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert not is_too_wide(page)
    page.get_by_role("link", name=re.compile("the second")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("the second")
    assert not is_too_wide(page)
    assert watched.troubles == []
    context.close()


def test_a_copied_colleague_is_named_and_opened(demo: Demo, browser: Browser) -> None:
    context = log_in(browser, demo, "alice", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto("/inbox/?scope=all")
    page.get_by_role("link", name=re.compile("Liam Murphy")).first.click()
    expect(page.locator("#header")).to_contain_text("with Orla Byrne")
    to = page.get_by_label("To", exact=True)
    expect(to.locator("option:checked")).to_have_text("Orla Byrne · orla@byrne-books.example")
    page.locator("#thread").get_by_role("link", name="Orla Byrne").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orla Byrne")
    expect(page.locator("main")).to_contain_text("Its contact is Liam Murphy")
    context.close()
