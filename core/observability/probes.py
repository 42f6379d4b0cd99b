"""/livez and /readyz as ASGI: they answer however busy Django's threads are.

A probe that waits for a thread fails when the server is merely busy, and a supervisor that relies on
it would restart a server that works.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import DatabaseError, connection

from core.response_headers import ALWAYS_RAW
from core.server.asgi_types import Receive, Scope, Send

READY_WITHIN_S: Final = 5.0
PATHS: Final = frozenset({"/livez", "/readyz"})


class Probes:
    """ASGI application for PATHS; one per event loop.

    /readyz asks the database on a thread of its own. Probes that arrive in the meantime share its
    answer, so that a flood of them costs one query at a time.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readyz")
        self._asking: asyncio.Future[bool] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, b"Only GET is allowed.")
        elif scope["path"] == "/livez":
            await _answer(send, 200, b"ok")
        elif await self._is_ready():
            await _answer(send, 200, b"ready")
        else:
            await _answer(send, 503, b"The database doesn't respond.")

    async def _is_ready(self) -> bool:
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._thread, _database_answers)
        try:
            # Shielded: one probe that gives up must not end the query of the others.
            return await asyncio.wait_for(asyncio.shield(self._asking), READY_WITHIN_S)
        except TimeoutError:
            return False


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        # Each probe opens its own connection: whether that works is part of the question.
        connection.close()
    return True


async def _answer(send: Send, status: int, text: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        *ALWAYS_RAW,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
