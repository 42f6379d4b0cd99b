"""Logging in as people do it: with an app, a passkey, a link by mail, a provider.

With a server in this process instead of the demo, whose people log in with a password alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.conftest import AXE, Watched
from tests.support.browser.demo import CHROMIUM, FLAGS
from tests.support.people.oidc import Provider, settings_for
from tests.support.people.signing_in import code
from tests.support.servers.smtp_sink import Sink

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "walnut ferry umbrella 12"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # The browser's driver has an event loop in this thread.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def address(live_server: Any, settings: Any, transactional_db: None) -> str:
    cache.clear()
    settings.SECOND_FACTOR_REQUIRED = True
    settings.REAUTHENTICATION_MINUTES = 15
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
    settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
    settings.PUBLIC_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def kim(address: str) -> User:
    user = User.objects.create_user("kim", email="kim@shop.example", password=PASSWORD)
    user.groups.add(Group.objects.get_or_create(name="agents")[0])
    return user


@pytest.fixture
def context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    found = chromium.new_context(base_url=address)
    yield found
    found.close()


def begin(context: BrowserContext) -> Watched:
    watched = Watched(context.new_page())
    watched.page.goto("/login/")
    return watched


def give_password(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Username or email").fill("kim")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def forget(page: Page) -> None:
    """Like a browser that is started anew."""
    # An open page would notice that its session is gone, and load itself again.
    page.goto("about:blank")
    page.context.clear_cookies()


def add_authenticator(context: BrowserContext, page: Page) -> None:
    """A virtual passkey device, built into the computer, whose owner has just touched it."""
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": device})


def axe(page: Page) -> list[Any]:
    page.evaluate(AXE)
    found: list[Any] = page.evaluate("axe.run().then(r => r.violations.map(v => v.id))")
    return found


def test_the_first_log_in_sets_up_an_app(context: BrowserContext, kim: User) -> None:
    watched = begin(context)
    page = watched.page
    assert axe(page) == []
    give_password(page)
    expect(page.get_by_text("a password alone isn’t enough")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="Set up an authenticator app").click()
    expect(page.get_by_alt_text("QR code")).to_be_visible()
    secret = page.get_by_label("Key", exact=True).input_value()
    page.get_by_label("Authenticator code").fill(code(secret))
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    assert axe(page) == []
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url("**/inbox/")
    # The next login asks for the code.
    forget(page)
    page.goto("/login/")
    give_password(page)
    page.get_by_label("Code").fill(code(secret, ahead=1))
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/inbox/")
    assert watched.troubles == []


def test_a_passkey_is_added_and_logs_in_alone(context: BrowserContext, kim: User) -> None:
    watched = begin(context)
    page = watched.page
    add_authenticator(context, page)
    give_password(page)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto("/account/")
    expect(page.get_by_text("Laptop")).to_be_visible()
    forget(page)
    page.goto("/login/?next=/inbox/decisions/")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/inbox/decisions/")
    # As a second step, too, and to prove once more who is there.
    forget(page)
    page.goto("/login/")
    give_password(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/inbox/")
    assert watched.troubles == []


def test_a_session_ended_from_elsewhere(
    chromium: Browser, context: BrowserContext, kim: User, settings: Any, address: str
) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    here = begin(context).page
    give_password(here)
    here.wait_for_url("**/inbox/")
    elsewhere = chromium.new_context(base_url=address)
    there = begin(elsewhere).page
    give_password(there)
    there.wait_for_url("**/inbox/")
    there.goto("/account/sessions/")
    expect(there.get_by_text("This browser")).to_have_count(1)
    there.get_by_role("button", name="Log out everywhere else").click()
    expect(there.locator(".line-list li")).to_have_count(1)
    elsewhere.close()
    # The open page notices at its next request, and asks for the password without going away.
    here.get_by_role("link", name="All", exact=True).click()
    expect(here.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    here.get_by_role("dialog").get_by_label("Password").fill(PASSWORD)
    here.get_by_role("dialog").get_by_role("button", name="Log in", exact=True).click()
    expect(here.get_by_role("dialog", name="Your session has ended")).to_be_hidden()


def test_a_forgotten_password_is_set_by_mail(
    context: BrowserContext, kim: User, settings: Any
) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    with Sink() as sink:
        settings.EMAIL_BACKEND = "inbox.channels.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        watched = begin(context)
        page = watched.page
        page.get_by_role("link", name="Forgot your password?").click()
        page.get_by_label("Email").fill("kim@shop.example")
        page.get_by_role("button", name="Send the link").click()
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        [letter] = sink.letters
        link = re.search(r"http://\S+/account/reset/\S+", letter)
        assert link
        page.goto(link[0])
        for label in ("New Password", "New Password (again)"):
            page.get_by_label(label, exact=True).fill("cobalt meadow violin 47")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Your new password is set")).to_be_visible()
        page.get_by_role("main").get_by_role("link", name="Log in").click()
        give_password(page, "cobalt meadow violin 47")
        page.wait_for_url("**/inbox/")
        assert watched.troubles == []


def test_a_provider_logs_in(context: BrowserContext, kim: User, settings: Any) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    provider = Provider()
    try:
        settings.OIDC_ISSUER, settings.OIDC_NAME = provider.issuer, "Test company"
        settings.SOCIALACCOUNT_PROVIDERS = settings_for(provider)
        provider.person = {"sub": "s-1", "email": kim.email, "email_verified": True}
        watched = begin(context)
        watched.page.get_by_role("button", name="Log in with Test company").click()
        watched.page.wait_for_url("**/inbox/")
        assert watched.troubles == []
        assert provider.refused == []
    finally:
        provider.stop()
