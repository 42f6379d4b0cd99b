"""ASGI callables without a framework: the HTTP floor, and the least that stores a webhook.

`floor` answers and does nothing else. `batch` checks the signature and stores everything that
arrived since the last commit with one statement and one commit, over psycopg, into a table with a
single index that stores each delivery once: the limit a receiver in Python can reach.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.server.asgi_types import Receive, Scope, Send

SECRET = os.environ["BENCH_SECRET"].encode()
STORE = (
    "INSERT INTO webhooks (shop, webhook_id, topic, body)"
    " SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bytea[])"
    " ON CONFLICT (shop, webhook_id) DO NOTHING"
)

Waiting = tuple[tuple[str, str, str, bytes], asyncio.Future[None]]


async def floor(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 and store nothing."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await _answer(send, 200)


class Batch:
    """Store deliveries in batches; each is answered once its batch is committed."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._is_busy = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._connect)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = dict(scope["headers"])
        digest = base64.b64encode(hmac.digest(SECRET, body, hashlib.sha256))
        if not hmac.compare_digest(digest, headers.get(b"x-shopify-hmac-sha256", b"")):
            await _answer(send, 401)
            return
        names = (b"x-shopify-shop-domain", b"x-shopify-webhook-id", b"x-shopify-topic")
        shop, webhook_id, topic = (headers[name].decode() for name in names)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((shop, webhook_id, topic, body), done))
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().call_soon(self._next)
        await done
        await _answer(send, 200)

    async def _connect(self) -> None:
        import psycopg

        url = os.environ["BENCH_DATABASE_URL"]
        self._line = psycopg.connect(url, autocommit=True, prepare_threshold=0)

    def _next(self) -> None:
        taken, self._waiting = self._waiting[:200], self._waiting[200:]
        if not taken:
            self._is_busy = False
            return
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, self._store, [row for row, _ in taken])
        work.add_done_callback(lambda work: self._answer_all(work, taken))

    def _store(self, rows: list[tuple[str, str, str, bytes]]) -> None:
        with self._line.cursor() as cursor:
            cursor.execute(STORE, [list(column) for column in zip(*rows, strict=True)])

    def _answer_all(self, work: asyncio.Future[None], taken: list[Waiting]) -> None:
        work.result()
        for _, done in taken:
            done.set_result(None)
        self._next()


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(
    receive: Receive, send: Send, begin: Callable[[], Awaitable[None]] | None = None
) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and begin:
            await begin()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


batch = Batch()
