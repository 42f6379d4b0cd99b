"""Other help desks in Chromium, played after their own sources: what each of them does differently."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from tests.browser.conftest import log_in
from tests.browser.gallery import PATIENCE_MS
from tests.browser.test_frame import (  # noqa: F401  fixtures
    AISHA,
    HANAKO,
    chatwoot,
    connect,
    desk,
    visitor,
)
from tests.support.browser.demo import Demo
from tests.support.browser.desk import (
    Desk,
    after_live_event,
    context,
    help_scout_context,
    running_desk,
    set_up,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
UNASSIGNED = context("hanako@example.jp", "")
LOG_IN = "Log in to see the orders"


def shown(panel: FrameLocator, number: str) -> None:
    expect(panel.locator("details.order").filter(has_text=number).first).to_be_visible(
        timeout=PATIENCE_MS
    )


def refund(panel: FrameLocator, number: str, amount: str) -> None:
    card = panel.locator("details.order").filter(has_text=number)
    card.get_by_role("button", name="Refund", exact=True).click()
    dialog = panel.get_by_role("dialog")
    dialog.get_by_label("Amount only").check()
    dialog.get_by_label("Amount to refund").fill(amount)
    dialog.get_by_label("Reason").select_option(index=1)
    dialog.get_by_role("button", name="Review").click()
    dialog.get_by_role("button", name=re.compile(r"^Refund ")).click(timeout=PATIENCE_MS)
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)


def first_frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe >> nth=0")


def test_chatwoots_next_conversation_asks_for_no_login(
    visitor: BrowserContext, demo: Demo, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    page.goto(desk.page(chatwoot, HANAKO, plays="chatwoot"))
    panel = first_frame(page)
    connect(page, panel)
    shown(panel, "#1065")
    page.evaluate("next => openConversation(next)", AISHA)
    shown(panel, "#1070")
    expect(panel.get_by_text("#1065")).to_have_count(0)
    # Negative control: with the login, the seat ends.
    inbox = visitor.new_page()
    inbox.goto(f"{demo.url}/inbox/")
    inbox.evaluate("""() => fetch("/inbox/logout/", { method: "POST", body: new URLSearchParams({
      csrfmiddlewaretoken: document.querySelector("[name=csrfmiddlewaretoken]").value }) })""")
    page.evaluate("next => openConversation(next)", HANAKO)
    expect(panel.get_by_role("heading", name=LOG_IN)).to_be_visible(timeout=PATIENCE_MS)


def test_who_assigned_the_conversation_to_themselves_may_act(
    visitor: BrowserContext, desk: Desk, chatwoot: str
) -> None:
    """With a second dashboard app, which gets the answers to what we ask."""
    page = visitor.new_page()
    page.goto(desk.page(chatwoot, UNASSIGNED, plays="chatwoot", beside=True))
    panel = first_frame(page)
    connect(page, panel)
    hint = panel.get_by_text("assign the conversation to yourself").first
    expect(hint).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(5500)
    mine = after_live_event("hanako@example.jp", "alice@demo.example")
    page.evaluate("next => { openTab(1); changed(next); }", mine)
    page.wait_for_timeout(300)
    page.evaluate("openTab(0)")
    expect(hint).to_have_count(0, timeout=PATIENCE_MS)
    shown(panel, "#1065")
    # A colleague's ID is not mine.
    theirs = after_live_event("hanako@example.jp", "bob@demo.example")
    page.evaluate("next => openConversation(next)", theirs)
    expect(hint).to_be_visible(timeout=PATIENCE_MS)


def test_copying_works_without_the_permission_for_the_clipboard(
    visitor: BrowserContext, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    page.goto(desk.page(chatwoot, HANAKO, plays="chatwoot"))
    panel = first_frame(page)
    connect(page, panel)
    shown(panel, "#1065")
    button = panel.locator("[data-copy]:visible").first
    text = button.get_attribute("data-copy")
    button.click()
    expect(button).to_have_attribute("data-copied", "")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value() == text


def test_an_agent_refunds_inside_help_scout(
    visitor: BrowserContext, demo: Demo, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    told = help_scout_context("hanako@example.jp", "alice@demo.example", "#1065")
    # Help Scout adds who and what is open, and its signature, to the address.
    page.goto(
        desk.page(f"{chatwoot}&conversation-id=7&X-HelpScout-Signature=x", told, plays="help-scout")
    )
    panel = first_frame(page)
    connect(page, panel)
    shown(panel, "#1065")
    assert page.evaluate("asked[0]") == ["4711", "app-4711"]
    before = len(demo.ledger()["refunds"])
    refund(panel, "#1065", "300")
    assert len(demo.ledger()["refunds"]) == before + 1
    page.evaluate("next => lookAt(next)", help_scout_context("aisha@example.com", ""))
    shown(panel, "#1070")
    expect(panel.get_by_text("assign the conversation to yourself").first).to_be_visible()
    with running_desk() as stranger:
        page.goto(stranger.page(chatwoot, told, plays="help-scout"))
        page.wait_for_timeout(1500)
        assert page.frames[1].url.startswith("chrome-error:")
        assert page.evaluate("asked") == []


# --- Desks that show an app of integrations/, which shows the panel --------------------------------


@pytest.fixture(scope="module")
def apps() -> Iterator[Desk]:
    """The server from which the help desk shows its apps: another origin than its own pages'."""
    with running_desk() as found:
        yield found


@pytest.fixture(scope="module")
def within_app(browser: Browser, demo: Demo, desk: Desk, apps: Desk) -> str:
    """The address of a frame for a desk's pages and its apps."""
    admin = log_in(browser, demo, "admin")
    address, _secret = set_up(
        admin.new_page(),
        demo.url,
        f"{desk.origin}\n{apps.origin}",
        name="Desk with apps",
        kind="chatwoot",
        limit="20",
    )
    admin.close()
    return address


def user(number: int, email: str) -> dict[str, object]:
    """Zendesk's User object, of which we read these."""
    return {"id": number, "email": email, "name": "…", "identities": [], "role": "end-user"}


def zendesk_ticket(**more: object) -> dict[str, object]:
    """The objects of a ticket that is assigned to Alice, by their paths."""
    return {
        "ticket.requester": user(900, "hanako@example.jp"),
        "ticket.assignee.user": user(3, "alice@demo.example"),
        "ticket.subject": "Order #1065",
        "ticket.description": "…",
        "currentUser": user(3, "alice@demo.example"),
        **more,
    }


def freshdesk_ticket(**more: object) -> dict[str, object]:
    return {
        "ticket": {"id": 7, "subject": "#1065", "description_text": "…", "responder_id": 3},
        "contact": {"id": 900, "email": "hanako@example.jp", "phone": None, "mobile": None},
        "loggedInUser": {"id": 3, "contact": {"id": "3", "email": "alice@demo.example"}},
        **more,
    }


UNASSIGNED_TICKET = {"id": 7, "subject": "#1065", "description_text": "…", "responder_id": None}
DESK_APPS = pytest.mark.parametrize(
    ("plays", "page", "told", "changed", "event"),
    [
        (
            "zendesk",
            "zendesk/assets/iframe.html",
            zendesk_ticket(),
            {"ticket.assignee.user": user(4, "bob@demo.example")},
            "ticket.assignee.user.id.changed",
        ),
        (
            "freshdesk",
            "freshdesk/app/index.html",
            freshdesk_ticket(),
            {"ticket": UNASSIGNED_TICKET},
            "ticket.propertiesUpdated",
        ),
    ],
    ids=["Zendesk", "Freshdesk"],
)


@DESK_APPS
def test_an_agent_refunds_inside_a_desks_app(
    visitor: BrowserContext,
    demo: Demo,
    desk: Desk,
    apps: Desk,
    within_app: str,
    plays: str,
    page: str,
    told: dict[str, object],
    changed: dict[str, object],
    event: str,
) -> None:
    web = visitor.new_page()
    settings = {"sidebar_url": within_app}
    web.goto(desk.page(apps.app(page), told, plays=plays, settings=settings))
    panel = web.frame_locator("iframe").frame_locator("iframe")
    connect(web, panel)
    shown(panel, "#1065")
    before = len(demo.ledger()["refunds"])
    refund(panel, "#1065", "100")
    assert len(demo.ledger()["refunds"]) == before + 1
    panel.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    web.evaluate("([next, event]) => change(next, event)", [changed, event])
    hint = panel.get_by_text("assign the conversation to yourself").first
    expect(hint).to_be_visible(timeout=PATIENCE_MS)


@DESK_APPS
def test_an_unlisted_app_shows_which_addresses_to_list(
    visitor: BrowserContext,
    desk: Desk,
    apps: Desk,
    chatwoot: str,
    plays: str,
    page: str,
    told: dict[str, object],
    changed: dict[str, object],
    event: str,
) -> None:
    """The desk's own pages are listed, the pages of its apps aren't."""
    web = visitor.new_page()
    settings = {"sidebar_url": chatwoot}
    web.goto(desk.page(apps.app(page), told, plays=plays, settings=settings))
    hint = web.frame_locator("iframe").locator("#hint")
    expect(hint).to_contain_text(f"{apps.origin} {desk.origin}", timeout=PATIENCE_MS)
    assert web.frames[2].url.startswith("chrome-error:")
