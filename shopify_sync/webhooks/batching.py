"""Work that is cheaper together: what comes while a thread is busy goes with its next round."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from django.db import connections

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(slots=True)
class _Waiting(Generic[Item, Found]):
    item: Item
    size: int
    answer: asyncio.Future[Found]
    since: float = field(default_factory=time.monotonic)


class Gatherer(Generic[Item, Found]):
    """One thread, one round of `work` at a time, over at most `at_once` items.

    `work` gives an answer for each item, in order. At most `items` of together `size` wait;
    beyond that `put` refuses.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], list[Found]],
        *,
        at_once: int,
        items: int,
        size: int = 2**62,
    ) -> None:
        self._work, self._at_once = work, at_once
        self._most_items, self._most_size = items, size
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[_Waiting[Item, Found]] = deque()
        self._under_way: list[_Waiting[Item, Found]] = []
        self._size = 0
        self._is_busy = False

    def put(self, item: Item, size: int = 0) -> asyncio.Future[Found] | None:
        """Where the answer will be. None: there is no room."""
        if len(self._waiting) >= self._most_items or self._size + size > self._most_size:
            return None
        waiting = _Waiting[Item, Found](item, size, self._loop.create_future())
        self._waiting.append(waiting)
        self._size += size
        if not self._is_busy:
            self._is_busy = True
            # After the other requests that came with this one.
            self._loop.call_soon(self._next_round)
        return waiting.answer

    def give_up(self, older_than_s: float, answer: Found) -> None:
        """Answer those who have waited too long; their work may still be done."""
        until = time.monotonic() - older_than_s
        for waiting in (*self._under_way, *self._waiting):
            if waiting.since < until and not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def stop(self) -> None:
        """Let what is under way end, and its thread close its database connection."""
        while self._is_busy:
            await asyncio.sleep(0.01)
        await self._loop.run_in_executor(self._thread, connections.close_all)
        self._thread.shutdown()

    def _next_round(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
        if not taken:
            self._is_busy = False
            return
        self._under_way = taken
        round_ = self._loop.run_in_executor(self._thread, self._work, [w.item for w in taken])
        round_.add_done_callback(self._answer)

    def _answer(self, round_: asyncio.Future[list[Found]]) -> None:
        taken, self._under_way = self._under_way, []
        self._size -= sum(waiting.size for waiting in taken)
        error = round_.exception()
        answers = [] if error else round_.result()
        for number, waiting in enumerate(taken):
            if waiting.answer.done():
                continue
            if error:
                waiting.answer.set_exception(error)
            else:
                waiting.answer.set_result(answers[number])
        self._next_round()
