"""HTTP as the web server speaks it: uvicorn's protocol with limits for what a client may send.

uvicorn's httptools protocol takes a request line and headers of any length, waits for the rest of
them forever, and waits just as long for a client that doesn't read its response.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.response_headers import ALWAYS_RAW

# The longest addresses of our own are a few hundred characters.
LONGEST_ADDRESS: Final = 8 * 1024
LONGEST_HEADERS: Final = 32 * 1024
MOST_HEADERS: Final = 100
# From a request's first byte to the end of its headers.
HEADERS_WITHIN_S: Final = 10.0
# Connections without a request, in one process: the one that has been idle longest is closed for the
# next. Far more than a proxy keeps, far fewer than a process may have open (usually 1,024).
MOST_IDLE: Final = 256
# How long a client may leave a full send buffer (64 KB or one larger piece) as it is. A slow client
# that keeps reading may take longer: the rest waits in memory, and no thread waits with it.
READS_WITHIN_S: Final = 20.0
# After a refusal, what a client still sends is read and dropped for this long, because closing at
# once would reset the connection, and the client might never see the response.
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 2 * 2**20


class _OverLimit(Exception):
    """Raised inside the parser to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers 414, 431 and 408, and drops connections that neither send nor read."""

    # The status to refuse with, and whether that has been sent.
    _problem = 400
    _is_refused = False
    _is_in_head = True
    _head_bytes = 0
    _header_bytes = 0
    _dropped_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A proxy may open connections before it has requests for them: they are idle, not late.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self._close_longest_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer = _without(self._head_timer)
        self._reading_timer = _without(self._reading_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > _LINGER_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if self._is_in_head and not self._is_refused:
            # The parser keeps an unfinished header to itself, so count what it was given.
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_ADDRESS + LONGEST_HEADERS:
                self._refuse(431)
        if self.cycle is None or self.cycle.response_complete:
            # Line breaks between requests would otherwise hold a connection open forever.
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes, self._header_bytes = True, 0, 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > LONGEST_ADDRESS:
            self._stop(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > MOST_HEADERS or self._header_bytes > LONGEST_HEADERS:
            self._stop(431)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_timer = _without(self._head_timer)
        if not self.url.isascii():
            self._stop(400)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._close_longest_idle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading_timer = _without(self._reading_timer)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, or what stopped it here."""
        self._refuse(self._problem)

    def _close_longest_idle(self) -> None:
        if len(self.connections) <= MOST_IDLE:
            return
        # Idle connections are those that have this timer; it is set when they become idle.
        idle = [
            (timer.when(), id(connection), connection)
            for connection in self.connections
            if isinstance(connection, BoundedProtocol)
            and (timer := connection.timeout_keep_alive_task) is not None
        ]
        if len(idle) > MOST_IDLE:
            longest = min(idle)[-1]
            longest.timeout_keep_alive_task = _without(longest.timeout_keep_alive_task)
            longest.transport.close()

    def _await_reading(self) -> None:
        self._reading_timer = _without(self._reading_timer)
        unread = self.transport.get_write_buffer_size()
        self._reading_timer = self.loop.call_later(READS_WITHIN_S, self._must_have_read, unread)

    def _must_have_read(self, before: int) -> None:
        # Nothing is added in between: the application waits until the buffer is nearly empty.
        if self.transport.get_write_buffer_size() < before:
            self._await_reading()
        else:
            self.transport.abort()

    def _await_head(self) -> None:
        if self._head_timer is None and not self._is_refused:
            self._head_timer = self.loop.call_later(HEADERS_WITHIN_S, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._is_in_head and self._head_bytes:
            self._refuse(408)
        else:
            self.transport.close()

    def _stop(self, status: int) -> None:
        self._problem = status
        raise _OverLimit

    def _refuse(self, status: int) -> None:
        """Answer and close. While a request is under way, only close.

        The client would take the refusal for the response to that request, and the application
        would still send its own.
        """
        self._is_refused = True
        self._head_timer = _without(self._head_timer)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        text = HTTPStatus(status).phrase.encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            *ALWAYS_RAW,
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + text)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.abort)


def _without(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Cancel a timer; returns None, to be stored in its place."""
    if timer is not None:
        timer.cancel()
    return None
