"""`./run staging`: production with practice shops, from an empty database to a refund."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
import urllib3
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.support.servers.postgres_and_redis import Redis, free_port
from tests.support.servers.started import PATIENCE_S, ROOT, environment, is_so, run

MARK = 'class="staging-mark"'
PASSWORD = "seven unrelated words for this test"
HOST = "inbox.example.com"


class Browser:
    """Cookies and forms, at the address of the proxy."""

    def __init__(self, origin: str) -> None:
        self._http, self._origin = urllib3.PoolManager(), origin
        self._cookies: dict[str, str] = {}
        self._page = self.path = ""

    def open(self, path: str, form: dict[str, str] | None = None) -> str:
        """Go there, and on to where that leads; the page, marked as staging."""
        for _redirect in range(6):
            answer = self._ask(path, form)
            if answer.status not in {301, 302, 303}:
                break
            there = urlsplit(answer.headers["Location"])
            path, form = f"{there.path}?{there.query}".rstrip("?"), None
        self.path, self._page = path, unescape(answer.data.decode())
        assert answer.status < 400, f"{path}: {answer.status}\n{self._page[:2000]}"
        assert MARK in self._page, path
        return self._page

    def send(self, form: dict[str, str], path: str = "") -> str:
        """Send a form of the page that was opened last."""
        (token, *_others) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', self._page)
        return self.open(path or self.path, {"csrfmiddlewaretoken": token} | form)

    def _ask(self, path: str, form: dict[str, str] | None) -> Any:
        headers = {
            "Host": HOST,
            "Origin": f"https://{HOST}",
            "Referer": f"https://{HOST}/",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self._http.request(
            "GET" if form is None else "POST",
            f"{self._origin}{path}",
            body=None if form is None else urlencode(form),
            headers=headers,
            redirect=False,
            retries=False,
        )
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            assert "Secure" in cookie
            self._cookies[name] = value
        return answer


def join(browser: Browser, link: str, name: str) -> None:
    """Follow an invitation: set a password, log in, and set up an authenticator app."""
    browser.open(urlsplit(link).path)
    browser.send({"password1": PASSWORD, "password2": PASSWORD})
    browser.open("/login/")
    browser.send({"username": name, "password": PASSWORD})
    page = browser.open("/account/app/")
    secret = re.findall(r'id="secret"[^>]* value="(\w+)"', page)[0]
    browser.send({"code": format_hotp_value(hotp_value(secret, int(time.time()) // 30))})


def told(command: list[str], env: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    return made.stdout + made.stderr


@pytest.fixture
def env(database: str, redis: Redis, tmp_path: Path) -> dict[str, str]:
    given = environment(database, f"redis://127.0.0.1:{redis.port}/0", tmp_path, free_port())
    return given | {"STORE_PORT": str(free_port()), "TRUSTED_PROXY": "1"}


@pytest.fixture
def staging(env: dict[str, str], tmp_path: Path) -> Iterator[Browser]:
    process = run("staging", env)
    out = tmp_path / "staging.out"
    assert is_so(lambda: "serves port" in out.read_text() or process.poll() is not None)
    assert process.poll() is None, out.read_text()
    yield Browser(f"http://127.0.0.1:{env['PORT']}")
    process.terminate()
    assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_from_an_empty_database_to_a_refund_and_never_to_a_real_store(
    staging: Browser, env: dict[str, str], database: str, tmp_path: Path
) -> None:
    ada = staging
    link = re.findall(r"https://\S+", told(["run", "create-admin", "ada", "ada@example.com"], env))
    join(ada, link[0], "ada")

    add = "/admin/shopify_sync/shopconnection/add/"
    shop = {
        "shop": "demo.myshopify.com",
        "method": "client",
        "client_id": "practice-demo",
        "api_secret": "shpss_practice_demo",
    }
    ada.open(add)
    assert "only these practice shops" in ada.send(shop | {"shop": "real.myshopify.com"})
    assert "the connection works" in ada.send(shop)

    own = [sys.executable, "manage.py", "grant_role", "bob", "agents", "--create", "b@example.com"]
    bob = Browser(f"http://127.0.0.1:{env['PORT']}")
    said = told(own[1:], env | {"DJANGO_SETTINGS_MODULE": "settings.staging"})
    join(bob, re.findall(r"https://\S+", said)[0], "bob")
    with psycopg.connect(database, autocommit=True) as sql:
        paid = "SELECT id FROM orders_order WHERE financial_status = 'PAID' ORDER BY id LIMIT 1"
        assert is_so(lambda: sql.execute(paid).fetchone() is not None), "orders are read"
        (order,) = sql.execute(paid).fetchone() or (0,)
        bob.open(f"/inbox/orders/{order}/refund/")
        page = bob.send({"mode": "amount", "amount": "1.00", "reason": "goodwill"})
        (token,) = re.findall(r'name="token" value="([^"]+)"', page)
        bob.send({"token": token}, f"/inbox/orders/{order}/confirm/")
        state = "SELECT state FROM orders_orderaction"
        assert is_so(lambda: sql.execute(state).fetchall() == [("succeeded",)])
        told_by = "SELECT count(*) FROM shopify_sync_webhookevent WHERE topic LIKE 'refunds/%'"
        assert is_so(lambda: sql.execute(told_by).fetchone() != (0,)), "webhooks arrive"

        # The same database is refused by production, whose shop of this name is someone's real one,
        production = run("web", env)
        assert production.wait(timeout=PATIENCE_S) == 1
        assert "Practice shops are connected" in (tmp_path / "web.out").read_text()
        # and by staging once a real store is in it.
        sql.execute("UPDATE shopify_sync_shopconnection SET is_practice = false")
    elsewhere = env | {"PORT": str(free_port()), "STORE_PORT": str(free_port())}
    again = run("staging", elsewhere | {"VAR_DIR": str(tmp_path)})
    assert again.wait(timeout=PATIENCE_S) == 1
    assert "Real stores are connected" in (tmp_path / "staging.out").read_text()


def test_staging_insists_on_its_own_settings(env: dict[str, str], tmp_path: Path) -> None:
    process = run("staging", env | {"DJANGO_SETTINGS_MODULE": "settings.production"})
    assert process.wait(timeout=PATIENCE_S) == 1
    assert "set DJANGO_SETTINGS_MODULE=settings.staging" in (tmp_path / "staging.out").read_text()
