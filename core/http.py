"""HTTP calls that end: one deadline for the whole answer, a limit to its size, and the truth
about whether a byte may have left.

A library's time-out is one of each read: a server that sends a byte a second holds a worker for
as long as it likes. Here a watch shuts the connection down at the deadline, whatever it is at.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

logger = logging.getLogger(__name__)

_CHUNK: Final = 64 * 1024


class NoAnswer(Exception):
    """There is no complete answer. `has_sent`: a byte of the request may have left, so the other
    side may have acted on it."""

    def __init__(self, message: str, *, has_sent: bool) -> None:
        super().__init__(message)
        self.has_sent = has_sent


@dataclass(eq=False)
class _Call:
    """One call under way in its thread."""

    ends_at: float
    connection: Any = None
    # Remembered: a connection that is to close after its answer lets go of it before that.
    sock: Any = None
    has_sent: bool = False
    is_cut: bool = False
    is_over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """From the watch's thread: end whatever the connection is at."""
        with self.lock:
            if self.is_over:
                return
            self.is_cut = True
            _shut_down(self.sock or getattr(self.connection, "sock", None))

    def watch(self, connection: Any, sock: Any = None) -> None:
        """From now on it is this connection that is cut; at once, if the time is up."""
        with self.lock:
            self.connection, self.sock = connection, sock
            if self.is_cut:
                raise TimeoutError("the call's time is over")

    def end(self) -> None:
        with self.lock:
            self.is_over = True
            self.connection = self.sock = None


def _shut_down(sock: Any) -> None:
    if sock is None:
        return
    try:
        # The plain socket's own way, also of one with TLS: whoever reads finds the end.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, ValueError, TypeError):
        logger.debug("a connection was gone already")


class Answer(urllib3.HTTPResponse):
    """A complete answer: all of it is in memory."""

    def __init__(self, body: bytes, of: urllib3.BaseHTTPResponse) -> None:
        super().__init__(body=body, headers=of.headers, status=of.status)
        self._whole = body

    @property
    def data(self) -> bytes:
        return self._whole


class _Watch:
    """One thread for all calls of the process, begun with the first of them."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, _Call]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, call: _Call) -> None:
        with self._changed:
            heapq.heappush(self._calls, (call.ends_at, next(self._numbers), call))
            # After a fork the thread is gone, and the object is not.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="deadlines of calls", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._calls and self._calls[0][2].is_over:
                    heapq.heappop(self._calls)
                if not self._calls:
                    self._changed.wait()
                    continue
                left = self._calls[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                call = heapq.heappop(self._calls)[2]
            call.cut()


_watch: Final = _Watch()
_here: Final = threading.local()


class _Watched:
    """What a connection tells the call that uses it."""

    sock: Any
    auto_open: Any
    timeout: Any
    host: str
    port: int
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        """To the first address of the host that answers. urllib3 gives each the whole patience; a
        host may have many, and all of them have the time that is left."""
        name, patience_s = self._dns_host, self.timeout
        error: Exception = ConnectTimeoutError(self, f"no time left to connect to {self.host}")
        try:
            for address in self._addresses():
                self.timeout = left_s(at_most=patience_s)
                if self.timeout <= 0:
                    break
                self._dns_host = address
                try:
                    return super()._new_conn()  # type: ignore[misc, no-any-return]
                except (NewConnectionError, ConnectTimeoutError) as found:
                    error = found
            raise error
        finally:
            self._dns_host, self.timeout = name, patience_s

    def _addresses(self) -> list[str]:
        family = allowed_gai_family()
        try:
            found = socket.getaddrinfo(
                self._dns_host.strip("[]"), self.port, family, socket.SOCK_STREAM
            )
        except (socket.gaierror, UnicodeError) as error:
            raise NewConnectionError(self, f"no such host: {self.host}") from error  # type: ignore[arg-type]
        return [str(entry[4][0]) for entry in found]

    def connect(self) -> None:
        if call := getattr(_here, "call", None):
            call.watch(self)
        super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        call: _Call | None = getattr(_here, "call", None)
        if self.sock is None and self.auto_open:
            self.connect()
        if call is not None:
            call.watch(self, self.sock)
            # Before the first byte: from here on nobody knows how much of it left.
            call.has_sent = True
        super().send(data)  # type: ignore[misc]


class _Plain(_Watched, HTTPConnection):
    pass


class _Secure(_Watched, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


@contextmanager
def deadline(*, within_s: float) -> Iterator[None]:
    """The same for connections of another library: the one that called `watch` last in this
    thread is shut down after so many seconds. Not inside `stream`, nor another of these."""
    under_way = _Call(time.monotonic() + within_s)
    _watch.add(under_way)
    _here.call = under_way
    try:
        yield
    finally:
        _here.call = None
        under_way.end()


def watch(connection: Any, sock: Any) -> None:
    """Have the running deadline cut this connection off. Raises TimeoutError if it is past."""
    under_way: _Call | None = getattr(_here, "call", None)
    if under_way is not None:
        under_way.watch(connection, sock)


def left_s(*, at_most: float) -> float:
    """How long the running deadline leaves for a step."""
    under_way: _Call | None = getattr(_here, "call", None)
    return at_most if under_way is None else min(at_most, under_way.ends_at - time.monotonic())


def pool(*, connect_s: float, read_s: float, **more: Any) -> urllib3.PoolManager:
    """A pool for `call` and `stream`. `read_s`: the longest silence, as ever."""
    timeout = urllib3.Timeout(connect=connect_s, read=read_s)
    made = urllib3.PoolManager(retries=False, timeout=timeout, **more)
    made.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return made


def patience_s(through: urllib3.PoolManager) -> float:
    """How long a pool waits for a connection and for an answer, together: what a whole call may
    take, however slowly its bytes come."""
    timeout: urllib3.Timeout = through.connection_pool_kw["timeout"]
    return float(timeout.connect_timeout or 0) + float(timeout.read_timeout or 0)  # type: ignore[arg-type]


def _socket_of(answer: Any) -> Any:
    """What an answer is read from, where its own class does not tell."""
    reader = getattr(getattr(answer, "_fp", None), "fp", None)
    return getattr(getattr(reader, "raw", None), "_sock", None)


def _is_unsent(error: Exception) -> bool:
    """Errors that come before any byte, whichever classes the pool uses."""
    return isinstance(error, (NewConnectionError, ConnectTimeoutError))


def call(
    through: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    within_s: float,
    at_most: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """The complete answer, its `data` in memory. Raises NoAnswer where it does not end within
    so many seconds, is longer than `at_most` bytes, or breaks off. Redirects are not followed."""
    with stream(through, method, url, within_s=within_s, body=body, headers=headers) as answer:
        parts: list[bytes] = []
        size = 0
        while part := answer.read(_CHUNK):
            size += len(part)
            if size > at_most:
                raise NoAnswer(f"an answer of more than {at_most} bytes", has_sent=True)
            parts.append(part)
    return Answer(b"".join(parts), answer)


@contextmanager
def stream(
    through: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    within_s: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer while it comes; all that is read of it has to come within so many seconds.
    Raises NoAnswer, also where reading it fails."""
    under_way = _Call(time.monotonic() + within_s)
    answer: urllib3.BaseHTTPResponse | None = None
    is_whole = False
    _watch.add(under_way)
    _here.call = under_way
    try:
        answer = through.request(
            method,
            url,
            body=body,
            headers=dict(headers or {}),
            preload_content=False,
            redirect=False,
        )
        if under_way.connection is None:
            # A pool that is not ours: from here on, at least, it is watched.
            under_way.has_sent = True
            under_way.watch(answer.connection, _socket_of(answer))
        yield answer
        is_whole = not under_way.is_cut
    except (urllib3.exceptions.HTTPError, OSError) as error:
        why = "no complete answer in time" if under_way.is_cut else "no answer"
        has_sent = under_way.has_sent or (under_way.connection is None and not _is_unsent(error))
        raise NoAnswer(why, has_sent=has_sent) from error
    finally:
        _here.call = None
        under_way.end()
        if answer is not None:
            if not is_whole or not answer.closed:
                # Something of it is unread, and must not be taken for the next one's answer.
                answer.close()
            answer.release_conn()
    if not is_whole:
        raise NoAnswer("no complete answer in time", has_sent=True)
