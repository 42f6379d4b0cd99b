"""The hub: one reader of new LiveEvent rows for all of a process's streams."""

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

from core import redis_servers
from inbox.live import audience, events
from inbox.live.events import (
    Event,
    Position,
    Reading,
)

logger = logging.getLogger(__name__)

# The polling interval if Redis doesn't signal a change, or the signal is lost.
LOOK_EVERY_S: Final = 1.0
# No matter how fast changes come, they are read at most this often.
GATHER_S: Final = 0.05
# Without a successful read for longer than this, we can't say that nothing has changed.
FRESH_S: Final = 5.0
_REDIS_RETRY_S: Final = 1.0
# How many events a browser may lag behind, and how many one read may return. Beyond that,
# browsers reload everything instead.
_BACKLOG: Final = 200
_AT_MOST: Final = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told:
    """An item for a stream's queue. `after` is the position that a browser has reached once it has
    received this item."""

    kind: Literal["event", "beat", "resync", "lost"]
    event: Event | None = None
    after: Position | None = None


class Hub:
    """Reads events with one task and one database connection while any stream is open."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Told]] = set()
        self._task: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._mark = ""
        self._read_at = float("-inf")
        self._is_lost = False
        self.position = Position(0, 0)

    @property
    def is_reading(self) -> bool:
        """Whether a read succeeded recently; only then does silence mean that nothing changed."""
        return asyncio.get_running_loop().time() - self._read_at < FRESH_S and not self._is_lost

    async def open(self) -> asyncio.Queue[Told]:
        """Return a queue that receives everything from now on. Raises db.Error."""
        queue: asyncio.Queue[Told] = asyncio.Queue(maxsize=_BACKLOG)
        self._queues.add(queue)
        try:
            if self._task is None or self._task.done():
                # Streams that open concurrently wait for the same first read.
                if self._starting is None or self._starting.done():
                    self._starting = asyncio.create_task(self._start())
                await asyncio.shield(self._starting)
        except BaseException:
            self.close(queue)
            raise
        return queue

    def close(self, queue: asyncio.Queue[Told]) -> None:
        """Remove a stream's queue; the last one stops the reading task and its connection."""
        self._queues.discard(queue)
        if self._queues:
            return
        for task in (self._task, self._starting):
            if task is not None:
                task.cancel()
        self._task = self._starting = None
        if self._threads is not None:
            # The connection belongs to that thread, so it has to be closed there.
            self._threads.submit(_close_connection)
            self._threads.shutdown(wait=False)
            self._threads = None

    async def read(self, mark: str, *, at_most: int) -> Reading:
        """Read events on the hub's own connection. Raises db.Error."""
        return await self._in_thread(
            lambda: audience.with_owners(events.read(mark, at_most=at_most))
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")

        def run() -> T:
            try:
                return work()
            except db.Error:
                # A broken connection would stay broken.
                _close_connection()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def _start(self) -> None:
        found = await self.read("", at_most=0)
        self._went_well(found)
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        signaled = asyncio.Event()
        listening = asyncio.create_task(self._listen_to_redis(signaled))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(signaled.wait(), LOOK_EVERY_S)
                signaled.clear()
                try:
                    await self._poll()
                except db.Error:
                    self._went_wrong()
                await asyncio.sleep(GATHER_S)
        finally:
            listening.cancel()

    async def _poll(self) -> None:
        before = self.position
        found = await self.read(self._mark, at_most=_AT_MOST)
        was_lost = self._is_lost
        self._went_well(found)
        if len(found.events) > _AT_MOST or self.position.at < before.at:
            # A flood, or the database was restored from an older backup.
            self._tell(Told("resync", after=self.position))
            return
        for number, event in enumerate(found.events, start=1):
            # A browser that reconnects before it has received the last one starts over before the
            # first.
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
            logger.warning("live updates are paused: the database does not respond")
            self._is_lost = True
            self._tell(Told("lost"))

    def _tell(self, told: Told) -> None:
        for queue in self._queues:
            try:
                queue.put_nowait(told)
            except asyncio.QueueFull:
                # A browser this far behind reloads everything once.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Told("resync", after=self.position))

    async def _listen_to_redis(self, signaled: asyncio.Event) -> None:
        is_warned = False
        while settings.REDIS_URL:
            try:
                client = redis_servers.asynchronous_client(
                    settings.REDIS_URL, socket_connect_timeout=1.0
                )
                async with client, client.pubsub() as pubsub:
                    await pubsub.subscribe(events.CHANNEL)
                    async for _message in pubsub.listen():
                        is_warned = False
                        signaled.set()
            except (redis.RedisError, OSError):
                if not is_warned:
                    logger.warning("live updates take up to a second: Redis does not respond")
                is_warned = True
            await asyncio.sleep(_REDIS_RETRY_S)


def _close_connection() -> None:
    db.connection.close()
