"""What changed, to the browsers that look at it: server-sent events, ids only.

One Redis subscriber a process fans out to its open streams. The stream is answered as a raw
ASGI callable, so that an idle browser costs neither a thread nor a database connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs

import redis
import redis.asyncio
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from inbox import roles

logger = logging.getLogger(__name__)

CHANNEL: Final = "inbox:live"
HEARTBEAT_S: Final = 15.0
RECONNECT_MS: Final = 2000
_SALT: Final = "live"
_TOKEN_AGE_S: Final = 12 * 3600
_FRAME_SALT: Final = "live.frame"
# As long as the frame's pass; each new pass brings a new one.
FRAME_TOKEN_AGE_S: Final = 600
_BACKLOG: Final = 200


def announce(*topics: str) -> None:
    """Tell browsers, after the running transaction commits, that something looks different.

    Topics: "inbox", "conversation:<id>", "contact:<id>", "order:<id>", "person:<hash>". Never
    raises: a browser that hears nothing asks again by itself.
    """
    transaction.on_commit(lambda: publish(topics), robust=True)


def publish(topics: Iterable[str]) -> None:
    if not settings.REDIS_URL:
        return
    try:
        _client().publish(CHANNEL, json.dumps({"topics": sorted(set(topics))}))
    except redis.RedisError:
        logger.warning("live updates are down: Redis does not answer")


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5)


def stream_token(user: Any) -> str:
    """Lets a browser open the stream without a session look-up in the event loop."""
    return signing.dumps(user.pk, salt=_SALT)


def person_topic(address: str) -> str:
    """Of an e-mail address or phone number, for panels that know no contact of ours."""
    return f"person:{salted_hmac(_SALT, address, algorithm='sha256').hexdigest()[:24]}"


def frame_stream_token(topics: Iterable[str]) -> str:
    """Opens a stream that tells of these people's orders only, for as long as it is valid."""
    return signing.dumps(sorted(topics), salt=_FRAME_SALT)


@dataclass(frozen=True, slots=True)
class _Ear:
    """What a stream may hear. `topics` None: everything; `until`: the loop's time it ends."""

    topics: frozenset[str] | None
    until: float

    def hears(self, text: str) -> str:
        """The event as this stream may know it, or ""."""
        if self.topics is None or not text.startswith("data: "):
            return text
        told = json.loads(text.removeprefix("data: "))["topics"]
        if self.topics.isdisjoint(told):
            return ""
        # Of what came with it, only which order it was.
        own = [topic for topic in told if topic in self.topics or topic.startswith("order:")]
        return f"data: {json.dumps({'topics': own})}\n\n"


async def _ear(token: str) -> _Ear:
    """Raises BadSignature, also for somebody who has no role any more."""
    now = asyncio.get_running_loop().time()
    try:
        user_id = signing.loads(token, salt=_SALT, max_age=_TOKEN_AGE_S)
    except signing.BadSignature:
        topics = signing.loads(token, salt=_FRAME_SALT, max_age=FRAME_TOKEN_AGE_S)
        return _Ear(frozenset(topics), now + FRAME_TOKEN_AGE_S)
    if not await asyncio.to_thread(_may_listen, user_id):
        raise signing.BadSignature("no role")
    return _Ear(None, float("inf"))


def _may_listen(user_id: int) -> bool:
    """In a thread of its own, once a stream: an open one costs no connection."""
    try:
        user = User.objects.filter(pk=user_id).first()
        return user is not None and roles.may_read(user)
    finally:
        connection.close()


class Hub:
    """The process's one subscription, and the queues of its open streams."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> asyncio.Queue[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=_BACKLOG)
        self._queues.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())
        return queue

    def close(self, queue: asyncio.Queue[str]) -> None:
        self._queues.discard(queue)
        if not self._queues and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _listen(self) -> None:
        while settings.REDIS_URL:
            try:
                await self._relay()
            except (redis.RedisError, OSError):
                logger.warning("live updates wait for Redis")
                await asyncio.sleep(1.0)
                # What was said meanwhile is lost: everybody looks again.
                self._send("event: resync\ndata: {}\n\n")

    async def _relay(self) -> None:
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1.0)
        async with client, client.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    self._send(f"data: {message['data'].decode()}\n\n")

    def _send(self, text: str) -> None:
        for queue in self._queues:
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                # A browser this far behind is told to look at everything once.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait("event: resync\ndata: {}\n\n")


_hub: Final = Hub()
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def events(scope: Any, receive: Receive, send: Send) -> None:
    """GET /events/?token=: the stream, until the browser goes away."""
    token = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
    try:
        ear = await _ear(token)
    except signing.BadSignature:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"this stream needs a fresh page"})
        return
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    queue = _hub.open()
    gone = asyncio.create_task(_until_gone(receive))
    try:
        # A browser that comes back may have missed something.
        is_return = any(name == b"last-event-id" for name, _ in scope.get("headers", []))
        first = f"retry: {RECONNECT_MS}\n\n" + ("event: resync\ndata: {}\n\n" if is_return else "")
        await _body(send, first)
        while not gone.done() and asyncio.get_running_loop().time() < ear.until:
            await _next(queue, gone, send, ear)
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        _hub.close(queue)


async def _next(queue: asyncio.Queue[str], gone: asyncio.Task[None], send: Send, ear: _Ear) -> None:
    waiting = asyncio.create_task(queue.get())
    done, _ = await asyncio.wait(
        {waiting, gone}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
    )
    if waiting in done:
        if text := ear.hears(waiting.result()):
            await _body(send, text)
    else:
        waiting.cancel()
        if not done:
            await _body(send, ": still here\n\n")


async def _body(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
