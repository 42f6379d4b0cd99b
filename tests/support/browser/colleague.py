"""A second agent who works in the same conversation."""

from __future__ import annotations

import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.browser.demo import Demo


@contextmanager
def changing(demo: Demo, cookie: str, path: str, every_s: float) -> Iterator[list[int]]:
    """A colleague who writes notes without a pause; gives the statuses of the answers."""
    over, statuses = threading.Event(), list[int]()
    csrf = re.search(r"csrftoken=(\w+)", cookie)
    assert csrf

    def write() -> None:
        n = 0
        while not over.wait(every_s):
            n += 1
            words = {"text": f"Note {n}", "csrfmiddlewaretoken": csrf[1]}
            request = urllib.request.Request(
                f"{demo.url}{path}note/",
                urllib.parse.urlencode(words).encode(),
                headers={"Cookie": cookie, "HX-Request": "true", "Referer": demo.url},
            )
            with urllib.request.urlopen(request) as answer:
                statuses.append(answer.status)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join(timeout=10)
