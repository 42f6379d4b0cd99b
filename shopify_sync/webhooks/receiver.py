"""Shopify's fast door: answered before Django, deliveries that come together committed together.

The same rules as the view (views.py), which stays for servers without ASGI; both pass the same
tests. The event loop reads and verifies; one thread writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from core import queue
from shopify_sync.webhooks import (
    counters,
    storage,
)
from shopify_sync.webhooks.batching import Gatherer
from shopify_sync.webhooks.delivery import (
    Answer,
    Delivery,
    Keys,
    header_text,
)
from shopify_sync.webhooks.secrets import read_keys
from shopify_sync.webhooks.signing import is_signed

logger = logging.getLogger(__name__)

PATH: Final = "/webhooks/shopify/"
# A secret that was rotated works at once all the same: a mismatch reads again.
KEYS_TRUSTED_S: Final = 5.0
SHOPS_KEPT: Final = 2000
BATCH: Final = 200
WAITING: Final = 4096
WAITING_BYTES: Final = 128 * 2**20
BODY_WITHIN_S: Final = 20.0
# Shopify hangs up after 5 s, and would count the delivery as failed anyway.
ANSWER_WITHIN_S: Final = 4.0
# Rounds of messages to the worker, which takes all that waits at each.
BELL_EVERY_S: Final = 0.05
_LARGE: Final = 256 * 1024


class Receiver:
    """One per process and event loop. An ASGI callable for POST requests to PATH."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, Keys] = OrderedDict()
        self._writer = Gatherer(_store, at_once=BATCH, items=WAITING, size=WAITING_BYTES)
        self._locksmith = Gatherer(_read_keys, at_once=BATCH, items=WAITING)
        self._bell = Gatherer(_ring, at_once=WAITING, items=1)
        self._clerk = Gatherer(_flush, at_once=1, items=1)
        self._reading = 0
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        self._ticking.cancel()
        self._clerk.put(None)
        for gatherer in (self._writer, self._locksmith, self._bell, self._clerk):
            await gatherer.stop()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if settings.SECURE_SSL_REDIRECT and not _is_secure(scope, headers):
            await _send(send, 403, "use https")
            return
        domain = _text(headers, b"x-shopify-shop-domain")
        body = await self._body(headers, receive)
        keys: Keys | None = None
        if isinstance(body, Answer):
            answer = body
        else:
            answer, keys = await self._receive(headers, domain, body)
        # What reached the database was counted there.
        if answer not in {Answer.STORED, Answer.KNOWN, Answer.UNAVAILABLE} or keys is None:
            known = keys or self._keys.get(domain)
            store_id = known.store_id if known else None
            counters.count(store_id, answer.column, now=timezone.now())
        await _send(send, answer.status, answer.text, last=answer is Answer.TOO_LARGE)

    async def _receive(
        self, headers: dict[bytes, bytes], domain: str, body: bytes
    ) -> tuple[Answer, Keys | None]:
        """The answer, and the keys of the shop it was counted for; None: count it here."""
        signature = headers.get(b"x-shopify-hmac-sha256", b"").decode("latin-1")
        came = time.monotonic()
        keys = self._keys.get(domain)
        try:
            if keys is None or keys.read_at < came - KEYS_TRUSTED_S:
                keys = await self._read(domain)
            is_ours = await _verify(body, signature, keys)
            if not is_ours and keys and keys.store_id and keys.read_at < came:
                # The secret may have been rotated a moment ago.
                keys = await self._read(domain)
                is_ours = await _verify(body, signature, keys)
        except DatabaseError:
            logger.exception("the secrets could not be read")
            return Answer.UNAVAILABLE, None
        if keys is None:
            return Answer.UNAVAILABLE, None
        if not is_ours or keys.store_id is None:
            return Answer.UNAUTHORIZED, keys
        webhook_id, topic = (
            _text(headers, b"x-shopify-webhook-id"),
            _text(headers, b"x-shopify-topic"),
        )
        if not webhook_id or not topic:
            return Answer.MALFORMED, keys
        delivery = Delivery(
            keys.store_id,
            keys.is_active,
            webhook_id,
            _text(headers, b"x-shopify-event-id"),
            topic,
            _text(headers, b"x-shopify-api-version")[:20],
            _text(headers, b"x-shopify-triggered-at")[:40],
            body,
        )
        waiting = self._writer.put(delivery, len(body))
        if waiting is None:
            return Answer.UNAVAILABLE, None
        answer = await waiting
        if answer is Answer.STORED and delivery.is_heard:
            self._bell.put(None)
        return answer, keys

    async def _read(self, domain: str) -> Keys | None:
        """Raises DatabaseError."""
        waiting = self._locksmith.put(domain)
        if waiting is None:
            return None
        keys = await waiting
        if keys is not None:
            self._keys[domain] = keys
            self._keys.move_to_end(domain)
            if len(self._keys) > SHOPS_KEPT:
                self._keys.popitem(last=False)
        return keys

    async def _body(self, headers: dict[bytes, bytes], receive: Any) -> bytes | Answer:
        """The whole body, or why it is not taken."""
        most: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 2**62
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            return Answer.TOO_LARGE
        taken = 0
        try:
            # From the first piece on: a peer that sends headers and then nothing holds a place.
            async with asyncio.timeout(BODY_WITHIN_S):
                message = await receive()
                if message["type"] == "http.request" and not message.get("more_body"):
                    body: bytes = message.get("body", b"")
                    return body if len(body) <= most else Answer.TOO_LARGE
                parts = []
                while message["type"] == "http.request":
                    part = message.get("body", b"")
                    parts.append(part)
                    taken += len(part)
                    self._reading += len(part)
                    if taken > most:
                        return Answer.TOO_LARGE
                    if self._reading > WAITING_BYTES:
                        return Answer.UNAVAILABLE
                    if not message.get("more_body"):
                        return b"".join(parts)
                    message = await receive()
        except TimeoutError:
            pass
        finally:
            self._reading -= taken
        return Answer.BROKEN_OFF

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(counters.FLUSH_S)
            self._writer.give_up(ANSWER_WITHIN_S, Answer.UNAVAILABLE)
            self._locksmith.give_up(ANSWER_WITHIN_S, None)
            if counters.flush_due():
                self._clerk.put(None)


def _store(deliveries: list[Delivery]) -> list[Answer]:
    return storage.store(deliveries, now=timezone.now())


def _read_keys(domains: list[str]) -> list[Keys | None]:
    from django.db import connection

    try:
        found = read_keys(domains)
    except DatabaseError:
        # The connection may be a dead one of before.
        connection.close()
        found = read_keys(domains)
    return [found[domain] for domain in domains]


def _ring(tokens: list[None]) -> list[None]:
    queue.enqueue("shopify_sync.tasks.process_webhooks")
    time.sleep(BELL_EVERY_S)
    return tokens


def _flush(tokens: list[None]) -> list[None]:
    counters.flush()
    return tokens


async def _verify(body: bytes, signature: str, keys: Keys | None) -> bool:
    if keys is None or keys.store_id is None:
        return False
    if len(body) < _LARGE:
        return is_signed(body, signature, keys.secrets)
    return await asyncio.to_thread(is_signed, body, signature, keys.secrets)


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return header_text(headers.get(name, b"").decode("latin-1"))


def _is_secure(scope: Any, headers: dict[bytes, bytes]) -> bool:
    if scope.get("scheme") == "https":
        return True
    told = settings.SECURE_PROXY_SSL_HEADER
    if not told:
        return False
    name = told[0].removeprefix("HTTP_").replace("_", "-").lower().encode()
    return headers.get(name, b"").decode("latin-1").split(",")[0].strip() == told[1]


async def _send(send: Any, status: int, text: str, *, last: bool = False) -> None:
    # In a header, and no body: a server that sends the two apart without TCP_NODELAY (uvicorn's
    # --workers) would have a kept-alive client wait 40 ms for each answer.
    headers = [
        (b"content-length", b"0"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-webhook", text.encode()),
    ]
    if status == 503:
        headers.append((b"retry-after", b"5"))
    if last:
        # The rest of the body is not waited for.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
