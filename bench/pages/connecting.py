"""Connecting a store of 20,000 orders in a real browser, from the admin's first click to the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.result import Result
from core.server import processes
from tests.support.browser.demo import CHROMIUM, FLAGS, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ORDERS = int(os.environ.get("BENCH_CONNECT_ORDERS", "20000"))
SHOTS = os.environ.get("BENCH_SHOTS", "")
SHOP = "demo.myshopify.com"
PEOPLE = """
from django.contrib.auth.models import Group, User
from django.utils import timezone
from inbox.channels import keys as channel_keys
from inbox.conversations import services
from inbox.models import Channel
User.objects.create_superuser("admin", password="demo")
alice = User.objects.create_user("alice", password="demo")
alice.groups.add(Group.objects.get(name="agents"))
channel = Channel.objects.create(name="Messenger", proves_addresses=True)
message, _ = services.receive(channel=channel, external_id="m", conversation_id="c",
    sender=services.Sender(external_id="u", name="A customer", email="{email}"),
    text="Where is my order?", sent_at=timezone.now())
services.assign(conversation=message.conversation, to=alice)
"""


def run() -> list[Result]:
    """Measure against a practice store; skipped without Chromium."""
    if not Path(CHROMIUM).exists():
        print("connecting: skipped, there is no Chromium")
        return []
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> list[Result]:
    port, store_port = free_port(), free_port()
    url, store_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{store_port}"
    os.environ.update(
        DJANGO_SETTINGS_MODULE="settings.dev",
        VAR_DIR=str(folder),
        PUBLIC_URL=url,
        DATABASE_URL=f"sqlite:///{folder / 'inbox.sqlite3'}",
        SHOPIFY_ADMIN_ORIGIN=store_url,
    )
    children = processes.Processes(folder)
    manage = [sys.executable, "manage.py"]
    try:
        os.environ["REDIS_URL"] = processes._start_broker(children, folder)
        subprocess.run([*manage, "migrate", "--verbosity", "0"], check=True)
        children.start(
            "practice-store",
            [
                *manage,
                "practice_store",
                "--port",
                str(store_port),
                "--allow-http",
                "--shop",
                SHOP,
                "--orders",
                str(ORDERS),
            ],
        )
        children.start("web", processes.web_command(port, host="127.0.0.1"))
        for pool in processes.POOLS:
            children.start(f"worker-{pool}", processes.worker_command(pool))
        children.start("scheduler", processes.scheduler_command(folder))
        ledger = f"{store_url}/_practice/"
        processes.until_it_is(children, lambda: processes.answers(ledger), "the practice store")
        processes.until_it_is(
            children, lambda: processes.answers(f"{url}/readyz"), "the web server"
        )
        email = _newest_email(store_url)
        people = PEOPLE.format(email=email)
        subprocess.run([*manage, "shell", "--verbosity", "0", "-c", people], check=True)
        return _click_through(url)
    finally:
        children.stop()
        for name in ("DATABASE_URL", "SHOPIFY_ADMIN_ORIGIN", "REDIS_URL", "VAR_DIR", "PUBLIC_URL"):
            os.environ.pop(name, None)
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings.test"


def _newest_email(store_url: str) -> str:
    import json

    import urllib3

    query = "{ orders(first: 1, sortKey: CREATED_AT, reverse: true) { nodes { email } } }"
    answer = urllib3.request(
        "POST",
        f"{store_url}/admin/api/2026-10/graphql.json",
        body=json.dumps({"query": query}).encode(),
        headers={"Host": SHOP, "X-Shopify-Access-Token": "shpat_practice_demo"},
    )
    return str(json.loads(answer.data)["data"]["orders"]["nodes"][0]["email"])


def _click_through(url: str) -> list[Result]:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = _log_in(browser, url, "admin", "/admin/")
        agent = _log_in(browser, url, "alice", "/inbox/")
        agent.goto("/inbox/?scope=all")
        agent.get_by_role("link").filter(has_text="A customer").first.click()
        page.goto("/admin/shopify_sync/shopconnection/add/")
        _shoot(page, "1-add")
        page.get_by_label("Shop domain").fill(SHOP)
        page.get_by_label("Install an app (OAuth)").check()
        page.get_by_label("Client ID").fill("practice-demo")
        page.locator("#id_api_secret").fill("shpss_practice_demo")
        page.get_by_role("button", name="Save", exact=True).click()
        _shoot(page, "2-saved")
        page.get_by_role("link", name="Install in Shopify").click()
        start = time.perf_counter()
        page.get_by_role("button", name="Install app").click()
        ticks = page.locator(".doctor-ticks")
        expect(ticks).to_contain_text("Webhooks", timeout=30_000)
        connected = time.perf_counter() - start
        _shoot(page, "3-connected")
        card = agent.locator("details.order").first
        first = 0.0
        shown: set[str] = set()
        while True:
            if not first:
                if card.count():
                    first = time.perf_counter() - start
                else:
                    agent.reload()
                    agent.wait_for_timeout(200)
            text = page.locator("[data-progress] > span").inner_text()
            shown.add(text)
            if "Importing" in text and len(shown) % 7 == 0:
                _shoot(page, "4-importing")
            if "orders read" in text and first:
                break
            if time.perf_counter() - start > 600:
                raise RuntimeError(f"not complete: {text}, first order after {first} s")
            page.wait_for_timeout(250)
        complete = time.perf_counter() - start
        _shoot(page, "5-complete")
        page.set_viewport_size({"width": 390, "height": 844})
        _shoot(page, "6-narrow")
        _shoot(agent, "7-sidebar")
        browser.close()
    against = f"of {ORDERS} orders; {len(shown)} different states of the bar were seen"
    return [
        Result("connecting: three ticks", "s", connected, 5, "from the consent's click"),
        Result("connecting: first order in the sidebar", "s", first, 5, "from the consent's click"),
        Result("connecting: complete", "s", complete, ORDERS / 200, against),
    ]


def _log_in(browser: Browser, url: str, name: str, to: str) -> Page:
    page = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900}).new_page()
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.goto(to)
    return page


def _shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
