"""Twenty agents who read conversations, and a shop that delivers webhooks: what must keep working."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from shopify_sync.webhooks.signing import sign
from tests.attack.client import Line, request

# An agent reads about this long before the next page.
THINKS_S = 1.0
PATIENCE_S = 15.0
_LOST = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, TimeoutError)


@dataclass
class Honest:
    """What is asked for, and how that went."""

    port: int
    cookies: list[str]
    pages: list[str]
    shop: str
    secret: bytes
    seconds: float
    webhooks_per_s: float
    times_s: dict[str, list[float]] = field(default_factory=lambda: {"page": [], "webhook": []})
    failed: Counter[str] = field(default_factory=Counter)
    run: str = field(default_factory=lambda: f"{random.getrandbits(40):x}")

    async def work(self) -> None:
        """Do all of it for the given time."""
        self._until = time.monotonic() + self.seconds
        self._numbers = itertools.count()
        await asyncio.gather(*map(self._agent, self.cookies), self._shop())

    def p99_ms(self, kind: str) -> float:
        """Return the 99th percentile of the responses of a kind, in milliseconds."""
        found = sorted(self.times_s[kind])
        return found[min(len(found) - 1, int(len(found) * 0.99))] * 1000 if found else 0.0

    async def _agent(self, cookie: str) -> None:
        chance = random.Random(cookie)
        async with Line(self.port) as line:
            await asyncio.sleep(chance.random() * THINKS_S)
            while time.monotonic() < self._until:
                text = request("GET", chance.choice(self.pages), Cookie=cookie)
                await self._timed("page", line, text)
                await asyncio.sleep(THINKS_S * (0.5 + chance.random()))

    async def _shop(self) -> None:
        """Deliver at an even pace, however long each delivery takes."""
        idle: list[Line] = []
        under_way: set[asyncio.Task[None]] = set()
        begun = time.monotonic()
        while time.monotonic() < self._until:
            due = begun + next(self._numbers) / self.webhooks_per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            line = idle.pop() if idle else Line(self.port)
            task = asyncio.create_task(self._deliver(line, idle, len(self.times_s["webhook"])))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        for line in idle:
            line.close()

    async def _deliver(self, line: Line, idle: list[Line], number: int) -> None:
        body = b'{"id": %d, "admin_graphql_api_id": "gid://shopify/Order/%d"}' % (number, number)
        text = request(
            "POST",
            "/webhooks/shopify/",
            body,
            Content_Type="application/json",
            X_Shopify_Topic="orders/updated",
            X_Shopify_Shop_Domain=self.shop,
            X_Shopify_Webhook_Id=f"{self.run}-{random.getrandbits(60):x}",
            X_Shopify_Hmac_Sha256=sign(body, self.secret),
        )
        await self._timed("webhook", line, text)
        idle.append(line)

    async def _timed(self, kind: str, line: Line, text: bytes) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await line.ask(text)
        except _LOST as error:
            self.failed[f"{kind} {type(error).__name__}"] += 1
            line.close()
            return
        self.times_s[kind].append(time.monotonic() - begun)
        if status != 200:
            self.failed[f"{kind} {status}"] += 1
