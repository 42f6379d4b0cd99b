"""Every page survives what browsers do: Back, lost responses, no stream, an ended session, a
second tab, double size, long names, printing.

After each of them a page has its styles and its heading, fits, and has said nothing in the console
that no one caused. `PAGES` is the one list: a new page belongs here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.conftest import Held, Watched, log_in
from tests.support.browser.demo import Demo
from tests.support.browser.writing import write_to

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.thorough]
PATIENCE_MS: Final = 20_000
WIDE: Final[ViewportSize] = {"width": 1440, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
# 1440 x 900 at 200 %.
ENLARGED: Final[ViewportSize] = {"width": 720, "height": 450}


@dataclass(frozen=True)
class Place:
    """`address` is filled in with ids of the demo; `heading` is a part of the page's h1."""

    name: str
    address: str
    heading: str


PAGES: Final = (
    Place("list", "/inbox/?scope=all", "Conversations"),
    Place("conversation", "/inbox/conversations/{conversation}/", "Conversation with"),
    Place("orders pane", "/inbox/conversations/{conversation}/#orders", "Conversation with"),
    Place("orders", "/inbox/conversations/{conversation}/orders/", "This customer’s orders"),
    Place("order search", "/inbox/orders/?q=1043", "Find an order"),
    Place("order page", "/inbox/orders/{order}/", "#1043"),
    Place("decisions", "/inbox/decisions/", "Decisions"),
    Place("contact", "/inbox/contacts/{contact}/", ""),
)
IDS: Final = [place.name for place in PAGES]


@dataclass
class Office:
    """One browser of sara's for all of this file."""

    context: BrowserContext
    demo: Demo
    ids: dict[str, str]

    def address(self, place: Place) -> str:
        return place.address.format(**self.ids)


@pytest.fixture(scope="module")
def office(browser: Browser, demo: Demo) -> Iterator[Office]:
    context = log_in(browser, demo, "sara", viewport=WIDE, reduced_motion="reduce")
    page = context.new_page()
    page.goto("/inbox/?scope=all&q=1043")
    address = page.locator("a.conversation-row").first.get_attribute("href") or ""
    page.goto(address)
    contact = page.locator("#header h2 a").get_attribute("href") or ""
    page.goto("/inbox/orders/?q=1043")
    order = page.locator("a.found-name").first.get_attribute("href") or ""
    page.close()
    ids = {
        name: re.findall(r"\d+", found)[-1]
        for name, found in (("conversation", address), ("contact", contact), ("order", order))
    }
    yield Office(context, demo, ids)
    context.close()


@pytest.fixture
def page(office: Office) -> Iterator[Page]:
    found = office.context.new_page()
    found.set_viewport_size(WIDE)
    yield found
    found.close()


# What is wider than where it stands, and cannot be scrolled to on purpose.
_TOO_WIDE: Final = """() => {
  const wide = [document.documentElement, ...document.querySelectorAll(
    '.pane, .thread, .list-scroll, .card, .order, .desk-tile, .desk-card:not(.desk-scroll), dialog[open]')];
  return wide.filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
    .map((e) => `${e.tagName}.${e.className}#${e.id} is ${e.scrollWidth} wide in ${e.clientWidth}`);
}"""


def wrong_with(page: Page, place: Place) -> list[str]:
    """What is not as it should be on this page, a line each."""
    found = []
    if "Inter" not in page.evaluate("getComputedStyle(document.body).fontFamily"):
        found.append("it has no styles")
    headings = page.locator("h1").all_text_contents()
    if len(headings) != 1 and place.heading:
        found.append(f"its headings are {headings}")
    elif place.heading and place.heading not in headings[0]:
        found.append(f"its heading is {headings[0]!r}")
    if not page.locator("main#main").count():
        found.append("it has no main part")
    return [*found, *page.evaluate(_TOO_WIDE)]


# What every change makes a page do; each part is answered before the next asks.
_ASK: Final = """async () => {
  let asked = 0;
  for (const part of document.querySelectorAll('[data-live-src]')) {
    asked += 1;
    await htmx.ajax('GET', part.dataset.liveSrc, {source: part, target: part, swap: 'morph:outerHTML'})
      .catch(() => {});
  }
  return asked;
}"""


def asks_again(page: Page) -> int:
    """Every part that is kept up to date asks now, as after any change: how many there were."""
    page.wait_for_load_state("networkidle")
    return int(page.evaluate(_ASK))


def goes_back_and_forward(page: Page, office: Office, place: Place) -> None:
    """After the page's parts were fetched once more: an address of its own must be kept apart."""
    asks_again(page)
    elsewhere = PAGES[0] if place.name == "decisions" else PAGES[5]
    page.locator(f".topbar nav a[href='{elsewhere.address.partition('?')[0]}']").click()
    expect(page.locator("h1")).to_have_text(elsewhere.heading)
    asks_again(page)
    page.go_back()
    assert wrong_with(page, place) == [], "after Back"
    page.go_forward()
    assert wrong_with(page, elsewhere) == [], "after Forward"
    page.go_back()


def comes_from_another_site(page: Page, office: Office, place: Place) -> None:
    asks_again(page)
    page.goto(f"{office.demo.store_url}/_practice/")
    page.go_back()


def loses_answers(page: Page, office: Office, place: Place) -> None:
    lost = []

    def drop(route: Route) -> None:
        if route.request.headers.get("hx-request"):
            lost.append(route.request.url)
            route.abort()
        else:
            route.fallback()

    page.route("**/*", drop)
    assert asks_again(page) <= len(lost)
    page.unroute("**/*", drop)


def has_no_stream(page: Page, office: Office, place: Place) -> None:
    """As while Redis, or the way to it, is gone."""
    page.route("**/events/**", lambda route: route.abort())
    page.reload()
    expect(page.locator("h1").first).to_be_attached()
    page.unroute("**/events/**")


def loses_its_session(page: Page, office: Office, place: Place) -> None:
    """The way back from the login leads to the page itself, not to a part of it."""
    kept = office.context.cookies()
    office.context.clear_cookies(name="sessionid")
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert wrong_with(page, Place("log-in", "", "Log in")) == []
    office.context.add_cookies(
        [
            {
                "name": each["name"],
                "value": each["value"],
                "domain": each["domain"],
                "path": each["path"],
                "expires": each["expires"],
                "httpOnly": each["httpOnly"],
                "secure": each["secure"],
                "sameSite": each["sameSite"],
            }
            for each in kept
            if each["name"] in {"sessionid", "csrftoken"}
        ]
    )
    page.goto(office.address(place))


def has_a_second_tab(page: Page, office: Office, place: Place) -> None:
    other = office.context.new_page()
    other.goto(office.address(place))
    assert wrong_with(other, place) == []
    asks_again(page)
    other.close()


def is_enlarged(page: Page, office: Office, place: Place) -> None:
    page.set_viewport_size(ENLARGED)
    page.reload()
    assert wrong_with(page, place) == []
    page.set_viewport_size(PHONE)


DISTURBANCES: Final[tuple[Callable[[Page, Office, Place], None], ...]] = (
    goes_back_and_forward,
    comes_from_another_site,
    loses_answers,
    has_no_stream,
    loses_its_session,
    has_a_second_tab,
    is_enlarged,
)
# What a lost answer, a stream that is not there and an end of a session are bound to say.
_CAUSED: Final = re.compile(r"net::ERR_|/events/|status of 40[134]|^htmx:")


@pytest.mark.parametrize("place", PAGES, ids=IDS)
def test_a_page_survives_what_browsers_do(office: Office, page: Page, place: Place) -> None:
    watched = Watched(page)
    page.goto(office.address(place))
    assert wrong_with(page, place) == []
    for disturb in DISTURBANCES:
        disturb(page, office, place)
        assert wrong_with(page, place) == [], disturb.__name__
    assert [line for line in watched.troubles if not _CAUSED.search(line)] == []


class _TwoAnswers(BaseHTTPRequestHandler):
    """One address with a page and a part of it; `vary` is what it says of that."""

    vary = ""

    def do_GET(self) -> None:
        body = b"<p>part</p>" if self.headers.get("HX-Request") else b"<h1>page</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        if self.vary:
            self.send_header("Vary", self.vary)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.mark.parametrize(("vary", "shown"), [("", "part"), ("HX-Request", "page")])
def test_back_shows_a_part_unless_its_address_says_so(
    browser: Browser, vary: str, shown: str
) -> None:
    """Negative control: this is what the browser does with answers that do not name the header."""
    handler = type("Handler", (_TwoAnswers,), {"vary": vary})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        page = browser.new_page()
        page.goto(address)
        page.evaluate("fetch('/', {headers: {'HX-Request': 'true'}}).then((a) => a.text())")
        page.goto("about:blank")
        page.go_back()
        assert page.locator("body").inner_text() == shown
        page.close()
        server.shutdown()


def test_back_after_the_panels_search_shows_the_page(office: Office, page: Page) -> None:
    """The search beside a conversation asks for rows at the address of the page of all orders."""
    page.goto("/inbox/orders/?q=1043")
    page.goto(office.address(PAGES[1]))
    page.locator("#panel-words").fill("1043")
    expect(page.locator("#panel-found .found-order").first).to_be_visible(timeout=PATIENCE_MS)
    page.go_back()
    assert wrong_with(page, PAGES[4]) == []


# --- Names of 200 letters -----------------------------------------------------------------------
_LENGTHEN: Final = """() => {
  const long = 'Wolfeschlegelsteinhausenberger'.repeat(7).slice(0, 200);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const names = /\\b(Demo Store|Second Store|Sara|Alice|Bob|Messenger|Webshop chat)\\b/g;
  const texts = [];
  for (let node; (node = walk.nextNode());) if (!node.parentElement.closest('script, style, template')) texts.push(node);
  for (const node of texts) {
    if (node.parentElement.closest('bdi:not([dir], .nowrap *, .num *, .customer-facts *)') || node.parentElement.matches('.desk-tile-value')) node.data = node.data.trim() && long;
    else node.data = node.data.replace(names, long);
  }
}"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_long_names_break_no_page(office: Office, page: Page, size: dict[str, int]) -> None:
    troubles = []
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    for place in PAGES:
        page.goto(office.address(place))
        page.evaluate(_LENGTHEN)
        troubles += [f"{place.name}: {line}" for line in page.evaluate(_TOO_WIDE)]
    assert "\n".join(troubles) == ""


@pytest.mark.parametrize("width", [1440, 390])
def test_long_names_break_no_admin_tile(browser: Browser, demo: Demo, width: int) -> None:
    context = log_in(browser, demo, "admin", viewport={"width": width, "height": 900})
    page, troubles = context.new_page(), []
    for address in ("/admin/", "/admin/money/"):
        page.goto(address)
        page.evaluate(_LENGTHEN)
        troubles += [f"{address}: {line}" for line in page.evaluate(_TOO_WIDE)]
    context.close()
    assert "\n".join(troubles) == ""


# --- The newest message -------------------------------------------------------------------------
_SEEN: Final = """() => {
  const last = [...document.querySelectorAll('#thread .message')].at(-1);
  const box = last?.getBoundingClientRect();
  const thread = document.getElementById('thread').getBoundingClientRect();
  return !!box && box.bottom <= Math.min(innerHeight, Math.max(thread.bottom, 0)) + 1 && box.bottom > 0;
}"""


@pytest.fixture(scope="module")
def long_one(demo: Demo) -> int:
    return write_to(
        demo, f"Rosa {token_hex(3)}", *(f"Message {n}. " + "More words. " * 20 for n in range(55))
    )


@pytest.mark.parametrize("size", [WIDE, PHONE, ENLARGED], ids=["wide", "phone", "enlarged"])
def test_a_thread_opens_at_its_newest_message(
    office: Office, page: Page, long_one: int, size: dict[str, int]
) -> None:
    """And stays there while a font comes late and messages grow."""
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    fonts = Held(page, r"\.woff2")
    page.goto(f"/inbox/conversations/{long_one}/", wait_until="commit")
    expect(page.locator("#thread .message").last).to_be_attached()
    page.wait_for_function(_SEEN)
    for route in fonts.routes:
        route.continue_()
    page.evaluate("document.fonts.ready")
    page.evaluate("document.querySelector('#thread .message .bubble').style.paddingBlock = '300px'")
    page.wait_for_function(_SEEN)
    # An agent who has scrolled up stays there.
    page.mouse.move(size["width"] / 2, size["height"] / 2)
    page.mouse.wheel(0, -1500)
    page.wait_for_function(f"() => !({_SEEN})()")
    page.evaluate("document.querySelector('#thread .message .bubble').style.paddingBlock = '400px'")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert not page.evaluate(_SEEN)


def test_the_next_conversation_opens_at_its_newest_too(
    office: Office, page: Page, long_one: int
) -> None:
    page.set_viewport_size(ENLARGED)
    page.goto(f"/inbox/conversations/{long_one}/")
    page.wait_for_function(_SEEN)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.goto(office.address(PAGES[1]))
    page.wait_for_function(_SEEN)


def test_a_page_of_the_past_leads_back_to_the_newest(
    office: Office, page: Page, long_one: int
) -> None:
    page.goto(f"/inbox/conversations/{long_one}/")
    assert page.get_by_role("link", name="Newest messages").count() == 0
    page.get_by_role("link", name="Older messages").click()
    expect(page.locator("#thread")).not_to_contain_text("Message 54.")
    page.get_by_role("link", name="Newest messages").click()
    expect(page.locator("#thread")).to_contain_text("Message 54.")
    assert page.get_by_role("link", name="Newest messages").count() == 0


# --- The keyboard -------------------------------------------------------------------------------
_PRESS: Final = """(keys) => {
  for (const key of keys) document.body.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...key}));
}"""


# What each layout gives for a key: (what it writes, its place, Shift), and what is meant by it.
_LETTERS: Final = (
    ({"key": "r", "code": "KeyR"}, True),
    ({"key": "R", "code": "KeyR"}, True),  # Caps Lock
    ({"key": "R", "code": "KeyR", "shiftKey": True}, False),
    ({"key": "к", "code": "KeyR"}, True),  # Russian
    ({"key": "К", "code": "KeyR"}, True),  # Russian, Caps Lock
    ({"key": "ق", "code": "KeyR"}, True),  # Arabic
    ({"key": "ρ", "code": "KeyR"}, True),  # Greek
    ({"key": "r", "code": "KeyO"}, True),  # Dvorak: as it is written
    ({"key": "p", "code": "KeyR"}, False),  # Dvorak, and nothing of ours
    ({"key": "é", "code": "KeyR"}, False),
    ({"key": "Process", "code": "KeyR"}, False),
    ({"key": "r", "code": "KeyR", "isComposing": True}, False),
)
_SLASHES: Final = (
    {"key": "/", "code": "Slash"},
    {"key": "/", "code": "Digit7", "shiftKey": True},  # German
    {"key": "/", "code": "KeyQ"},  # Hebrew
    {"key": "ظ", "code": "Slash"},  # Arabic
)
_QUESTION_MARKS: Final = (
    {"key": "?", "code": "Slash", "shiftKey": True},
    {"key": "?", "code": "Minus", "shiftKey": True},  # German
    {"key": "؟", "code": "Slash", "shiftKey": True},  # Arabic
)


def test_keyboard_shortcuts_work_on_every_keyboard_layout(office: Office, page: Page) -> None:
    page.goto(office.address(PAGES[1]))
    for key, is_one in _LETTERS:
        page.evaluate("document.activeElement.blur()")
        page.evaluate(_PRESS, [key])
        at = page.evaluate("document.activeElement.id")
        assert (at == "composer-text") == is_one, key


def test_shortcut_signs_work_wherever_the_layout_puts_them(office: Office, page: Page) -> None:
    page.goto(office.address(PAGES[0]))
    for key in _SLASHES:
        page.evaluate("document.activeElement.blur()")
        page.evaluate(_PRESS, [key])
        assert page.evaluate("document.activeElement.id") == "list-search", key
    page.evaluate("document.activeElement.blur()")
    for key in _QUESTION_MARKS:
        page.evaluate(_PRESS, [key])
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_have_count(0)


def test_walking_through_the_list_fetches_only_where_it_stops(office: Office, page: Page) -> None:
    page.goto(office.address(PAGES[0]))
    asked: list[str] = []
    page.on(
        "request",
        lambda request: (
            asked.append(request.url) if request.headers.get("x-fetched-ahead") else None
        ),
    )
    for _ in range(6):
        page.keyboard.press("j")
    stopped = page.evaluate("document.activeElement.href")
    with page.expect_request(lambda request: "x-fetched-ahead" in request.headers):
        pass
    page.wait_for_load_state("networkidle")
    assert asked == [stopped]


# --- Two tabs, two languages --------------------------------------------------------------------
def test_a_tab_keeps_its_language_while_another_changes_it(office: Office, page: Page) -> None:
    page.goto(office.address(PAGES[0]))
    other = office.context.new_page()
    other.goto(office.address(PAGES[0]))
    try:
        other.locator(".topbar .menu summary").click()
        other.locator(".menu-languages [value=de]").click()
        expect(other.locator("html")).to_have_attribute("lang", "de")
        page.locator("a.conversation-row").nth(1).click()
        expect(page.locator("#resolve, #reopen").first).to_contain_text(
            re.compile("Resolve|Reopen")
        )
        asks_again(page)
        expect(page.locator("#resolve, #reopen").first).to_contain_text(
            re.compile("Resolve|Reopen")
        )
        expect(page.locator(".pane-tabs a").first).to_have_text("Conversation")
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", "de")
    finally:
        other.locator(".topbar .menu summary").click()
        other.locator(".menu-languages [value=en]").click()
        expect(other.locator("html")).to_have_attribute("lang", "en")
        other.close()


# --- Paper --------------------------------------------------------------------------------------
_CUT_OFF: Final = """() => [...document.querySelectorAll('#thread .message, #panel .order[open] .line')]
  .filter((e) => {
    if (!e.checkVisibility()) return true;
    const box = e.getBoundingClientRect();
    for (let up = e.parentElement; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      const frame = up.getBoundingClientRect();
      if (style.overflowY !== 'visible' && up !== document.documentElement
          && (box.bottom > frame.bottom + 1 || box.top < frame.top - 1)) return true;
    }
    return false;
  }).map((e) => e.textContent.trim().slice(0, 40))"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_conversation_is_printed_whole(
    office: Office, page: Page, long_one: int, size: dict[str, int]
) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    for address, texts in (
        (f"/inbox/conversations/{long_one}/", ("Message 10.", "Message 54.")),
        (office.address(PAGES[1]), ("Ship to",)),
    ):
        page.goto(address)
        expect(page.locator("#panel-title")).to_be_attached(timeout=PATIENCE_MS)
        page.emulate_media(media="print")
        assert page.evaluate(_CUT_OFF) == []
        for text in texts:
            expect(page.locator("#thread, #panel").get_by_text(text).first).to_be_visible()
        for chrome in (".topbar", "#composer", "#list-pane", ".thread-actions", ".pane-tabs"):
            expect(page.locator(chrome)).to_be_hidden()
        assert (
            page.locator("#panel .order:visible").count()
            == page.locator("#panel .order[open]").count()
        )
        page.emulate_media(media="screen")


def test_one_order_is_printed_alone(office: Office, page: Page) -> None:
    page.goto(office.address(PAGES[1]))
    expect(page.locator("#panel .order[open]").first).to_be_visible(timeout=PATIENCE_MS)
    page.evaluate("document.querySelector('#panel .order[open]').dataset.printed = ''")
    page.emulate_media(media="print")
    assert page.locator("#panel .order:visible").count() == 1
    expect(page.locator("#thread")).to_be_hidden()
    page.emulate_media(media="screen")


def test_the_other_pages_are_printed_too(office: Office, page: Page) -> None:
    for place in (PAGES[0], PAGES[4], PAGES[5], PAGES[6]):
        page.goto(office.address(place))
        page.emulate_media(media="print")
        shown = page.locator("#list-pane, main.page").first
        expect(shown).to_be_visible()
        expect(page.locator(".topbar")).to_be_hidden()
        page.emulate_media(media="screen")
