"""Read request bodies in the event loop, before a request gets one of the few threads.

A client that sends its body slowly, or a huge one, then costs some memory for some seconds, and no
thread. Bodies never touch the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from core.response_headers import ALWAYS_RAW
from core.server.asgi_types import Application, Message, Receive, Scope, Send

# For the whole body, however fast its parts arrive.
BODY_WITHIN_S: Final = 20.0
# Of all bodies in this process that are arriving or wait for a thread. Small ones are taken even
# then: otherwise a few clients that hold large ones back would keep everyone from sending.
MOST_WAITING_BYTES: Final = 64 * 2**20
ALWAYS_TAKEN: Final = 64 * 1024
# After a refusal, what a client still sends is read and dropped for this long, because closing at
# once would reset the connection, and the client might never see the response.
DROPPED_WITHIN_S: Final = 2.0
MOST_DROPPED_BYTES: Final = 8 * 2**20
_TEXTS: Final = {
    400: b"This address or form holds a character that no text can have (NUL).",
    408: b"The body of this request didn't arrive in time.",
    413: b"The body of this request is too large.",
    503: b"Too much is arriving at once. Try again in a few seconds.",
}

Limit = Callable[[Scope], int]


class WholeBodies:
    """ASGI middleware: pass requests on with their whole body, or refuse them.

    413: longer than `limit` allows for this request (a function of the ASGI scope, in bytes). 408:
    not complete after BODY_WITHIN_S. 503: too many bodies at once. 400: a NUL character in the
    address or in a form, which no database stores. Header names with an underscore are dropped:
    WSGI can't tell `X_Forwarded_For` from `X-Forwarded-For`, which proxies set.
    """

    def __init__(self, application: Application, limit: Limit) -> None:
        self._application = application
        self._limit = limit
        self.waiting_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
        if _has_nul(scope["path"].encode(errors="replace"), scope["query_string"]):
            await _refuse(receive, send, 400)
            return
        share = _Share(self)
        try:
            body = await self._body(scope, headers, receive, share)
            if body is None:
                return
            if isinstance(body, int):
                share.release()
                await _refuse(receive, send, body)
                return
            if _has_nul_in_form(headers, body):
                await _refuse(None, send, 400)
                return
            replay = _Replay(body, receive)
            # While the response is read, nothing here may keep the body any longer.
            del body
            scope = {**scope, "headers": headers}
            await self._application(scope, replay, share.until_answered(send))
        finally:
            share.release()

    async def _body(
        self,
        scope: Scope,
        headers: list[tuple[bytes, bytes]],
        receive: Receive,
        share: _Share,
    ) -> bytes | int | None:
        """Return the body, the status to refuse it with, or None if the client has left."""
        given = dict(headers)
        declared = given.get(b"content-length", b"")
        if not declared and b"transfer-encoding" not in given:
            return b""
        most = self._limit(scope)
        if declared.isdigit() and int(declared[:20]) > most:
            return 413
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    part = message.get("body", b"")
                    body += part
                    share.add(len(part))
                    if len(body) > most:
                        return 413
                    if self.waiting_bytes > MOST_WAITING_BYTES and len(body) > ALWAYS_TAKEN:
                        return 503
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            return 408


class _Share:
    """What one request's body adds to `waiting_bytes`, until its response starts."""

    def __init__(self, whole: WholeBodies) -> None:
        self._whole = whole
        self._bytes = 0

    def add(self, count: int) -> None:
        self._whole.waiting_bytes += count
        self._bytes += count

    def release(self) -> None:
        self._whole.waiting_bytes -= self._bytes
        self._bytes = 0

    def until_answered(self, send: Send) -> Send:
        """Return `send`, made to release the share first: a slow reader doesn't hold it."""

        async def releasing(message: Message) -> None:
            self.release()
            await send(message)

        return releasing


class _Replay:
    """`receive` for the application: the body at once, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _refuse(rest: Receive | None, send: Send, status: int) -> None:
    """Answer with a sentence, drop what is left of the body (if any), then close the connection."""
    await _begin_refusal(send, status)
    if rest is not None:
        await _drop(rest)
    await send({"type": "http.response.body", "body": b""})


async def _drop(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DROPPED_WITHIN_S):
            dropped = 0
            while dropped <= MOST_DROPPED_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if not message.get("more_body"):
                    break


async def _begin_refusal(send: Send, status: int) -> None:
    text = _TEXTS[status]
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        *ALWAYS_RAW,
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": True})


def _has_nul_in_form(headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    kind = dict(headers).get(b"content-type", b"").lower()
    if kind.startswith(b"application/x-www-form-urlencoded"):
        return b"\0" in body or b"%00" in body
    # No form of ours sends files, which could hold one.
    return kind.startswith(b"multipart/form-data") and b"\0" in body


def _has_nul(path: bytes, query: bytes) -> bool:
    return b"\0" in path or b"%00" in query
