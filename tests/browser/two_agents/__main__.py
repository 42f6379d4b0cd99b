from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.browser.two_agents import verdict
from tests.browser.two_agents.customer import CONVERSATIONS, Customer
from tests.browser.two_agents.screens import Comparison, compare
from tests.browser.two_agents.tabs import Diary, Tab
from tests.browser.two_agents.weather import Weather
from tests.browser.two_agents.world import Wire, World, running
from tests.support.browser.demo import CHROMIUM, FLAGS

# Alice has two tabs.
TABS = (("alice", "a1"), ("alice", "a2"), ("bob", "b1"))
LAST_EVENTS = 5
CALM_WITHIN_S = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.two_agents")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--within", type=float, default=2.0, help="seconds for a screen to show the last event"
    )
    parser.add_argument("--record", type=Path, help="a folder for Playwright's traces")
    parser.add_argument(
        "--forget-ids",
        action="store_true",
        help="negative control: each press of Send bears an id of its own",
    )
    options = parser.parse_args()
    # However it is ended, what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"two agents and a customer, {options.minutes:g} minutes, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="two-agents-") as folder,
        running(Path(folder), Random(f"{seed} receiver")) as world,
    ):
        figures, found = asyncio.run(watch(world, seed, options))
    print(json.dumps(figures, indent=2, default=str))
    wrong = {kind: said for kind, said in found.items() if said}
    for kind, said in wrong.items():
        print(f"{kind}: {len(said)}")
        for line in said[:10]:
            print(f"  {line}")
    print(f"seed {seed}: {'all is well' if not wrong else 'NOT WELL: ' + ', '.join(wrong)}")
    return 1 if wrong else 0


async def watch(
    world: World, seed: int, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    wire = Wire(world.url)
    await wire.start()
    weather = Weather(world, wire, Random(f"{seed} weather"), forgets_ids=options.forget_ids)
    customer = Customer(world, Random(f"{seed} customer"))
    for number in range(CONVERSATIONS):
        await asyncio.to_thread(customer.write, number)
    diary = Diary()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        contexts = {
            who: await _log_in(browser, wire.url, who, options.record) for who in ("alice", "bob")
        }
        tabs = []
        for who, name in TABS:
            page = await contexts[who].new_page()
            tab = Tab(world, diary, page, who=who, name=name, rng=Random(f"{seed} {name}"))
            await tab.begin()
            tabs.append(tab)
        for context in contexts.values():
            await weather.over(context)
        comparison = await _live(world, weather, contexts, tabs, customer, options)
        for who, context in contexts.items():
            if options.record is not None:
                await context.tracing.stop(path=options.record / f"{who}-{seed}.zip")
            await context.close()
        await browser.close()
    await wire.stop()
    evidence = await _gather(world, diary, customer)
    found = verdict.faults(evidence)
    found["screens"] = comparison.wrong
    return _figures(world, weather, diary, customer, comparison, options.minutes), found


async def _log_in(browser: Browser, url: str, who: str, record: Path | None) -> BrowserContext:
    context = await browser.new_context(
        base_url=url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    if record is not None:
        await context.tracing.start(screenshots=True, name=who)
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_label("Username").fill(who)
    await page.get_by_label("Password").fill("demo")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/inbox/**")
    await page.close()
    return context


async def _live(
    world: World,
    weather: Weather,
    contexts: dict[str, BrowserContext],
    tabs: list[Tab],
    customer: Customer,
    options: argparse.Namespace,
) -> Comparison:
    seconds = options.minutes * 60
    world.receiver.is_moody = True
    customer.start()
    _say("everybody is at work")
    until = time.monotonic() + seconds
    loop_until = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(weather.blow(contexts, loop_until), *(tab.live(until) for tab in tabs))
    _say("the storm is over")
    await asyncio.to_thread(customer.stop)
    weather.clear_up()
    world.receiver.is_moody = False
    known = sorted(world.database.conversations(world.channel).values())
    for place, tab in enumerate(tabs):
        await tab.settle(known[place % len(known)])
    _say("everybody looks at a conversation")
    calm = Comparison()
    await compare(world, tabs, calm, since=time.monotonic(), within_s=CALM_WITHIN_S)
    found = Comparison(calm_s=calm.slowest_s, wrong=[f"after the storm: {w}" for w in calm.wrong])
    _say("the last events")
    for number in range(LAST_EVENTS):
        await asyncio.to_thread(customer.write, number % CONVERSATIONS)
        await compare(world, tabs, found, since=time.monotonic(), within_s=options.within)
    for tab in tabs:
        # Its last press ends by itself; then the others' screens show it.
        await tab.last_words(known[0])
        await compare(world, tabs, found, since=time.monotonic(), within_s=options.within)
    return found


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


async def _gather(world: World, diary: Diary, customer: Customer) -> verdict.Evidence:
    """Once everything has left that is to leave."""
    evidence = diary.evidence
    evidence.intents += customer.intents
    for _look in range(240):
        evidence.rows = world.database.messages(world.channel)
        if all(row.delivery_state != "pending" for row in evidence.rows):
            break
        await asyncio.sleep(0.5)
    evidence.deliveries = list(world.receiver.deliveries)
    evidence.read_marks = world.database.read_marks()
    own = {row.conversation for row in evidence.rows}
    evidence.read_marks = [mark for mark in evidence.read_marks if mark[1] in own]
    return evidence


def _figures(
    world: World,
    weather: Weather,
    diary: Diary,
    customer: Customer,
    comparison: Comparison,
    minutes: float,
) -> dict[str, Any]:
    evidence = diary.evidence
    kinds = Counter(row.kind for row in evidence.rows)
    return world.figures | {
        "minutes": minutes,
        "messages in the database": dict(kinds),
        "pushed by customers": len(customer.intents),
        "pushes": customer.tries,
        "what agents did": dict(diary.counts.most_common()),
        "what failed": dict(weather.counts),
        "callbacks": len(evidence.deliveries),
        "callbacks repeated under their id": verdict.repeats(evidence.deliveries),
        "callbacks refused or unanswered": world.receiver.failed,
        "screens equal after the storm within s": round(comparison.calm_s, 2),
        "screens equal after each last event within s": round(comparison.slowest_s, 2),
        "closings judged": len(evidence.closings),
        "troubles": diary.troubles,
    }


if __name__ == "__main__":
    sys.exit(main())
