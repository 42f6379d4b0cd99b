"""Batch work that is cheaper together: items that arrive during one round go into the next."""

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
Result = TypeVar("Result")


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    size: int
    answer: asyncio.Future[Result]
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[Item, Result]):
    """Run `work` on one thread, one round at a time, over at most `at_once` items.

    `work` returns one answer per item, in order. At most `items` items may wait, and their sizes
    may add up to at most `size`; beyond that, `put` refuses. Must be created on the event loop.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], list[Result]],
        *,
        at_once: int,
        items: int,
        size: int = 2**62,
    ) -> None:
        self._work, self._at_once = work, at_once
        self._most_items, self._most_size = items, size
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._in_progress: list[_Waiting[Item, Result]] = []
        self._size = 0
        self._is_busy = False

    def put(self, item: Item, size: int = 0) -> asyncio.Future[Result] | None:
        """Queue an item and return the future of its answer; None if there's no room."""
        if len(self._waiting) >= self._most_items or self._size + size > self._most_size:
            return None
        waiting = _Waiting[Item, Result](item, size, self._loop.create_future())
        self._waiting.append(waiting)
        self._size += size
        if not self._is_busy:
            self._is_busy = True
            # Not at once: requests that arrived together with this one join its round.
            self._loop.call_soon(self._next_round)
        return waiting.answer

    def give_up(self, older_than_s: float, answer: Result) -> None:
        """Give `answer` to items that have waited too long; their work may still be done."""
        until = time.monotonic() - older_than_s
        for waiting in (*self._in_progress, *self._waiting):
            if waiting.since < until and not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def stop(self) -> None:
        """Finish the queued work, then have the thread close its database connections."""
        while self._is_busy:
            await asyncio.sleep(0.01)
        await self._loop.run_in_executor(self._thread, connections.close_all)
        self._thread.shutdown()

    def _next_round(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
        if not taken:
            self._is_busy = False
            return
        self._in_progress = taken
        round_ = self._loop.run_in_executor(self._thread, self._work, [w.item for w in taken])
        round_.add_done_callback(self._answer)

    def _answer(self, round_: asyncio.Future[list[Result]]) -> None:
        taken, self._in_progress = self._in_progress, []
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
