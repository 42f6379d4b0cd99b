"""The screen in real Chromium.

How soon a conversation, a dialog and a result appear, how many bytes are sent, and how quickly keys
respond while ten changes per second arrive.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from bench.harness.result import Result
from tests.support.browser.colleague import changing
from tests.support.browser.demo import CHROMIUM, FLAGS, Demo, running_demo

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 12
CONVERSATIONS = 200
STATIC = Path("inbox/static/inbox")
THREAD = "document.querySelector('#header h2')?.innerText.trim() === name"
PANEL = f"{THREAD} && document.querySelector('#panel .order, #panel .empty')"
WATCH = """() => {
  window.slow = []; window.long = 0;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) window.slow.push(e.duration); })
    .observe({type: 'event', durationThreshold: 16, buffered: true});
  new PerformanceObserver((list) => { for (const e of list.getEntries()) window.long += e.duration; })
    .observe({type: 'longtask', buffered: true});
}"""


def run() -> list[Result]:
    """Measure in a freshly started demo; skipped without Chromium."""
    if not Path(CHROMIUM).exists():
        print("screen: skipped, there is no Chromium")
        return []
    from playwright.sync_api import sync_playwright

    found = _bytes()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_demo(Path(folder)) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{demo.url}/login/")
        page.locator("#id_username").fill("sara")
        page.locator("#id_password").fill("demo")
        page.locator("form button").first.click()
        page.wait_for_url("**/inbox/**")
        found += _opening(page, demo)
        found += _dialog(page, demo)
        found += _typing(page, demo)
        found += _interacting(page, demo, Path(folder))
        browser.close()
    return found


def _bytes() -> list[Result]:
    """Return the size of scripts and styles, each file compressed as a server sends it, fonts
    excluded.
    """
    import django_htmx

    htmx = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
    scripts = [*STATIC.glob("js/*.js"), *STATIC.glob("vendor/*.js"), htmx]
    sheets = [p for p in STATIC.glob("css/*.css") if p.name not in {"admin.css", "design.css"}]
    return [
        Result(f"screen_{kind}_bytes", "KB", _kb(files), budget, "the budget")
        for kind, files, budget in (("script", scripts, 60.0), ("style", sheets, 25.0))
    ]


def _kb(files: list[Path]) -> float:
    return round(sum(len(gzip.compress(f.read_bytes(), 6)) for f in files) / 1024, 1)


def _clock(page: Page, act: str, until: str, **given: object) -> float:
    """Return the milliseconds, measured in the page, from `act` to the first frame in which `until`
    holds.
    """
    script = f"""async (given) => {{ const {{name, href}} = given; const start = performance.now();
      {act};
      while (!({until})) await new Promise(requestAnimationFrame);
      return performance.now() - start; }}"""
    return float(page.evaluate(script, {"name": "", "href": "", **given}))


def _opening(page: Page, demo: Demo) -> list[Result]:
    page.goto(f"{demo.url}/inbox/?scope=all")
    rows = page.locator("a.conversation-row").evaluate_all(
        "rows => rows.map(r => [r.querySelector('.conversation-name').innerText.trim(),"
        " r.getAttribute('href')])"
    )
    # Jane has two conversations; keep only names that identify one.
    rows = [row for row in rows if [r[0] for r in rows].count(row[0]) == 1][:ROUNDS]
    thread, panel, whole = [], [], []
    for name, href in rows:
        click = f"document.querySelector(`a.conversation-row[href='{href}']`).click()"
        thread.append(_clock(page, click, THREAD, name=name))
        page.wait_for_function(f"name => {PANEL}", arg=name)
    page.goto(f"{demo.url}/inbox/?scope=all")
    for name, href in rows:
        click = f"document.querySelector(`a.conversation-row[href='{href}']`).click()"
        panel.append(_clock(page, click, PANEL, name=name))
    for _name, href in rows:
        page.goto(f"{demo.url}{href}", wait_until="domcontentloaded")
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        whole.append(float(page.evaluate(timing)))
    loaded = statistics.median(whole)
    return [
        Result("screen_thread_shown", "ms", statistics.median(thread), loaded, "loading the page"),
        Result("screen_orders_shown", "ms", statistics.median(panel), loaded, "loading the page"),
    ]


def _dialog(page: Page, demo: Demo) -> list[Result]:
    page.goto(f"{demo.url}/inbox/?scope=all&q=1060")
    page.locator("a.conversation-row").first.click()
    button = page.locator(".order[open] [data-act=refund]").first
    href = button.get_attribute("href")
    opened, answer = [], []
    for _ in range(ROUNDS):
        click = "document.querySelector('.order[open] [data-act=refund]').click()"
        opened.append(_clock(page, click, "document.querySelector('#refund-form')"))
        page.keyboard.press("Escape")
        page.wait_for_function("() => !document.querySelector('#refund-form')")
        fetch = "const a = await fetch(href, {headers: {'HX-Request': 'true'}}); await a.text()"
        answer.append(_clock(page, fetch, "true", href=href))
    return [
        Result(
            "screen_dialog_open",
            "ms",
            statistics.median(opened),
            statistics.median(answer),
            "the server's answer alone",
        ),
    ]


def _typing(page: Page, demo: Demo) -> list[Result]:
    cookies = page.context.cookies()
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in cookies)
    path = urllib.parse.urlsplit(page.url).path
    assert re.fullmatch(r"/inbox/conversations/\d+/", path)
    figures = []
    for every_s in (3600.0, 0.1):
        page.reload()
        page.evaluate(WATCH)
        with changing(demo, cookie, path, every_s):
            page.locator("#composer-text").press_sequentially("x" * 120, delay=40)
            for row in range(4):
                page.locator("a.conversation-row").nth(row).focus()
                page.wait_for_timeout(250)
        slow = page.evaluate("window.slow") or [16.0]
        figures.append((max(slow), float(page.evaluate("window.long"))))
        page.locator("#composer-text").fill("")
    (quiet, _), (busy, long_ms) = figures
    return [
        Result("screen_key_to_paint", "ms", busy, quiet, "without changes (slowest of 120 keys)"),
        Result("screen_long_tasks", "ms", long_ms, 1000.0, "a second of it, in about 6 s"),
    ]


def _interacting(page: Page, demo: Demo, folder: Path) -> list[Result]:
    """INP as browsers define it: the slowest interaction, from the press to the next frame.

    Measured over a working minute on an inbox of 200 conversations, while ten of them change every
    second.
    """
    messenger = Messenger(demo, folder)
    for number in range(CONVERSATIONS):
        messenger.write(number)
    figures = []
    for every_s in (3600.0, 0.1):
        page.goto(f"{demo.url}/inbox/?scope=all")
        page.evaluate(WATCH_INTERACTIONS)
        with messenger.writing(every_s):
            for round_ in range(4):
                page.keyboard.press("j")
                page.keyboard.press("j")
                page.keyboard.press("Enter")
                page.locator("#composer-text").click()
                page.locator("#composer-text").press_sequentially("Hello there, ", delay=40)
                page.locator("#composer-text").fill("")
                page.locator("#list-pane .segments a").nth(2 if round_ % 2 else 1).click()
                page.wait_for_timeout(600)
                page.locator("a.conversation-row").nth(round_ + 1).click()
                page.wait_for_timeout(600)
                page.locator("#assign-menu > summary").click()
                page.keyboard.press("Escape")
        page.wait_for_timeout(300)
        slowest = page.evaluate("Math.max(16, ...Object.values(window.interactions))")
        figures.append((float(slowest), float(page.evaluate("window.longest"))))
    (quiet, quiet_long), (busy, busy_long) = figures
    return [
        Result("screen_inp_200_conversations", "ms", busy, quiet, "the same without changes"),
        Result("screen_longest_task", "ms", max(busy_long, 1), max(quiet_long, 1), "the same"),
    ]


# An interaction takes as long as its slowest event.
WATCH_INTERACTIONS = """() => {
  window.interactions = {}; window.longest = 0;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) if (e.interactionId)
    window.interactions[e.interactionId] = Math.max(window.interactions[e.interactionId] ?? 0, e.duration); })
    .observe({type: 'event', durationThreshold: 16, buffered: false});
  new PerformanceObserver((list) => { for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration); })
    .observe({type: 'longtask', buffered: false});
}"""


class Messenger:
    """Customers who write through the channel API, on a channel created for the benchmark."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "settings.dev",
            "VAR_DIR": str(folder / "demo"),
            "DATABASE_URL": f"sqlite:///{folder / 'demo' / 'inbox.sqlite3'}",
        }
        out = subprocess.run(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", _NEW_CHANNEL],
            env=env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        self._url = f"{demo.url}/api/v1/channels/{out[-2]}/messages/"
        self._headers = {"Authorization": f"Bearer {out[-1]}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager()
        self._said = int(time.time()) * 1000

    def write(self, number: int) -> None:
        """Send the next message to this conversation."""
        self._said += 1
        body = {
            "external_id": f"bench-{self._said}",
            "conversation": f"bench-{number}",
            "sender": {"external_id": f"bench-{number}", "name": f"Customer {number}"},
            "text": f"Message {self._said}: where is my parcel, please?",
        }
        answer = self._pool.request(
            "POST", self._url, body=json.dumps(body).encode(), headers=self._headers
        )
        assert answer.status == 201, answer.data[:300]

    @contextmanager
    def writing(self, every_s: float) -> Iterator[None]:
        """Keep sending in the background, one message every `every_s` seconds."""
        over = threading.Event()

        def write() -> None:
            while not over.wait(every_s):
                self.write(self._said % CONVERSATIONS)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=10)


_NEW_CHANNEL = """
from inbox.channels import keys as channel_keys
from inbox.models import Channel
channel, _ = Channel.objects.get_or_create(name="Bench", defaults={"proves_addresses": True})
print(channel.pk, channel_keys.new_key(channel))
"""
