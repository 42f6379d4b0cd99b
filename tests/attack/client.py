"""HTTP as raw bytes over asyncio: what a polite library would refuse to send is the point here."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

# The proxy in front of the server says this; without it everything would be redirected to https.
PROXY = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1\r\n"


# Not longer than proxies reuse an idle connection: the server closes those by itself later.
IDLE_S = 3.0


class Line:
    """A connection to the server on this machine; use it as an async context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._used_at = 0.0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def send(self, text: bytes) -> None:
        """Connect if need be, and send. An idle connection may be closed by now, so it isn't used."""
        if time.monotonic() - self._used_at > IDLE_S:
            self.close()
        self._used_at = time.monotonic()
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=2**20
            )
        self._writer.write(text)
        await self._writer.drain()

    async def status(self) -> int:
        """Read one response to its end. Raises OSError and EOFError if it doesn't come."""
        if self._reader is None:
            raise ConnectionError("not connected")
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            while size := int((await self._reader.readline()).strip() or b"0", 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        elif b"content-length: " in head:
            length = head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
            await self._reader.readexactly(int(length))
        if b"connection: close" in head:
            self.close()
        return status

    async def ask(self, text: bytes) -> int:
        """Send a request and return the status of its response."""
        await self.send(text)
        return await self.status()


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Write a request as it comes through the proxy; underscores in names become hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{PROXY}{lines}{length}\r\n"
    return head.encode() + body
