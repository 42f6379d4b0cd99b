"""GET /events/: changes as server-sent events, for the browsers that show them.

One task per process reads new rows of inbox.live.events, when Redis signals one or once a second,
and passes them to the open streams. The stream is a raw ASGI callable, so that an idle browser
costs neither a thread nor a database connection.

A stream starts with what came after the position it is given. Its events:

- a plain message for each change;
- "beat": the connection is alive, and every change up to the event's ID, if it has one, was sent;
- "resync": reload everything;
- "lost": the database doesn't respond; a beat follows once it does;
- "ended": the user may not listen any longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from django import db
from django.core import signing

from core.response_headers import ALWAYS_RAW
from core.server.asgi_types import Receive, Scope, Send
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
# How long a user may still receive IDs whose rights ended without an announcement (live.SESSIONS),
# for example by a change in the database.
RECHECK_S: Final = 60.0
# For clients that let EventSource reconnect by itself; our script reopens the stream instead.
RETRY_MS: Final = 2000
# With more events than this to send, reloading everything once is cheaper.
CATCH_UP_EVENTS: Final = 300

_hub: Final = Hub()


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the stream (ASGI). Query parameters: `after`, the position to start from; `check`, only
    say whether access is granted. A frame authenticates with `Authorization: Stream <token>`, never
    in the URL, which servers log; anyone else with their session.

    Responds 403 if it is not, and 503 if the database doesn't respond.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        listener = await access.listener(
            token=_token(headers.get("authorization", "")), cookies=headers.get("cookie", "")
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


def _token(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme == "Stream" else ""


async def _plain(send: Send, status: int) -> None:
    headers = ALWAYS_RAW
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
    # Numbers of the events sent while catching up; the queue may hold them again.
    _known: frozenset[int] = frozenset()
    _recheck: asyncio.Event = field(default_factory=asyncio.Event)
    _now: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)

    async def run(self, after: Position | None) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            *ALWAYS_RAW,
            (b"x-accel-buffering", b"no"),
        ]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._write(f"retry: {RETRY_MS}\n\n")
        await self._catch_up(after)
        beat_at, until = self._now() + HEARTBEAT_S, self._now() + self.listener.for_s
        # In a task of its own, so that a slow database doesn't hold up sending.
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
        """Send what the browser missed. The queue is already open, so what is committed during
        this read arrives twice rather than never."""
        missed = await self._missed(after) if after else ()
        if missed is None:
            await self._write(_resync())
        else:
            for event in missed:
                await self._tell(Told("event", event, after))
            self._known = frozenset(event.number for event in missed)
        await self._beat()

    async def _missed(self, after: Position) -> tuple[Event, ...] | None:
        """Return the events since a position; None if that is unknown or too many to send."""
        if after.age_s > live.CATCH_UP_S:
            return None
        try:
            found = await _hub.read(live.mark_at(after.at), at_most=CATCH_UP_EVENTS)
        except db.Error:
            return None
        # A position ahead of this read comes from before the database was restored from an older
        # backup. (The hub's position is no measure: it polls and may be a second behind.)
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
        if self.listener.is_about_sessions(told.event.topics):
            if self.listener.is_doubted_by(told.event.topics):
                self._recheck.set()
            return
        topics = self.listener.hears(told.event)
        if topics:
            said = {"n": told.event.number, "at": told.event.at, "topics": topics}
            await self._write(f"id: {told.after}\ndata: {json.dumps(said)}\n\n")

    async def _beat(self) -> None:
        """Send a beat, but only if reading works: it promises that nothing else has changed.

        It carries a position only if the queue is empty, because a browser that reconnects
        continues from there and would skip what is still queued.
        """
        if _hub.is_reading:
            mark = f"id: {_hub.position}\n" if self.queue.empty() else ""
            await self._write(f"{mark}event: beat\ndata: {{}}\n\n")
        else:
            await self._write(_LOST)

    async def _until_over(self) -> None:
        """Return once the user may not listen any longer."""
        while True:
            # Spread out: after a restart of the server all streams were opened at the same time.
            # Sooner if someone's sessions were ended.
            with contextlib.suppress(TimeoutError):
                seconds = RECHECK_S * random.uniform(0.75, 1.0)  # noqa: S311
                await asyncio.wait_for(self._recheck.wait(), seconds)
            self._recheck.clear()
            # With the database down we can't know, but then no events are sent either.
            with contextlib.suppress(db.Error):
                if not await access.still_may_listen(self.listener):
                    return

    async def _write(self, text: str) -> None:
        await self.send({"type": "http.response.body", "body": text.encode(), "more_body": True})


_LOST: Final = "event: lost\ndata: {}\n\n"


def _resync(position: Position | None = None) -> str:
    mark = f"id: {position}\n" if position else ""
    return f"{mark}event: resync\ndata: {{}}\n\n"
