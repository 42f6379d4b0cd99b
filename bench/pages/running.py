"""Figures of the running demo: from click to Shopify, from change to browser, and memory."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from pathlib import Path

import urllib3

from bench.harness.result import Result, p99
from tests.support.browser.demo import CHROMIUM, FLAGS, Demo, running_demo

CLICKS = 40
CHANGES = 20
PRACTICE = {"Host": "demo.myshopify.com", "X-Shopify-Access-Token": "shpat_practice_demo"}


def run() -> list[Result]:
    """Measure on a freshly started demo."""
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder)) as demo:
        memory = _memory_mb(demo.pid)
        return [*_action_overhead(demo), *_live_update(demo), *memory]


class Person:
    """A logged-in user without a browser: keeps cookies and posts forms."""

    def __init__(self, demo: Demo, username: str) -> None:
        self.pool = urllib3.PoolManager()
        self.demo = demo
        self.cookies: dict[str, str] = {}
        page = self.get("/login/")
        self.post("/login/", page, username=username, password="demo")

    def _keep(self, answer: urllib3.BaseHTTPResponse) -> str:
        for header in answer.headers.getlist("Set-Cookie"):
            name, _, value = header.split(";", 1)[0].partition("=")
            self.cookies[name] = value
        return answer.data.decode()

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        return {"Cookie": cookies, "HX-Request": "true"}

    def get(self, path: str) -> str:
        """Return a page or fragment, requested as htmx would."""
        return self._keep(self.pool.request("GET", self.demo.url + path, headers=self._headers()))

    def post(self, path: str, page: str, **fields: str) -> str:
        """Submit a form with the CSRF token found in `page`; redirects are not followed."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        fields["csrfmiddlewaretoken"] = token[1] if token else ""
        return self._keep(
            self.pool.request(
                "POST",
                self.demo.url + path,
                fields=fields,
                encode_multipart=False,
                headers=self._headers(),
                redirect=False,
            )
        )


def _found(pattern: str, text: str) -> str:
    """Return the first group of the first match. Raises AssertionError if there is none."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"There is no {pattern} in: {text[:500]}"
    return str(match[1])


def _action_overhead(demo: Demo) -> list[Result]:
    """Time from the confirming click until the refund reaches the store.

    The baseline is the store's own response time.
    """
    sara = Person(demo, "sara")
    list_page = sara.get("/inbox/?scope=all&q=Sofia")
    conversation = _found(r"/inbox/conversations/(\d+)/", list_page)
    panel = sara.get(f"/inbox/conversations/{conversation}/orders/")
    order = _found(r"/orders/(\d+)/refund/", panel)
    at = f"/inbox/conversations/{conversation}/orders/{order}"
    delays, direct = [], []
    for _ in range(CLICKS):
        form = sara.get(f"{at}/refund/")
        review = sara.post(f"{at}/refund/", form, reason="goodwill", amount="0.10")
        token = _found(r'name="token" value="([^"]+)"', review)
        before = len(demo.ledger()["refunds"])
        start = time.time()
        sara.post(f"{at}/confirm/", review, token=token)
        while True:
            sent = [r for r in demo.ledger()["requests"] if r["operation"] == "refundCreate"]
            if len(demo.ledger()["refunds"]) > before and sent:
                break
            time.sleep(0.005)
        delays.append((sent[-1]["at"] - start) * 1000)
        direct.append(_read_ms(demo))
        while (
            '"true"'
            in sara.get(f"/inbox/conversations/{conversation}/orders/").split("aria-busy=")[-1][:6]
        ):
            time.sleep(0.02)
        time.sleep(0.1)
    against = "the store's answer to one read of the order"
    return [
        Result(
            "action_overhead median",
            "ms",
            statistics.median(delays),
            statistics.median(direct),
            against,
        ),
        Result("action_overhead p99", "ms", p99(delays), statistics.median(direct), against),
    ]


def _read_ms(demo: Demo) -> float:
    import json

    from shopify_sync.api import documents

    gid = demo.ledger()["refunds"][-1]["order"]
    body = json.dumps(
        {
            "query": documents.load("OrderForPanel"),
            "variables": {"id": gid},
            "operationName": "OrderForPanel",
        }
    ).encode()
    pool = urllib3.PoolManager()
    start = time.perf_counter()
    pool.request(
        "POST", f"{demo.store_url}/admin/api/2026-10/graphql.json", body=body, headers=PRACTICE
    )
    return (time.perf_counter() - start) * 1000


def _live_update(demo: Demo) -> list[Result]:
    """Time from a change on the shop's side to the badge in an open browser, without a reload."""
    if not Path(CHROMIUM).exists():
        return []
    from playwright.sync_api import expect, sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(base_url=demo.url, viewport={"width": 1440, "height": 900})
        page.goto("/login/")
        page.get_by_label("Username").fill("alice")
        page.get_by_label("Password").fill("demo")
        page.get_by_role("button", name="Log in").click()
        page.goto("/inbox/?scope=all&q=Noah")
        page.get_by_role("link").filter(has_text="#1085").first.click()
        badges = page.locator("details.order").filter(has_text="#1085").first.locator(".badges")
        expect(badges).to_contain_text("Arriving on")
        time.sleep(2)
        for turn in range(CHANGES):
            act, label = (
                ("out", "Out for delivery") if turn % 2 == 0 else ("in_transit", "Arriving on")
            )
            start = time.perf_counter()
            demo.staff("#1085", act)
            page.wait_for_function(
                "label => [...document.querySelectorAll('details.order')].some(o =>"
                " o.innerText.includes('#1085') && o.querySelector('.badges').innerText.includes(label))",
                arg=label,
                polling=10,
            )
            found.append((time.perf_counter() - start) * 1000)
            time.sleep(1.2)
        browser.close()
    return [
        Result(
            "live_update median", "ms", statistics.median(found), 500, "the budget, with one read"
        ),
        Result("live_update worst", "ms", max(found), 5000, "the promised maximum"),
    ]


def _memory_mb(pid: int) -> list[Result]:
    """Return the proportional memory (PSS) of all the demo's processes together."""
    time.sleep(3)
    total = 0.0
    for process in [pid, *_descendants(pid)]:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(_found(r"^Pss:\s+(\d+)", text)) / 1024
    return [Result("demo_memory", "MB", total, 414, "the prototype's processes")]


def _descendants(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(entry.parent.name)
            found += [child, *_descendants(child)]
    return found
