"""The sidebar in Chromium, inside a page that plays another help desk on another site."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page, Route, expect

from tests.browser.conftest import AXE, Held, log_in
from tests.browser.gallery import PATIENCE_MS
from tests.support.browser.demo import Demo
from tests.support.browser.desk import Desk, context, running_desk, set_up, signed_address

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HANAKO = context("hanako@example.jp", "alice@demo.example", "注文 #1065 のふきんセット")
AISHA = context("aisha@example.com", "alice@demo.example", "#1070")


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with running_desk() as found:
        yield found


def refunds_of(demo: Demo, order_name: str) -> int:
    """How many the shop has booked; other files refund the same orders of a demo."""
    return sum(refund["order_name"] == order_name for refund in demo.ledger()["refunds"])


@pytest.fixture(scope="module")
def chatwoot(request: pytest.FixtureRequest, browser: Browser, demo: Demo, desk: Desk) -> str:
    """The address of a frame for the desk that confirms up to 20.00 inside."""
    context = log_in(browser, demo, "admin")
    # The files that use this may share a demo, where names are unique.
    name = f"Desk of {request.module.__name__}"
    address, _secret = set_up(
        context.new_page(), demo.url, desk.origin, name=name, kind="chatwoot", limit="20"
    )
    context.close()
    return address


@pytest.fixture
def visitor(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    """A browser that knows nothing of us yet."""
    found = browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    yield found
    found.close()


def connect(page: Page, panel: FrameLocator) -> None:
    """Log in, in the window, as alice."""
    expect(panel.get_by_role("heading", name="Log in to see the orders")).to_be_visible(
        timeout=PATIENCE_MS
    )
    with page.expect_popup() as opened:
        panel.get_by_role("button", name="Log in").click()
    window = opened.value
    window.get_by_label("Username").fill("alice")
    window.get_by_label("Password").fill("demo")
    window.get_by_role("button", name="Log in").click()
    expect(window.get_by_text("in the name of Alice Winter")).to_be_visible(timeout=PATIENCE_MS)
    with window.expect_event("close"):
        window.get_by_role("button", name="Connect").click()


def inside(page: Page) -> Frame:
    return page.frames[1]


def axe_in(frame: Frame) -> list[str]:
    frame.evaluate(AXE)
    found = frame.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [f"{v['id']}: {n['html'][:120]}" for v in found["violations"] for n in v["nodes"]]


def test_an_agent_refunds_inside_chatwoot(
    visitor: BrowserContext, demo: Demo, desk: Desk, chatwoot: str
) -> None:
    before = refunds_of(demo, "#1065")
    page = visitor.new_page()
    page.goto(desk.page(chatwoot, HANAKO, plays="chatwoot"))
    panel = page.frame_locator("iframe")
    expect(panel.get_by_role("button", name="Log in")).to_be_visible(timeout=PATIENCE_MS)
    assert axe_in(inside(page)) == []
    connect(page, panel)

    card = panel.locator("details.order").filter(has_text="#1065")
    expect(card).to_have_attribute("open", "", timeout=PATIENCE_MS)
    assert axe_in(inside(page)) == []
    card.get_by_role("button", name="Refund", exact=True).click()
    dialog = panel.get_by_role("dialog")
    dialog.get_by_label("Amount only").check()
    dialog.get_by_label("Amount to refund").fill("500")
    dialog.get_by_label("Reason").select_option(index=1)
    assert axe_in(inside(page)) == []
    dialog.get_by_role("button", name="Review").click()
    confirm = dialog.get_by_role("button", name=re.compile(r"^Refund .*500"))
    expect(confirm).to_be_visible(timeout=PATIENCE_MS)
    assert axe_in(inside(page)) == []
    confirm.dblclick()
    expect(dialog).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    dialog.get_by_role("button", name="Close").last.click()
    expect(card.locator("summary .badges")).to_contain_text(
        "Partially refunded", timeout=PATIENCE_MS
    )
    assert refunds_of(demo, "#1065") == before + 1

    # The access is nowhere but in the script's memory.
    kept = inside(page).evaluate("""() => {
      // A browser that lets no third party keep anything says so by throwing.
      const count = (storage) => { try { return window[storage].length; } catch { return 0; } };
      return [document.cookie, location.search, count("sessionStorage"), count("localStorage")];
    }""")
    assert kept == ["", f"?{chatwoot.partition('?')[2]}", 0, 0]


def test_a_larger_sum_is_confirmed_in_a_window_and_the_frame_follows(
    visitor: BrowserContext, demo: Demo, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    page.goto(desk.page(chatwoot, HANAKO))
    panel = page.frame_locator("iframe")
    connect(page, panel)
    expect(panel.locator("details.order").filter(has_text="#1065")).to_be_visible(
        timeout=PATIENCE_MS
    )
    # The agent goes on to another conversation: the panel goes with them.
    page.evaluate("next => window.lookAt(next)", AISHA)
    card = panel.locator("details.order").filter(has_text="#1070")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.get_by_text("#1065")).to_have_count(0)

    card.get_by_role("button", name="Refund", exact=True).click()
    dialog = panel.get_by_role("dialog")
    dialog.get_by_label("Reason").select_option(index=1)
    dialog.get_by_role("button", name="Review").click()
    confirm = dialog.get_by_role("button", name=re.compile(r"^Refund .*new window"))
    expect(confirm).to_be_visible(timeout=PATIENCE_MS)
    assert axe_in(inside(page)) == []
    with visitor.expect_page() as opened:
        confirm.click()
    window = opened.value
    expect(dialog).to_have_count(0)
    window.get_by_role("button", name=re.compile(r"^Refund ")).click()
    expect(window.locator("#result")).to_contain_text("done by Alice", timeout=PATIENCE_MS)
    expect(card.locator("summary .badges")).to_contain_text("Refunded", timeout=PATIENCE_MS)
    assert refunds_of(demo, "#1070") == 1


def test_an_agent_who_is_not_assigned_sees_why_they_cannot_act(
    visitor: BrowserContext, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    told = context("oliver@example.co.uk", "bob@demo.example")
    page.goto(desk.page(chatwoot, told))
    panel = page.frame_locator("iframe")
    connect(page, panel)
    expect(panel.get_by_text("assign the conversation to yourself").first).to_be_visible(
        timeout=PATIENCE_MS
    )
    no_customer = context("", "alice@demo.example")
    page.evaluate("next => window.lookAt(next)", no_customer)
    expect(panel.get_by_text("No email address or phone number")).to_be_visible(timeout=PATIENCE_MS)
    assert axe_in(inside(page)) == []
    # What is not of Chatwoot's shape changes nothing.
    for bad in ("x", 5, {"event": "appContext"}, {"event": "appContext", "data": {"contact": []}}):
        page.evaluate("next => window.lookAt(next)", bad)
    page.wait_for_timeout(500)
    expect(panel.get_by_text("No email address or phone number")).to_be_visible()


def test_an_unlisted_page_may_not_frame_it(
    visitor: BrowserContext, desk: Desk, chatwoot: str
) -> None:
    page = visitor.new_page()
    with running_desk() as stranger:
        page.goto(stranger.page(chatwoot, HANAKO))
        page.wait_for_timeout(1500)
        assert inside(page).url.startswith("chrome-error:")
        assert page.frame_locator("iframe").locator("#main").count() == 0
    # Negative control: the listed page shows it with the same words.
    page.goto(desk.page(chatwoot, HANAKO))
    expect(page.frame_locator("iframe").get_by_role("button", name="Log in")).to_be_visible(
        timeout=PATIENCE_MS
    )
    # And nothing else of ours can be framed even there.
    page.goto(desk.page(chatwoot.partition("/sidebar/")[0] + "/login/"))
    page.wait_for_timeout(1000)
    assert inside(page).url.startswith("chrome-error:")


def test_a_message_from_an_unlisted_origin_is_ignored(
    visitor: BrowserContext, demo: Demo, desk: Desk, chatwoot: str
) -> None:
    """A frame inside the help desk's page (an ad, a widget) plays Chatwoot."""
    page = visitor.new_page()
    page.goto(desk.page(chatwoot))
    expect(page.frame_locator("iframe").get_by_text("hasn’t said which customer")).to_be_visible(
        timeout=PATIENCE_MS
    )
    page.evaluate("""() => new Promise((done) => {
      const other = document.createElement("iframe");
      other.onload = done;
      other.src = location.origin.replace("localhost", "127.0.0.1");
      document.body.append(other);
    })""")
    other = page.frames[-1]
    say = "told => parent.frames[0].postMessage(JSON.stringify(told), '*')"
    other.evaluate(say, HANAKO)
    page.wait_for_timeout(500)
    panel = page.frame_locator("iframe >> nth=0")
    expect(panel.get_by_role("button", name="Log in")).to_have_count(0)
    # Negative control: the same words from the page itself are heard.
    page.evaluate("told => frames[0].postMessage(JSON.stringify(told), '*')", HANAKO)
    expect(panel.get_by_role("button", name="Log in")).to_be_visible(timeout=PATIENCE_MS)


def test_a_signed_address_opens_once(
    browser: Browser, visitor: BrowserContext, demo: Demo, desk: Desk
) -> None:
    admin = log_in(browser, demo, "admin")
    address, secret = set_up(
        admin.new_page(), demo.url, desk.origin, name="Signing desk", kind="generic", limit="20"
    )
    admin.close()
    signed = signed_address(
        address, secret, agent="alice@demo.example", email="oliver@example.co.uk"
    )
    page = visitor.new_page()
    page.goto(desk.page(signed))
    panel = page.frame_locator("iframe")
    expect(panel.locator("details.order").filter(has_text="#1095")).to_be_visible(
        timeout=PATIENCE_MS
    )
    assert axe_in(inside(page)) == []
    assert "sig=" not in inside(page).evaluate("location.href")
    # The next conversation in the same frame, and then the old address once more.
    fresh = signed_address(address, secret, agent="alice@demo.example", email="unknown@example.com")
    page.evaluate("src => { document.querySelector('iframe').src = src; }", fresh)
    expect(panel.get_by_role("heading", name="No orders found")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(desk.page(signed))
    expect(panel.get_by_role("heading", name="Open the conversation again")).to_be_visible(
        timeout=PATIENCE_MS
    )
    assert axe_in(inside(page)) == []


def test_a_pass_that_is_renewed_late_does_not_bring_the_customer_before_back(
    visitor: BrowserContext,
    desk: Desk,
    chatwoot: str,
) -> None:
    page = visitor.new_page()

    def ends_soon(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"valid_s": 60})

    page.route(re.compile("/sidebar/swap/"), ends_soon)
    held = Held(page, "/sidebar/renew/")
    page.goto(desk.page(chatwoot, HANAKO))
    panel = page.frame_locator("iframe")
    connect(page, panel)
    expect(panel.get_by_text("#1065").first).to_be_visible(timeout=PATIENCE_MS)
    inside(page).evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    held.wait()
    page.evaluate("next => window.lookAt(next)", AISHA)
    expect(panel.get_by_text("#1070").first).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_response(re.compile("/sidebar/renew/")):
        held.routes[0].continue_()
    page.wait_for_timeout(300)
    with page.expect_response(re.compile("/sidebar/orders/")):
        inside(page).evaluate("document.dispatchEvent(new CustomEvent('live:resync'))")
    page.wait_for_timeout(300)
    expect(panel.get_by_text("#1070").first).to_be_visible()
    expect(panel.get_by_text("#1065")).to_have_count(0)


def test_the_help_desk_goes_on_while_the_agent_connects(
    visitor: BrowserContext,
    desk: Desk,
    chatwoot: str,
) -> None:
    page = visitor.new_page()
    held = Held(page, "/sidebar/swap/")
    page.goto(desk.page(chatwoot, HANAKO))
    panel = page.frame_locator("iframe")
    with page.expect_popup() as opened:
        panel.get_by_role("button", name="Log in").click(timeout=PATIENCE_MS)
    window = opened.value
    window.get_by_label("Username").fill("alice")
    window.get_by_label("Password").fill("demo")
    window.get_by_role("button", name="Log in").click()
    window.get_by_role("button", name="Connect").click()
    held.wait()
    page.evaluate("next => window.lookAt(next)", AISHA)
    page.wait_for_timeout(300)
    held.routes[0].continue_()
    expect(panel.get_by_text("#1070").first).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.get_by_text("#1065")).to_have_count(0)


def test_the_next_customer_is_shown_though_the_one_before_took_long(
    visitor: BrowserContext,
    desk: Desk,
    chatwoot: str,
) -> None:
    page = visitor.new_page()
    held = Held(page, "/sidebar/orders/$")
    page.goto(desk.page(chatwoot, HANAKO))
    panel = page.frame_locator("iframe")
    connect(page, panel)
    held.wait()
    with page.expect_response(re.compile("/sidebar/look/")):
        page.evaluate("next => window.lookAt(next)", AISHA)
    page.wait_for_timeout(300)
    held.routes[0].continue_()
    expect(panel.get_by_text("#1070").first).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.get_by_text("#1065")).to_have_count(0)
