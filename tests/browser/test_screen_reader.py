"""docs/screen-reader.md matches what the page announces."""

from __future__ import annotations

import os
from difflib import unified_diff

import pytest
from playwright.sync_api import Browser

from tests.browser import walk
from tests.browser.conftest import log_in
from tests.support.browser.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_screen_says_what_the_document_says(browser: Browser, demo: Demo) -> None:
    context = log_in(
        browser, demo, "sara", viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    found = walk.written(context.new_page())
    context.close()
    if os.environ.get("UPDATE_WALK"):
        walk.DOCUMENT.write_text(found)
    before = walk.DOCUMENT.read_text().splitlines()
    assert list(unified_diff(before, found.splitlines(), lineterm="")) == []
