"""What reads the new rows of inbox.live.events for all streams of a process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import redis
import redis.asyncio
from django import db
from django.conf import settings

from inbox.live import events
from inbox.live.events import (
    Event,
    Position,
    Reading,
)

logger = logging.getLogger(__name__)

# Without a word from Redis, or when one was lost.
LOOK_EVERY_S: Final = 1.0
# However fast changes come, they are read at most this often.
GATHER_S: Final = 0.05
# A read that takes longer than this is no proof that nothing has changed.
FRESH_S: Final = 5.0
_REDIS_AGAIN_S: Final = 1.0
# What a browser may lag behind, and what one read may bring: more is a look at everything.
_BACKLOG: Final = 200
_AT_MOST: Final = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told:
    """For a stream. `after`: everything before it was told when this is."""

    kind: Literal["event", "beat", "resync", "lost"]
    event: Event | None = None
    after: Position | None = None


class Hub:
    """One reading task and one database connection, while there are streams."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Told]] = set()
        self._task: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._mark = ""
        self._read_at = float("-inf")
        self._is_lost = False
        self.position = Position(0, 0)

    @property
    def is_reading(self) -> bool:
        return asyncio.get_running_loop().time() - self._read_at < FRESH_S and not self._is_lost

    async def open(self) -> asyncio.Queue[Told]:
        """A queue that is told everything from now on. Raises db.Error."""
        queue: asyncio.Queue[Told] = asyncio.Queue(maxsize=_BACKLOG)
        self._queues.add(queue)
        try:
            if self._task is None or self._task.done():
                # Whoever comes meanwhile waits for the same first look.
                if self._beginning is None or self._beginning.done():
                    self._beginning = asyncio.create_task(self._begin())
                await asyncio.shield(self._beginning)
        except BaseException:
            self.close(queue)
            raise
        return queue

    def close(self, queue: asyncio.Queue[Told]) -> None:
        self._queues.discard(queue)
        if self._queues:
            return
        for task in (self._task, self._beginning):
            if task is not None:
                task.cancel()
        self._task = self._beginning = None
        if self._threads is not None:
            # In its own thread, whose connection it is.
            self._threads.submit(_close_connection)
            self._threads.shutdown(wait=False)
            self._threads = None

    async def read(self, mark: str, *, at_most: int) -> Reading:
        """By the process's one connection for it. Raises db.Error."""
        return await self._in_thread(lambda: events.read(mark, at_most=at_most))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")

        def run() -> T:
            try:
                return work()
            except db.Error:
                # What is broken would stay so.
                _close_connection()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def _begin(self) -> None:
        found = await self.read("", at_most=0)
        self._went_well(found)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        poked = asyncio.Event()
        pokes = asyncio.create_task(self._hear_pokes(poked))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(poked.wait(), LOOK_EVERY_S)
                poked.clear()
                try:
                    await self._look()
                except db.Error:
                    self._went_wrong()
                await asyncio.sleep(GATHER_S)
        finally:
            pokes.cancel()

    async def _look(self) -> None:
        before = self.position
        found = await self.read(self._mark, at_most=_AT_MOST)
        was_lost = self._is_lost
        self._went_well(found)
        if len(found.events) > _AT_MOST or self.position.at < before.at:
            # A flood; or a database that was replaced by an older one.
            self._tell(Told("resync", after=self.position))
            return
        for number, event in enumerate(found.events, start=1):
            # Until the last of them is told, whoever comes back begins before the first.
            is_last = number == len(found.events)
            self._tell(Told("event", event, self.position if is_last else before))
        if was_lost:
            self._tell(Told("beat"))

    def _went_well(self, found: Reading) -> None:
        self._mark, self.position = found.mark, found.position
        self._read_at = asyncio.get_running_loop().time()
        self._is_lost = False

    def _went_wrong(self) -> None:
        if not self._is_lost:
            logger.warning("live updates wait for the database")
            self._is_lost = True
            self._tell(Told("lost"))

    def _tell(self, told: Told) -> None:
        for queue in self._queues:
            try:
                queue.put_nowait(told)
            except asyncio.QueueFull:
                # A browser this far behind looks at everything once.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Told("resync", after=self.position))

    async def _hear_pokes(self, poked: asyncio.Event) -> None:
        is_warned = False
        while settings.REDIS_URL:
            try:
                client = redis.asyncio.Redis.from_url(
                    settings.REDIS_URL, socket_connect_timeout=1.0
                )
                async with client, client.pubsub() as pubsub:
                    await pubsub.subscribe(events.CHANNEL)
                    async for _message in pubsub.listen():
                        is_warned = False
                        poked.set()
            except (redis.RedisError, OSError):
                if not is_warned:
                    logger.warning("live updates take up to a second: Redis does not answer")
                is_warned = True
            await asyncio.sleep(_REDIS_AGAIN_S)


def _close_connection() -> None:
    db.connection.close()
