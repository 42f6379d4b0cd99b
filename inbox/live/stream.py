"""GET /events/: what changed, as server-sent events, to the browsers that look at it.

One task a process reads the new rows of inbox.live.events, woken by Redis or once a second, and hands
them to its open streams. A stream is answered as a raw ASGI callable, so that an idle browser
costs neither a thread nor a database connection.

A stream begins with what came after the position it names, and goes on from there. Its events:
a message for each change; "beat", so that the browser knows the line to be alive and every change
up to the event's id, if it has one, to be told; "resync", look at everything again; "lost", the
database does not answer, a beat follows once it does; "ended", the person may not listen any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from django import db
from django.core import signing

from inbox.live import (
    access,
)
from inbox.live import (
    events as live,
)
from inbox.live.access import Listener
from inbox.live.events import (
    Event,
    Position,
)
from inbox.live.hub import (
    Hub,
    Told,
)

HEARTBEAT_S: Final = 10.0
# How long somebody who was logged out, or has lost their role, still hears ids.
RECHECK_S: Final = 60.0
# Only where a browser reopens a stream by itself; ours does not leave it that.
RETRY_MS: Final = 2000
# With more than this to tell, reading everything once is cheaper.
CATCH_UP_EVENTS: Final = 300

_hub: Final = Hub()
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def events(scope: Any, receive: Receive, send: Send) -> None:
    """?after=: the position from which on to tell. ?token=: a frame's; else the session says who
    listens. ?check=1: only whether they may.

    403: they may not; 503: the database does not answer."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        listener = await access.listener(
            token=query.get("token", [""])[0], cookies=headers.get("cookie", "")
        )
        if "check" in query:
            await _plain(send, 204)
            return
        queue = await _hub.open()
    except signing.BadSignature:
        await _plain(send, 403)
        return
    except db.Error:
        await _plain(send, 503)
        return
    after = Position.parse(headers.get("last-event-id") or query.get("after", [""])[0])
    gone = asyncio.create_task(_until_gone(receive))
    try:
        await _Stream(listener, queue, send, gone).run(after)
    finally:
        gone.cancel()
        _hub.close(queue)


async def _plain(send: Send, status: int) -> None:
    headers = [(b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class _Stream:
    listener: Listener
    queue: asyncio.Queue[Told]
    send: Send
    gone: asyncio.Task[None]
    # What the first look told; the queue may hold it again.
    _known: frozenset[int] = frozenset()
    _now: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)

    async def run(self, after: Position | None) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._write(f"retry: {RETRY_MS}\n\n")
        await self._catch_up(after)
        beat_at, until = self._now() + HEARTBEAT_S, self._now() + self.listener.for_s
        # Beside the telling, which goes on while the database takes its time with the answer.
        is_over = asyncio.create_task(self._until_over())
        try:
            while not self.gone.done() and self._now() < until:
                told = await self._next(min(beat_at, until), is_over)
                if told is not None:
                    await self._tell(told)
                if is_over.done():
                    is_over.result()
                    await self._write("event: ended\ndata: {}\n\n")
                    break
                if self._now() >= beat_at or (told is not None and told.kind == "beat"):
                    beat_at = self._now() + HEARTBEAT_S
                    await self._beat()
        finally:
            is_over.cancel()
        if not self.gone.done():
            await self.send({"type": "http.response.body", "body": b""})

    async def _catch_up(self, after: Position | None) -> None:
        """The queue is open by now: what is committed meanwhile comes twice rather than never."""
        missed = await self._missed(after) if after else ()
        if missed is None:
            await self._write(_resync())
        else:
            for event in missed:
                await self._tell(Told("event", event, after))
            self._known = frozenset(event.number for event in missed)
        await self._beat()

    async def _missed(self, after: Position) -> tuple[Event, ...] | None:
        """The events since; None: that cannot be said, or is too much to be told."""
        if after.age_s > live.CATCH_UP_S:
            return None
        try:
            found = await _hub.read(live.mark_at(after.at), at_most=CATCH_UP_EVENTS)
        except db.Error:
            return None
        # Ahead of this reading it is of a database that was replaced by an older one. Not so of
        # one that is ahead of the hub, which looks once a second.
        is_ahead = after.at > found.position.at
        return None if is_ahead or len(found.events) > CATCH_UP_EVENTS else found.events

    async def _next(self, until: float, is_over: asyncio.Task[None]) -> Told | None:
        waiting = asyncio.create_task(self.queue.get())
        timeout = max(0.0, until - self._now())
        await asyncio.wait(
            {waiting, self.gone, is_over}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        return None

    async def _tell(self, told: Told) -> None:
        if told.event is None:
            if told.kind == "resync":
                await self._write(_resync(told.after))
            elif told.kind == "lost":
                await self._write(_LOST)
            return
        if told.event.number in self._known:
            return
        topics = self.listener.hears(told.event.topics)
        if topics:
            said = {"n": told.event.number, "at": told.event.at, "topics": topics}
            await self._write(f"id: {told.after}\ndata: {json.dumps(said)}\n\n")

    async def _beat(self) -> None:
        """Only where reading works: without it nobody may be told that nothing has changed. With a
        position only once all before it was told here: whoever comes back begins there."""
        if _hub.is_reading:
            mark = f"id: {_hub.position}\n" if self.queue.empty() else ""
            await self._write(f"{mark}event: beat\ndata: {{}}\n\n")
        else:
            await self._write(_LOST)

    async def _until_over(self) -> None:
        """Until its person may not listen any more."""
        while True:
            # Not all streams at once, which a server that came back would open together.
            await asyncio.sleep(RECHECK_S * random.uniform(0.75, 1.0))  # noqa: S311
            # Else nobody knows; nothing is told either until the database answers.
            with contextlib.suppress(db.Error):
                if not await access.still_may_listen(self.listener):
                    return

    async def _write(self, text: str) -> None:
        await self.send({"type": "http.response.body", "body": text.encode(), "more_body": True})


_LOST: Final = "event: lost\ndata: {}\n\n"


def _resync(position: Position | None = None) -> str:
    mark = f"id: {position}\n" if position else ""
    return f"{mark}event: resync\ndata: {{}}\n\n"
