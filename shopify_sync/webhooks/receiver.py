"""The fast webhook endpoint: an ASGI app in front of Django that commits deliveries in batches.

It follows the same rules as the Django view (view.py), which remains for servers without ASGI;
both pass the same tests. The event loop reads and verifies, and one thread writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Final

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from core import queue
from core.response_headers import ALWAYS_RAW
from core.server.asgi_types import Receive, Scope, Send
from shopify_sync.webhooks import (
    counters,
    storage,
)
from shopify_sync.webhooks.batcher import Batcher
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
# A rotated secret still works at once, because a signature mismatch reads the secrets again.
KEYS_TRUSTED_S: Final = 5.0
SHOPS_KEPT: Final = 2000
BATCH: Final = 200
WAITING: Final = 4096
WAITING_BYTES: Final = 128 * 2**20
BODY_WITHIN_S: Final = 20.0
# Shopify hangs up after 5 s and counts the delivery as failed.
ANSWER_WITHIN_S: Final = 4.0
# At most one message to the workers in this time: a worker takes everything that is waiting.
WAKE_EVERY_S: Final = 0.05
_LARGE: Final = 256 * 1024


class Receiver:
    """An ASGI callable for POST requests to PATH; one per process and event loop."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, Keys] = OrderedDict()
        self._writer = Batcher(_store, at_once=BATCH, items=WAITING, size=WAITING_BYTES)
        self._key_reader = Batcher(_read_keys, at_once=BATCH, items=WAITING)
        self._waker = Batcher(_wake_workers, at_once=WAITING, items=1)
        self._flusher = Batcher(_flush, at_once=1, items=1)
        self._reading = 0
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Write the last counts and let every batch in progress finish."""
        self._ticking.cancel()
        self._flusher.put(None)
        for batcher in (self._writer, self._key_reader, self._waker, self._flusher):
            await batcher.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        # Count it here unless `storage` has: it counts whatever reached the database.
        if answer not in {Answer.STORED, Answer.KNOWN, Answer.UNAVAILABLE} or keys is None:
            known = keys or self._keys.get(domain)
            store_id = known.store_id if known else None
            counters.count(store_id, answer.column, now=timezone.now())
        await _send(send, answer.status, answer.text, last=answer is Answer.TOO_LARGE)

    async def _receive(
        self, headers: dict[bytes, bytes], domain: str, body: bytes
    ) -> tuple[Answer, Keys | None]:
        """Return the answer and the shop's keys.

        The keys are None if nothing has reached the database, so that the caller has to count an
        UNAVAILABLE itself.
        """
        signature = headers.get(b"x-shopify-hmac-sha256", b"").decode("latin-1")
        came = time.monotonic()
        keys = self._keys.get(domain)
        try:
            if keys is None or keys.read_at < came - KEYS_TRUSTED_S:
                keys = await self._read(domain)
            is_ours = await _verify(body, signature, keys)
            if not is_ours and keys and keys.store_id and keys.read_at < came:
                # The secret may just have been rotated.
                keys = await self._read(domain)
                is_ours = await _verify(body, signature, keys)
        except DatabaseError:
            logger.exception("could not read the webhook secrets")
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
            self._waker.put(None)
        return answer, keys

    async def _read(self, domain: str) -> Keys | None:
        """Read a shop's keys and cache them; None if they're unavailable. Raises DatabaseError."""
        waiting = self._key_reader.put(domain)
        if waiting is None:
            return None
        keys = await waiting
        if keys is not None:
            self._keys[domain] = keys
            self._keys.move_to_end(domain)
            if len(self._keys) > SHOPS_KEPT:
                self._keys.popitem(last=False)
        return keys

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | Answer:
        """Return the whole body, or the answer if it isn't accepted."""
        most: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 2**62
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            return Answer.TOO_LARGE
        taken = 0
        try:
            # The limit covers the first chunk too: a client that sends only headers holds a slot.
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
            self._key_reader.give_up(ANSWER_WITHIN_S, None)
            if counters.flush_due():
                self._flusher.put(None)


def _store(deliveries: list[Delivery]) -> list[Answer]:
    return storage.store(deliveries, now=timezone.now())


def _read_keys(domains: list[str]) -> list[Keys | None]:
    from django.db import connection

    try:
        found = read_keys(domains)
    except DatabaseError:
        # The connection may have died since the last round.
        connection.close()
        found = read_keys(domains)
    return [found[domain] for domain in domains]


def _wake_workers(tokens: list[None]) -> list[None]:
    queue.enqueue("shopify_sync.tasks.process_webhooks")
    time.sleep(WAKE_EVERY_S)
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


def _is_secure(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    if scope.get("scheme") == "https":
        return True
    proxy_header = settings.SECURE_PROXY_SSL_HEADER
    if not proxy_header:
        return False
    name = proxy_header[0].removeprefix("HTTP_").replace("_", "-").lower().encode()
    return headers.get(name, b"").decode("latin-1").split(",")[0].strip() == proxy_header[1]


async def _send(send: Send, status: int, text: str, *, last: bool = False) -> None:
    # The text goes into a header, not a body: a server that sends the two separately without
    # TCP_NODELAY (uvicorn --workers) makes a keep-alive client wait 40 ms for each answer.
    headers = [
        (b"content-length", b"0"),
        *ALWAYS_RAW,
        (b"x-webhook", text.encode()),
    ]
    if status == 503:
        headers.append((b"retry-after", b"5"))
    if last:
        # Don't wait for the rest of the body.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
