"""Pictures of every page and state, for `./run screenshots` and for the tests that compare them.

A scene brings a page to where it is worth looking at; `VARIANTS` are the ways to look.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.browser.demo import CHROMIUM, FLAGS, Demo, running_demo
from tests.support.browser.desk import set_up, signed_address

PATIENCE_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    width: int = 1440
    height: int = 900
    scheme: str = "light"
    language: str = "en"
    scale: int = 1
    forced_colors: str = "none"

    @property
    def is_narrow(self) -> bool:
        return self.width < 700


VARIANTS: Final = (
    Variant("light"),
    Variant("dark", scheme="dark"),
    Variant("narrow", width=390, height=844),
    Variant("narrow-dark", width=390, height=844, scheme="dark"),
    Variant("rtl", language="ar"),
    Variant("rtl-narrow", width=390, height=844, language="ar"),
)
# 1440 x 900 enlarged to 200 %.
ZOOMED: Final = Variant("zoomed", width=720, height=450, scale=2)
FORCED: Final = Variant("forced", forced_colors="active")


@dataclass(frozen=True, slots=True)
class Scene:
    """`go` starts from anywhere; `who` is a person of the demo, or "" for no login."""

    name: str
    go: Callable[[Page, Variant], None]
    who: str = "sara"
    media: str = "screen"
    # Developers' pages: English, left to right.
    is_translated: bool = True

    def visit(self, page: Page, variant: Variant) -> None:
        media: Any = self.media
        page.emulate_media(media=media)
        self.go(page, variant)


def at(path: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        page.goto(path)

    return go


def conversation(words: str, *, orders: bool = False) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        page.goto(f"/inbox/?scope=all&q={words}")
        href = page.locator("a.conversation-row").first.get_attribute("href")
        page.goto(f"{href}#orders" if orders else f"{href}")
        expect(page.locator("#panel-title")).to_be_attached(timeout=PATIENCE_MS)

    return go


def known(words: str) -> Callable[[Page, Variant], None]:
    """A panel whose customer has been read: until then it adds up the orders itself."""

    def go(page: Page, variant: Variant) -> None:
        conversation(words, orders=True)(page, variant)
        expect(page.locator("#panel .customer")).to_have_count(1, timeout=PATIENCE_MS)
        # These reads have no priority: right after the start the agents' orders come first.
        expect(page.locator("#panel .stat-row")).to_have_count(0, timeout=6 * PATIENCE_MS)

    return go


def dialog(words: str, act: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        conversation(words, orders=True)(page, variant)
        page.locator(f".order[open] [data-act={act}]").first.click()
        expect(page.locator(f"#{act}-form")).to_be_visible(timeout=PATIENCE_MS)

    return go


def review(words: str, act: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        dialog(words, act)(page, variant)
        form = page.locator(f"#{act}-form")
        if form.locator("[value=not_needed]").count():
            form.locator("[value=not_needed]").check(force=True)
        if act == "cancel":
            form.locator("[name=reason]").first.check(force=True)
        else:
            form.locator("#refund-reason").select_option(index=1)
        form.locator("button[type=submit]").click()
        expect(page.locator("#review")).to_be_visible(timeout=PATIENCE_MS)

    return go


def mistakes(page: Page, variant: Variant) -> None:
    dialog("1050", "refund")(page, variant)
    page.locator("[name=mode][value=amount]").check()
    page.locator("#refund-amount").fill("1.000")
    page.locator("#refund-form button[type=submit]").click()
    expect(page.locator("#refund-form [aria-invalid=true]").first).to_be_visible()


def menu(words: str, summary: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        conversation(words, orders=summary.startswith("#panel"))(page, variant)
        page.locator(f"{summary} > summary").first.click()

    return go


def history(page: Page, variant: Variant) -> None:
    conversation("1060", orders=True)(page, variant)
    page.locator(".order[open] a[href$='/history/']").first.click()
    expect(page.locator("#history")).to_be_visible(timeout=PATIENCE_MS)


def then(page: Page, variant: Variant) -> None:
    conversation("1060")(page, variant)
    page.locator("#thread .message-meta a[href$='/order/']").last.click()
    expect(page.locator("#order-then")).to_be_visible(timeout=PATIENCE_MS)


def own_page(words: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        page.goto(f"/inbox/orders/?q={words}")
        page.goto(page.locator("a.found-name").first.get_attribute("href") or "")

    return go


def searched(page: Page, variant: Variant) -> None:
    conversation("1060", orders=True)(page, variant)
    page.locator("#panel-words").fill("1043")
    expect(page.locator("#panel-found .found-order").first).to_be_visible(timeout=PATIENCE_MS)


def filtered(page: Page, variant: Variant) -> None:
    conversation("1060", orders=True)(page, variant)
    page.locator("#panel .segments a").nth(2).click()
    expect(page.locator("#panel .segments a").nth(2)).to_have_attribute("aria-current", "true")


def toast(page: Page, variant: Variant) -> None:
    """The server cannot be reached while the agent asks for fresh orders."""
    conversation("1060", orders=True)(page, variant)
    page.route("**/orders/refresh/**", lambda route: route.abort())
    page.locator("#panel .side-title button").click()
    expect(page.locator(".toast:visible")).to_be_visible()
    page.unroute("**/orders/refresh/**")


def note(page: Page, variant: Variant) -> None:
    conversation("1060")(page, variant)
    page.locator(".composer [value=note]").check(force=True)


def keys(page: Page, variant: Variant) -> None:
    page.goto("/inbox/?scope=all")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def contact(page: Page, variant: Variant) -> None:
    conversation("1043")(page, variant)
    page.goto(page.locator("#header h2 a").get_attribute("href") or "")


def person(words: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        conversation(words)(page, variant)
        page.goto(page.locator("#header h2 a").get_attribute("href") or "")

    return go


# --- The panel inside another help desk, by itself: the page around it is not ours to draw -------
@cache
def _frame_of(browser: Browser, url: str, kind: str) -> tuple[str, str]:
    """A frame's address and secret, set up once as an administrator does."""
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/login/")
    page.locator("#id_username").fill("admin")
    page.locator("#id_password").fill("demo")
    page.locator("form button").first.click()
    page.wait_for_url(lambda url: "/login/" not in url)
    name = "Chatwoot" if kind == "chatwoot" else "Zammad"
    found = set_up(page, url, "https://desk.example.com", name=name, kind=kind, limit="0")
    context.close()
    return found


def _frame(page: Page, kind: str = "generic") -> tuple[str, str]:
    browser = page.context.browser
    assert browser
    page.goto("/login/")
    return _frame_of(browser, page.url.partition("/login/")[0].partition("/inbox/")[0], kind)


def framed(email: str, **said: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        address, secret = _frame(page)
        words = {"agent": "alice@demo.example", "email": email, **said}
        page.goto(signed_address(address, secret, **words))
        expect(page.locator("#panel-title")).to_be_visible(timeout=PATIENCE_MS)

    return go


def framed_dialog(act: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        framed("amir@example.com", about="#1050")(page, variant)
        page.locator(f".order[open] [data-act={act}]").first.click()
        expect(page.locator(f"#{act}-form")).to_be_visible(timeout=PATIENCE_MS)

    return go


def framed_review(page: Page, variant: Variant) -> None:
    framed_dialog("refund")(page, variant)
    form = page.locator("#refund-form")
    if form.locator("[value=not_needed]").count():
        form.locator("[value=not_needed]").check(force=True)
    form.locator("#refund-reason").select_option(index=1)
    form.locator("button[type=submit]").click()
    expect(page.locator("#review [data-window]")).to_be_visible(timeout=PATIENCE_MS)


def framed_state(name: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        address, _secret = _frame(page)
        page.goto(address)
        expect(page.locator("[data-state=again]")).to_be_visible(timeout=PATIENCE_MS)
        page.evaluate(
            "name => document.getElementById('frame-state').replaceChildren("
            "document.getElementById(`state-${name}`).content.cloneNode(true))",
            name,
        )

    return go


def framed_connect(page: Page, variant: Variant) -> None:
    address, _secret = _frame(page, "chatwoot")
    page.goto(f"/sidebar/connect/?{address.partition('?')[2]}&challenge={'0' * 64}")


# inbox.design.states, by name: no Django here. A test holds the two together.
RARE: Final = (
    "errors/400",
    "errors/403",
    "errors/404",
    "errors/500",
    "panel-no-store",
    "panel-no-store-admin",
    "panel-no-address",
    "panel-arriving",
    "panel-nothing",
    "panel-none-of-the-kind",
    "panel-unreachable",
    "panel-more",
    "panel-failed",
    "panel-loading",
    "dialog-loading",
    "result-sending",
    "result-done",
    "result-unknown",
    "result-partial",
    "result-rejected",
    "result-awaiting-approval",
    "result-refused",
    "review-changed",
    "review-blocked",
    "review-approval",
)
SCENES: Final = (
    Scene("login", at("/login/"), who=""),
    Scene("forgotten-password", at("/account/reset/"), who=""),
    Scene("signing-in", at("/account/"), who="alice"),
    Scene("sessions", at("/account/sessions/"), who="alice"),
    Scene("passkey-add", at("/account/passkeys/add/"), who="alice"),
    Scene("app-add", at("/account/app/"), who="alice"),
    Scene("list", at("/inbox/?scope=all")),
    Scene("list-empty", at("/inbox/?scope=mine&state=snoozed")),
    Scene("list-nothing-found", at("/inbox/?q=zzzz")),
    Scene("conversation", conversation("1043")),
    Scene("conversation-others", conversation("1090"), who="alice"),
    Scene("orders", conversation("1043", orders=True)),
    Scene("orders-parcels", known("1060")),
    Scene("orders-outstanding", conversation("1075", orders=True)),
    Scene("orders-none", conversation("Chlo", orders=True)),
    Scene("orders-no-address", conversation("Ben", orders=True)),
    Scene("orders-arabic-name", conversation("1070", orders=True)),
    Scene("cancel-authorized", dialog("1095", "cancel")),
    Scene("refund-parcels", dialog("1060", "refund")),
    Scene("cancel", dialog("1043", "cancel")),
    Scene("cancel-review", review("1043", "cancel")),
    Scene("refund", dialog("1050", "refund")),
    Scene("refund-mistakes", mistakes),
    Scene("refund-review", review("1050", "refund")),
    Scene("keys", keys),
    Scene("contact", contact),
    Scene("search", at("/inbox/orders/?q=1043")),
    Scene("search-nothing", at("/inbox/orders/?q=99999")),
    Scene("order", own_page("1043")),
    Scene("order-list", at("/inbox/orders/?attention=held&since=2026-02-02&until=2026-01-01")),
    Scene("orders-latest", at("/inbox/orders/")),
    Scene("decisions", at("/inbox/decisions/")),
    Scene("refunds-due", at("/inbox/decisions/refunds/")),
    Scene("notices", at("/inbox/notices/")),
    Scene("note", note),
    Scene("menu-assign", menu("1060", "#assign-menu")),
    Scene("menu-snooze", menu("1060", "#snooze-menu")),
    Scene("menu-store", menu("1060", "#panel #store-menu")),
    Scene("menu-order", menu("1060", "#panel .order-actions .menu")),
    Scene("menu-account", menu("1060", ".topbar .menu")),
    Scene("history", history),
    Scene("order-then", then),
    Scene("panel-searched", searched),
    Scene("panel-filtered", filtered),
    Scene("toast", toast),
    Scene("design", at("/design/"), is_translated=False),
    *(Scene(name.replace("/", "-"), at(f"/design/{name}/"), is_translated=False) for name in RARE),
    Scene("frame", framed("amir@example.com"), who=""),
    Scene("frame-refund", framed_dialog("refund"), who=""),
    Scene("frame-review", framed_review, who=""),
    Scene("frame-others", framed("oliver@example.co.uk", assignee="bob@demo.example"), who=""),
    Scene("frame-no-address", framed(""), who=""),
    Scene("frame-log-in", framed_state("log-in"), who=""),
    Scene("frame-again", framed_state("again"), who=""),
    Scene("frame-unreachable", framed_state("unreachable"), who=""),
    Scene("frame-off", at("/sidebar/?frame=0"), who=""),
    Scene("frame-connect", framed_connect, who="alice"),
    Scene("which-customer", conversation("Marie", orders=True)),
    Scene("which-customer-contact", person("Marie")),
    Scene("suggestion", conversation("Paul", orders=True)),
    Scene("suggestion-contact", person("Paul")),
    Scene("stranger", conversation("Robin", orders=True), who="alice"),
    Scene("stranger-contact", person("Robin")),
)


def first_row(path: str) -> Callable[[Page, Variant], None]:
    def go(page: Page, variant: Variant) -> None:
        page.goto(path)
        href = page.locator("#result_list tbody th a").first.get_attribute("href")
        page.goto(href or "")

    return go


def tried(page: Page, variant: Variant) -> None:
    first_row("/admin/orders/policy/")(page, variant)
    page.locator("#id_if-amount").fill("450.00")
    page.locator("[name=_try]").click()
    expect(page.locator("#what-if-ruling .verdict")).to_be_visible()


ADMIN_SCENES: Final = (
    Scene("admin-desk", at("/admin/"), who="admin"),
    Scene("admin-money", at("/admin/money/"), who="admin"),
    Scene("admin-policies", at("/admin/orders/policy/"), who="admin"),
    Scene("admin-what-if", tried, who="admin"),
    Scene("admin-orders", at("/admin/orders/order/"), who="admin"),
    Scene("admin-order", first_row("/admin/orders/order/"), who="admin"),
    Scene("admin-nothing", at("/admin/orders/order/?q=zzzz"), who="admin"),
    Scene("admin-doctor", first_row("/admin/shopify_sync/shopconnection/"), who="admin"),
    Scene("admin-add-store", at("/admin/shopify_sync/shopconnection/add/"), who="admin"),
    Scene("admin-balance", at("/admin/shopify_sync/webhooktally/"), who="admin"),
    Scene("admin-webhook", first_row("/admin/shopify_sync/webhookevent/"), who="admin"),
    Scene("admin-channel", first_row("/admin/inbox/channel/"), who="admin"),
    Scene("admin-campaign", first_row("/admin/inbox/campaign/"), who="admin"),
    Scene("admin-person", first_row("/admin/auth/user/"), who="admin"),
    Scene("admin-audit", at("/admin/orders/auditentry/"), who="admin"),
)


# Between them they have every width and every color; FULL_GALLERY=1 looks at all in all ways.
THOROUGH: Final = {"light", "narrow-dark"}


def looks_at(scene: Scene, variant: Variant, core: Collection[str] = ()) -> bool:
    """Whether the tests look at this scene in this way, and not only `./run screenshots`."""
    is_full = os.environ.get("FULL_GALLERY") == "1"
    return is_full or variant.name in THOROUGH or scene.name in core


@contextmanager
def pages(browser: Browser, url: str, variant: Variant) -> Iterator[Callable[[str], Page]]:
    """Gives a logged-in page of a person of the demo, in one way to look."""
    contexts: dict[str, BrowserContext] = {}

    def page_of(who: str) -> Page:
        if who not in contexts:
            contexts[who] = _context(browser, url, variant, who)
        found = contexts[who]
        return found.pages[0] if found.pages else found.new_page()

    try:
        yield page_of
    finally:
        for found in contexts.values():
            found.close()


def _context(browser: Browser, url: str, variant: Variant, who: str) -> BrowserContext:
    look: Any = {"color_scheme": variant.scheme, "forced_colors": variant.forced_colors}
    context = browser.new_context(
        base_url=url,
        viewport={"width": variant.width, "height": variant.height},
        reduced_motion="reduce",
        device_scale_factor=variant.scale,
        locale=variant.language,
        **look,
    )
    if who:
        page = context.new_page()
        page.goto("/login/")
        page.locator("#id_username").fill(who)
        page.locator("#id_password").fill("demo")
        page.locator("form button").first.click()
        page.wait_for_url(lambda url: "/login/" not in url)
    return context


def still(page: Page) -> None:
    """Fonts in, nothing on its way, nothing that tells the time: the same picture tomorrow."""
    page.wait_for_load_state("networkidle")
    page.evaluate(STILL)


# Dates and ages change from day to day, and ids from database to database.
STILL: Final = """async () => {
  await document.fonts.ready;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (const time of document.querySelectorAll('time')) for (const name of ['data-age', 'data-countdown']) time.removeAttribute(name);
  for (let node; (node = walk.nextNode());) {
    const parent = node.parentElement;
    if (parent.closest('time')) node.textContent = parent.closest('time').dateTime.length > 10 ? '1 Jan' : '1 January';
    else if (/\\d/.test(node.textContent)) {
      node.textContent = node.textContent
        .replace(/\\b\\d{1,2} [A-Z][a-z]+ 20\\d\\d\\b/g, '1 January 2026')
        .replace(/\\b\\d{1,2}:\\d\\d(:\\d\\d)?\\b/g, '00:00')
        .replace(/\\b\\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\\b/g, '1 Jan')
        .replace(/\\b\\d{10,}\\b/g, (all) => '0'.repeat(all.length));
    }
  }
  document.activeElement?.blur?.();
}"""


def shoot(browser: Browser, demo: Demo, folder: Path, only: str = "") -> Iterator[Path]:
    for variant in (*VARIANTS, ZOOMED, FORCED):
        with pages(browser, demo.url, variant) as page_of:
            for scene in (*SCENES, *ADMIN_SCENES):
                if variant.language != "en" and not scene.is_translated:
                    continue
                name = f"{scene.name}.{variant.name}"
                if not re.search(only, name):
                    continue
                page = page_of(scene.who)
                scene.visit(page, variant)
                still(page)
                target = folder / f"{name}.png"
                page.screenshot(path=target)
                yield target


def main() -> int:
    words = sys.argv[1:]
    folder = Path(words[0] if words else "var/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_demo(Path(scratch)) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for picture in shoot(browser, demo, folder, words[1] if len(words) > 1 else ""):
            sys.stdout.write(f"{picture}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
