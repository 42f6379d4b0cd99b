"""A simulated agent at one tab, who opens, writes, resolves, reloads and logs in again.

Whatever the page says, the agent behaves as people do: a message that stays in the composer is
sent again; one that has left it is believed to be sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from playwright.async_api import Error, Page
from playwright.async_api import TimeoutError as TooLong

from tests.browser.two_agents.verdict import Closing, Evidence, Intent
from tests.browser.two_agents.world import World

PATIENCE_MS = 12_000
# How often an agent presses Send again while the text is still in the composer.
AGAIN_S = 2.5
GIVES_UP_S = 45.0
STEP_S = 90.0
LOOK_S = 5.0

WATCH = """
(() => {
  const told = new Set();
  const look = () => {
    if (document.hidden) return;
    for (const each of document.querySelectorAll("#thread article.message[data-kind=inbound]")) {
      const pk = Number(each.id.replace(/\\D/g, ""));
      if (pk && !told.has(pk)) { told.add(pk); window.judgeShown?.(pk); }
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  addEventListener("DOMContentLoaded", look);
})();
"""

SCREEN = """() => ({
  live: document.documentElement.dataset.live ?? "",
  conversation: Number((location.pathname.match(/conversations\\/(\\d+)/) ?? [])[1] ?? 0),
  thread: [...document.querySelectorAll("#thread article.message")].map((each) => [
    Number(each.id.replace(/\\D/g, "")), each.dataset.kind, each.dataset.state,
    each.querySelector(".bubble")?.textContent ?? "",
  ]),
  list: [...document.querySelectorAll("#list a.conversation-row")].map((each) =>
    Number((each.getAttribute("href").match(/conversations\\/(\\d+)/) ?? [])[1] ?? 0)),
})"""


@dataclass(slots=True)
class Diary:
    """What everybody did, shared by all tabs."""

    evidence: Evidence = field(default_factory=Evidence)
    counts: Counter[str] = field(default_factory=Counter)
    # To find the cause of a loss.
    troubles: list[str] = field(default_factory=list)
    # An agent never composes in two tabs of one conversation: they share one draft.
    locks: dict[tuple[str, int], asyncio.Lock] = field(default_factory=dict)

    def lock(self, who: str, conversation: int) -> asyncio.Lock:
        return self.locks.setdefault((who, conversation), asyncio.Lock())

    def believe(self, intent: Intent) -> None:
        place = self.evidence.intents.index(intent)
        self.evidence.intents[place] = replace(intent, is_believed=True)


class Tab:
    def __init__(
        self, world: World, diary: Diary, page: Page, *, who: str, name: str, rng: Random
    ) -> None:
        self.world, self.diary, self.page = world, diary, page
        self.who, self.name, self._rng = who, name, rng
        self._number = 0
        self._last: list[str] = []

    async def begin(self) -> None:
        shown = self.diary.evidence.shown.setdefault(self.who, set())
        await self.page.expose_function("judgeShown", lambda pk: shown.add(int(pk)))
        await self.page.add_init_script(WATCH)
        await self.page.goto("/inbox/?scope=all")

    async def live(self, until: float) -> None:
        """Do things until then; what a fault breaks is begun again."""
        while time.monotonic() < until:
            try:
                # What waits inside the browser has no limit of its own.
                await asyncio.wait_for(self._step(), STEP_S)
            except (Error, TooLong, TimeoutError) as trouble:
                self.diary.counts["broken off"] += 1
                why = (str(trouble).splitlines() or ["the whole step took too long"])[0][:60]
                self.diary.counts[f"broken off: {why}"] += 1
                await self._recover()
            await asyncio.sleep(self._rng.uniform(0.1, 0.8))

    async def _step(self) -> None:
        known = sorted(self.world.database.conversations(self.world.channel).values())
        if not known:
            await asyncio.sleep(0.5)
            return
        here = self._rng.choice(known)
        steps: list[tuple[float, Callable[[int], Awaitable[None]]]] = [
            (5, self.reply),
            (3, self.note),
            (2, self._open),
            (4, self._close),
            (1, self._reload),
            (0.6, self._assign),
            (0.6, self._list),
        ]
        [step] = self._rng.choices([s for _w, s in steps], [w for w, _s in steps])
        await step(here)

    async def reply(self, here: int) -> None:
        await self._write("reply", here)

    async def note(self, here: int) -> None:
        await self._write("note", here)

    async def _write(self, kind: str, here: int) -> None:
        async with self.diary.lock(self.who, here):
            await self._open(here)
            self._number += 1
            token = f"{kind[0]}{self.name}{self._number:04d}"
            text = f"{kind.title()} {token} by {self.who} about {here}"
            intent = Intent(token, kind, here, self.who, is_believed=False)
            self.diary.evidence.intents.append(intent)
            self.diary.counts[kind] += 1
            until = time.monotonic() + GIVES_UP_S
            await self._patiently(lambda: self._type(kind, text), until)
            if self._rng.random() < 0.25:
                await self._patiently(lambda: self._leave_and_come_back(here), until)
                await self._patiently(lambda: self._expect_draft(kind, text, here), until)
            await self._send(intent, text, here, until)

    async def _patiently(self, work: Callable[[], Awaitable[None]], until: float) -> None:
        """Again, where a fault or a login came between."""
        while True:
            try:
                await self._log_in_if_asked()
                await work()
            except (Error, TooLong):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.3)
            else:
                return

    async def _type(self, kind: str, text: str) -> None:
        await self._choose(kind)
        await self.page.locator("#composer-text").fill(text, timeout=PATIENCE_MS)
        self._note_down(f"typed {text[:20]}")
        # As long as it takes to look at what one wrote.
        await asyncio.sleep(1.2)

    async def _choose(self, kind: str) -> None:
        label = "Note" if kind == "note" else "Reply"
        radio = self.page.locator("#composer").get_by_role("radio", name=label)
        if not await radio.is_checked(timeout=PATIENCE_MS):
            await self.page.locator("#composer label", has_text=label).first.click(
                timeout=PATIENCE_MS
            )

    async def _leave_and_come_back(self, here: int) -> None:
        if self._rng.random() < 0.5:
            await self.page.reload(timeout=PATIENCE_MS)
        else:
            others = set(self.world.database.conversations(self.world.channel).values()) - {here}
            await self._open(self._rng.choice(sorted(others or {here})))
        await self._open(here)

    async def _expect_draft(self, kind: str, text: str, here: int) -> None:
        """The words and their mode are there again; else they are typed once more."""
        await self._open(here)
        for _look in range(30):
            if await self._composed() == (kind, text):
                return
            await asyncio.sleep(0.1)
        mode, found = await self._composed()
        self.diary.evidence.drafts_lost.append(
            f"{self.name} in {here}: {kind} {text!r} came back as {mode} {found!r}"
        )
        await self._type(kind, text)

    async def _composed(self) -> tuple[str, str]:
        """(mode, text) of the composer now."""
        found: list[str] = await self.page.evaluate(
            """() => [document.querySelector("#composer input[name=mode]:checked")?.value ?? "",
                      document.getElementById("composer-text")?.value ?? ""]"""
        )
        return found[0], found[1]

    async def _send(self, intent: Intent, text: str, here: int, until: float) -> None:
        while time.monotonic() < until:
            try:
                await self._log_in_if_asked()
                await self._open(here)
                mode, found = await self._composed()
                if text not in found:
                    # It has left the composer.
                    self.diary.believe(intent)
                    await self._tell_if_missing(intent, mode, found)
                    return
                if mode != intent.kind:
                    self.diary.evidence.drafts_lost.append(f"{self.name}: turned into {mode}")
                    await self._choose(intent.kind)
                name = "Add note" if intent.kind == "note" else "Send reply"
                button = self.page.get_by_role("button", name=name)
                if await button.is_enabled(timeout=PATIENCE_MS):
                    self.diary.counts["presses"] += 1
                    self._note_down(f"pressed {name}")
                    await button.click(timeout=PATIENCE_MS)
                pressed = time.monotonic()
                while time.monotonic() < pressed + AGAIN_S:
                    if text not in (await self._composed())[1]:
                        break
                    await asyncio.sleep(0.1)
            except (Error, TooLong):
                await asyncio.sleep(0.3)
        self.diary.counts["gave up"] += 1

    async def _tell_if_missing(self, intent: Intent, mode: str, found: str) -> None:
        """What the page looks like where words are gone and nothing was sent."""
        for _look in range(20):
            if self.world.database.has(intent.token):
                return
            await asyncio.sleep(0.25)
        notices = await self.page.locator(".notice:visible, .toast:visible").all_inner_texts()
        self.diary.troubles.append(
            f"{time.strftime('%H:%M:%S')} {intent.token} is gone: {self.page.url}, {mode} "
            f"{found!r}, drafts {self.world.database.drafts(self.who, intent.conversation)}, "
            f"notices {notices}, last {self._last[-8:]}"
        )

    def _note_down(self, what: str) -> None:
        self._last.append(f"{time.strftime('%M:%S')} {what}")

    async def _open(self, here: int) -> None:
        path = f"/inbox/conversations/{here}/"
        if path in self.page.url:
            try:
                await self.page.locator("#composer-text").wait_for(timeout=3000)
            except TooLong:
                # The browser's own page of errors, or the server's: as people do then.
                self.diary.counts["reloaded a page without a composer"] += 1
                self._note_down("reloaded, no composer")
                await self.page.goto(path, timeout=PATIENCE_MS)
            else:
                return
        row = self.page.locator(f'#list a.conversation-row[href^="{path}"]').first
        if await row.is_visible():
            await row.click(timeout=PATIENCE_MS)
            await self.page.wait_for_url(f"**{path}**", timeout=PATIENCE_MS)
        else:
            await self.page.goto(path, timeout=PATIENCE_MS)
        await self._log_in_if_asked()
        await self.page.locator("#composer-text").wait_for(timeout=PATIENCE_MS)

    async def _close(self, here: int) -> None:
        """Resolve what is open, and open what is resolved."""
        await self._open(here)
        name = "Resolve" if await self.page.locator("#resolve button").is_visible() else "Reopen"
        button = self.page.locator(f"#{name.lower()} button")
        if not await button.is_visible():
            self.diary.counts["nothing to close"] += 1
            return
        shown = frozenset(self.diary.evidence.shown[self.who])
        newest = self.world.database.newest_inbound(here)
        await button.click(timeout=PATIENCE_MS)
        self.diary.counts[name.lower()] += 1
        await asyncio.sleep(0.5)
        if name == "Resolve" and self.world.database.state(here) == "resolved":
            # A message that came later would have opened it again.
            last = self.world.database.newest_inbound(here)
            if last != newest:
                shown = frozenset(self.diary.evidence.shown[self.who])
            if not self._colleague_has_seen(last, shown):
                self.diary.evidence.closings.append(Closing(here, self.who, last, shown))

    def _colleague_has_seen(self, message: int, shown: frozenset[int]) -> bool:
        """Whether another agent who had seen it may have closed it at the same moment."""
        others = [ids for who, ids in self.diary.evidence.shown.items() if who != self.who]
        return message not in shown and any(message in ids for ids in others)

    async def _reload(self, here: int) -> None:
        await self.page.reload(timeout=PATIENCE_MS)
        await self._log_in_if_asked()
        self.diary.counts["reloads"] += 1

    async def _assign(self, here: int) -> None:
        await self._open(here)
        button = self.page.get_by_role("button", name="Assign to me")
        if await button.is_visible():
            await button.click(timeout=PATIENCE_MS)
            self.diary.counts["assigned"] += 1

    async def _list(self, here: int) -> None:
        await self.page.goto("/inbox/?scope=all", timeout=PATIENCE_MS)
        await self._log_in_if_asked()
        if self._rng.random() < 0.5:
            await self.page.go_back(timeout=PATIENCE_MS)

    async def _log_in_if_asked(self) -> None:
        """On the login page, or in the dialog that asks for the password in place."""
        password = self.page.locator("input[type=password]:visible").first
        if not await password.is_visible():
            return
        self.diary.counts["logged in again"] += 1
        self._note_down(f"logged in at {self.page.url}")
        name = self.page.locator("input[name=username]:visible").first
        if await name.is_visible() and await name.is_editable():
            await name.fill(self.who, timeout=PATIENCE_MS)
        await password.fill("demo", timeout=PATIENCE_MS)
        await password.press("Enter")
        await password.wait_for(state="hidden", timeout=PATIENCE_MS)

    async def _recover(self) -> None:
        for _try in range(8):
            try:
                await self._log_in_if_asked()
                if not await self.page.locator("#list").count():
                    await self.page.goto("/inbox/?scope=all", timeout=PATIENCE_MS)
            except (Error, TooLong):
                await asyncio.sleep(0.5)
            else:
                return

    async def settle(self, here: int) -> None:
        """Open a conversation and stay there, with all faults over."""
        for _try in range(5):
            try:
                await asyncio.wait_for(self._recover(), STEP_S)
                await asyncio.wait_for(self._open(here), STEP_S)
            except (Error, TooLong, TimeoutError):
                self.diary.counts["settled again"] += 1
            else:
                return

    async def screen(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = await asyncio.wait_for(self.page.evaluate(SCREEN), LOOK_S)
        except (Error, TimeoutError):
            return {"live": "", "conversation": 0, "thread": [], "list": []}
        return found

    async def last_words(self, here: int) -> None:
        """A reply in fair weather."""
        try:
            await asyncio.wait_for(self.reply(here), STEP_S)
        except (Error, TooLong, TimeoutError):
            self.diary.evidence.drafts_lost.append(f"{self.name} could not reply in the end")
