"""Write docs/screen-reader.md: what a screen reader says during a cancellation and a refund.

Roles, names and announcements as Chromium gives them; ids and addresses are left out. The page of
documentation is this walk's own text, so it says what is so today or a test fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Locator, Page, expect

DOCUMENT: Final = Path("docs/screen-reader.md")
PATIENCE_MS: Final = 20_000
_HEAD: Final = """# What a screen reader says while an order is canceled and refunded

The accessibility tree of both dialogs, step by step, as Chromium gives it: roles and names, in
reading order. Below each step: where the focus is, and what the live region (`role=status`) said
on the way to it. Written by the test of the same name, which fails when the screen says something
else; `UPDATE_WALK=1 ./run test -m browser tests/browser/test_screen_reader.py` writes it again.
Ids and addresses are left out.
"""
# Every sentence of the live region, in the order it was said.
_LISTEN: Final = """() => {
  window.said = [];
  new MutationObserver(() => {
    const text = document.getElementById('live-region').textContent.trim();
    if (text && text !== window.said.at(-1)) window.said.push(text);
  }).observe(document.getElementById('live-region'), {childList: true, characterData: true, subtree: true});
}"""
_FOCUS: Final = """() => {
  const at = document.activeElement;
  return at.getAttribute('aria-label') || at.textContent.trim().replace(/\\s+/g, ' ').slice(0, 60);
}"""


# IDs, and the day on which the demo was made.
_CHANGING: Final = re.compile(r"\d{10,}|\d{1,2} [A-Z][a-z]+ 20\d\d")


def written(page: Page) -> str:
    """Walks, and gives the document. Cancels #1043 of the second store and refunds #1090."""
    parts = [_HEAD]
    for title, tree, focus, said in [*_cancel(page), *_refund(page)]:
        heard = "".join(f"\n- said: “{sentence}”" for sentence in said)
        parts.append(f"## {title}\n\n```\n{tree}\n```\n\n- focus: {focus}{heard}\n")
    return "\n".join(parts)


Step = tuple[str, str, str, list[str]]


def _cancel(page: Page) -> Iterator[Step]:
    _open(page, "1031")
    card = page.locator(".order", has_text="#1043").filter(has_text="Second Store").first
    card.locator("summary").first.click()
    card.locator("[data-act=cancel]").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#cancel-form")).to_be_visible(timeout=PATIENCE_MS)
    yield _step(page, "Cancel: the form")
    dialog.get_by_label("Customer changed or canceled order").check()
    dialog.get_by_role("button", name="Review").click()
    yield from _confirmed(page, dialog, "Cancel", re.compile("^Cancel order and refund"))


def _refund(page: Page) -> Iterator[Step]:
    _open(page, "1090")
    page.locator(".order[open] [data-act=refund]").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#refund-form")).to_be_visible(timeout=PATIENCE_MS)
    yield _step(page, "Refund: the form")
    dialog.get_by_label("Received at center").check()
    dialog.get_by_label("Reason").select_option(label="Damaged on arrival")
    dialog.get_by_role("button", name="Review").click()
    yield from _confirmed(page, dialog, "Refund", re.compile("^Refund €"))


def _confirmed(page: Page, dialog: Locator, what: str, button: re.Pattern[str]) -> Iterator[Step]:
    expect(dialog.locator("#review")).to_be_visible(timeout=PATIENCE_MS)
    yield _step(page, f"{what}: the review")
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_contain_text("done by Sara", timeout=PATIENCE_MS)
    # The badges of the dialog follow the order, which is read once more.
    expect(dialog.locator(".sheet-head .badges")).to_contain_text("efunded", timeout=PATIENCE_MS)
    # How many steps between are seen is a matter of pace: the first and the last are certain.
    title, tree, focus, said = _step(page, f"{what}: the result")
    yield title, tree, focus, [said[0], said[-1]]
    dialog.get_by_role("button", name="Close").last.click()


def _open(page: Page, words: str) -> None:
    page.goto(f"/inbox/?scope=all&q={words}")
    page.locator("a.conversation-row").first.click()
    page.wait_for_url("**/conversations/**")
    expect(page.locator("#panel .order").first).to_be_visible(timeout=PATIENCE_MS)
    # Said a frame after the view is there: it belongs to the way here, not to the dialog.
    expect(page.locator("#live-region")).to_contain_text("Conversation with")
    page.evaluate(_LISTEN)


def _step(page: Page, title: str) -> Step:
    page.wait_for_timeout(300)
    tree = page.get_by_role("dialog").aria_snapshot()
    lines = [line for line in tree.splitlines() if "/url:" not in line]
    said = page.evaluate("() => window.said.splice(0)")
    return title, _CHANGING.sub("…", "\n".join(lines)), page.evaluate(_FOCUS), said
