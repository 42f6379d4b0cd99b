"""The whole demo, as a user starts it, in a folder of its own, and a real Chromium before it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
READY_WITHIN_S = 150
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()


@dataclass(frozen=True)
class Demo:
    url: str
    store_url: str
    folder: Path

    def ledger(self, shop: str = "demo.myshopify.com") -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.store_url}/_practice/ledger?shop={shop}") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def staff(self, order: str, act: str, **more: str) -> None:
        """Press a button of the shop's own page."""
        words = {"shop": "demo.myshopify.com", "order": order, "act": act, **more}
        body = urllib.parse.urlencode(words).encode()
        urllib.request.urlopen(f"{self.store_url}/_practice/act", body).close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    folder = tmp_path_factory.mktemp("demo")
    port, store_port = free_port(), free_port()
    env = {
        k: v for k, v in os.environ.items() if k not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}
    }
    env |= {"PORT": str(port), "STORE_PORT": str(store_port), "VAR_DIR": str(folder)}
    out = folder / "out.txt"
    root = Path(__file__).resolve().parents[2]
    with out.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "settings.processes", "demo"], cwd=root, env=env,
            stdout=sink, stderr=subprocess.STDOUT,
        )  # fmt: skip
    until = time.monotonic() + READY_WITHIN_S
    while "Agent Inbox is ready" not in out.read_text():
        if process.poll() is not None or time.monotonic() > until:
            process.terminate()
            pytest.fail(f"the demo did not start:\n{out.read_text()}")
        time.sleep(0.3)
    yield Demo(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{store_port}", folder)
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="session")
def browser(demo: Demo) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


def log_in(browser: Browser, demo: Demo, username: str, **options: Any) -> BrowserContext:
    context = browser.new_context(base_url=demo.url, **options)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/inbox/**")
    page.close()
    return context


class Watched:
    """A page whose console errors, failed requests and CSP reports fail the test."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on(
            "console",
            lambda message: self.troubles.append(message.text) if message.type == "error" else None,
        )
        page.on(
            "response",
            lambda answer: (
                self.troubles.append(f"{answer.status} {answer.url}")
                if answer.status >= 500
                else None
            ),
        )


@pytest.fixture
def alice(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Alice's page on a wide screen."""
    context = log_in(
        browser, demo, "alice", viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    watched = Watched(context.new_page())
    yield watched.page
    context.close()
    assert watched.troubles == []


def axe(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands, a line each."""
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['help']} — {node['html'][:120]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]
