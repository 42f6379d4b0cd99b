"""Random faults during a run, reproducible from a seed."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from contextlib import suppress
from random import Random

from playwright.async_api import BrowserContext, Error, Request, Route

from tests.browser.two_agents.world import Wire, World

_ROUTED = re.compile(r"/inbox/(conversations|list|read)")
_CLIENT_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


class Weather:
    """`is_fair`: nothing fails any more. `forgets_ids`: the negative control, in which every try
    of a write bears an id of its own."""

    def __init__(self, world: World, wire: Wire, rng: Random, *, forgets_ids: bool) -> None:
        self._world, self._wire, self._rng = world, wire, rng
        self._forgets_ids = forgets_ids
        self.is_fair = False
        self.counts: Counter[str] = Counter()

    async def over(self, context: BrowserContext) -> None:
        await context.route(_ROUTED, self._pass)

    async def _pass(self, route: Route, request: Request) -> None:
        # A page that goes away takes its requests with it.
        with suppress(Error):
            await self._pass_or_fail(route, request)

    async def _pass_or_fail(self, route: Route, request: Request) -> None:
        data = request.post_data
        if self._forgets_ids and data:
            data = _CLIENT_ID.sub(lambda _found: str(uuid.uuid4()), data)
        is_write = request.method == "POST"
        luck = 1.0 if self.is_fair else self._rng.random()
        lost = 0.4 if self._forgets_ids else 0.1
        if luck < (lost if is_write else 0.03):
            self.counts["answers dropped" if is_write else "reads dropped"] += 1
            await route.fetch(post_data=data) if is_write else None
            await route.abort("connectionreset")
            return
        if luck < (lost + 0.05 if is_write else 0.05):
            self.counts["requests dropped"] += 1
            await route.abort("connectionrefused")
            return
        if luck < lost + 0.15:
            self.counts["slow"] += 1
            await asyncio.sleep(self._rng.uniform(0.2, 1.5))
        await route.continue_(post_data=data)

    async def blow(self, contexts: dict[str, BrowserContext], until: float) -> None:
        """Storms one after the other, until the loop's clock says so."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self._rng.uniform(3.0, 9.0))
            storm = self._rng.choice(["cut", "cut", "silent", "redis", "session"])
            self.counts[storm] += 1
            if storm == "cut":
                self._wire.cut()
            elif storm == "silent":
                self._wire.go_silent(self._rng.uniform(5.0, 40.0))
            elif storm == "redis":
                await asyncio.to_thread(self._world.redis.kill)
                await asyncio.sleep(self._rng.uniform(0.5, 4.0))
                await asyncio.to_thread(self._world.redis.start)
            else:
                await self._end_session(contexts[self._rng.choice(sorted(contexts))])

    def clear_up(self) -> None:
        """From now on nothing fails, and what still did is over."""
        self.is_fair = True
        self._wire.end_silence()

    async def _end_session(self, context: BrowserContext) -> None:
        for cookie in await context.cookies():
            if cookie["name"] == "sessionid":
                self._world.database.change(
                    "DELETE FROM django_session WHERE session_key = %s", cookie["value"]
                )
