"""Check that the screens show what the database holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.browser.two_agents.tabs import Tab
from tests.browser.two_agents.world import World

# A thread shows this many messages at first, and a list this many conversations.
_THREAD, _LIST = 50, 40


@dataclass(slots=True)
class Comparison:
    calm_s: float = 0.0
    slowest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


async def compare(
    world: World, tabs: Sequence[Tab], found: Comparison, *, since: float, within_s: float
) -> None:
    """Look until all screens are as the database, or the time is over; note which."""
    while True:
        different = [
            f"{tab.name} ({screen['live']}): {what}"
            for tab, screen in [(tab, await tab.screen()) for tab in tabs]
            if (what := _differs(world, screen))
        ]
        took = time.monotonic() - since
        if not different:
            found.slowest_s = max(found.slowest_s, took)
            return
        if took > within_s:
            found.wrong += [f"{each} (after {took:.1f} s)" for each in different]
            return
        await asyncio.sleep(0.05)


def _differs(world: World, screen: dict[str, Any]) -> str:
    """In what a screen is different from the database; "" where it is the same."""
    expected = world.database.rows(
        "SELECT id FROM inbox_conversation WHERE state = 'open'"
        " ORDER BY last_message_at DESC, id DESC"
    )
    wanted = [int(pk) for (pk,) in expected][:_LIST]
    if screen["list"] != wanted:
        return f"its list shows {screen['list'][:8]}…, the database has {wanted[:8]}…"
    here = screen["conversation"]
    rows = world.database.rows(
        "SELECT id, kind, delivery_state, text FROM inbox_message WHERE conversation_id = %s"
        " ORDER BY id DESC",
        here,
    )
    held = {int(pk): (kind, state, text.strip()) for pk, kind, state, text in rows}
    shown = {pk: (kind, state, text.strip()) for pk, kind, state, text in screen["thread"]}
    newest = {pk: held[pk] for pk in list(held)[: min(_THREAD, len(held))]}
    if missing := sorted(set(newest) - set(shown)):
        return f"conversation {here} lacks messages {missing}"
    if len(shown) != len(screen["thread"]):
        return f"conversation {here} shows a message twice"
    for pk, what in shown.items():
        if held.get(pk) != what:
            return f"message {pk} of {here} is shown as {what}, the database has {held.get(pk)}"
    return ""
