"""HTTP calls that end: a deadline for the whole response, a size limit, and honesty about sending.

A library's timeout covers each single read: a server that sends one byte per second can hold a
worker for as long as it likes. Here a watchdog thread shuts the connection down at the deadline,
whatever it is doing. When a call fails, `NoAnswer.has_sent` says whether any byte of the request
may have left.

If the host comes from outside, a pool of `pool(is_public_only=True)` connects to the public
internet only. The name is resolved once, every address is checked, and the connection goes to one
of exactly these: a name server that gives another address a moment later changes nothing. Host
header, SNI and certificate stay those of the name.
"""

from __future__ import annotations

import heapq
import ipaddress
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
    """There is no complete response.

    `has_sent`: a byte of the request may have left, so the other side may have acted on it.
    """

    def __init__(self, message: str, *, has_sent: bool) -> None:
        super().__init__(message)
        self.has_sent = has_sent


class NotPublic(NoAnswer):
    """The host has an address that isn't on the public internet; nothing was sent."""


class _PrivateHost(NewConnectionError):
    """Raised while connecting, so inside urllib3, which passes it on as it is."""


# Networks whose addresses carry an IPv4 address that a gateway may connect to.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_6TO4: Final = ipaddress.ip_network("2002::/16")
# Kept for protocols between routers, though ipaddress takes parts of it for public.
_ROUTERS: Final = ipaddress.ip_network("192.0.0.0/24")


def is_public(address: str) -> bool:
    """Return whether an IP address is one host on the public internet.

    Not so: private, loopback, link-local, shared, reserved and multicast ones, also inside an IPv6
    address. False for a text that isn't an address.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (inner := _carried(found)) is not None:
        found = inner
    is_special = found.is_multicast or found.is_reserved or found in _ROUTERS
    return found.is_global and not is_special


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    number = int(address)
    if address in _NAT64:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _6TO4:
        return ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)
    return address.ipv4_mapped


@dataclass(eq=False)
class _Call:
    """One call in progress in its thread."""

    ends_at: float
    connection: object = None
    # Kept here because a connection that closes after its response drops its socket earlier.
    sock: object = None
    has_sent: bool = False
    is_cut: bool = False
    is_over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """End whatever the connection is doing; called from the watchdog's thread."""
        with self.lock:
            if self.is_over:
                return
            self.is_cut = True
            _shut_down(self.sock or getattr(self.connection, "sock", None))

    def watch(self, connection: object, sock: object = None) -> None:
        """Make this the connection to cut. Raises TimeoutError if the call's time is already up."""
        with self.lock:
            self.connection, self.sock = connection, sock
            if self.is_cut:
                raise TimeoutError("the call's deadline has passed")

    def end(self) -> None:
        """Mark the call as over: a later `cut` does nothing."""
        with self.lock:
            self.is_over = True
            self.connection = self.sock = None


def _shut_down(sock: Any) -> None:
    if sock is None:
        return
    try:
        # The plain socket's method even on a TLS socket, whose own also drops the TLS state that
        # the reading thread uses. A blocked read then sees the end of the stream.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, ValueError, TypeError):
        logger.debug("a connection was gone already")


class Answer(urllib3.HTTPResponse):
    """A complete response, held in memory."""

    def __init__(self, body: bytes, of: urllib3.BaseHTTPResponse) -> None:
        super().__init__(body=body, headers=of.headers, status=of.status)
        self._whole = body

    @property
    def data(self) -> bytes:
        """The whole body; unlike urllib3's, it is already in memory."""
        return self._whole


class _Watch:
    """The watchdog: one thread for all calls of the process, started with the first call."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, _Call]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, call: _Call) -> None:
        """Cut this call at its `ends_at`, unless it is over by then."""
        with self._changed:
            heapq.heappush(self._calls, (call.ends_at, next(self._numbers), call))
            # A forked process inherits this object but not its thread.
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
    """Mixin: a connection that registers itself with the call that uses it."""

    sock: Any
    auto_open: Any
    timeout: Any
    host: str
    port: int
    is_public_only = False
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers.

        urllib3 gives each address the full timeout; a host may have many, so here they share the
        time that is left.
        """
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
        addresses = [str(entry[4][0]) for entry in found]
        if self.is_public_only and not all(map(is_public, addresses)):
            raise _PrivateHost(self, f"not on the public internet: {self.host}")  # type: ignore[arg-type]
        return addresses

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
            # Set before the first byte: after that we can't know how much was sent.
            call.has_sent = True
        super().send(data)  # type: ignore[misc]


class _Plain(_Watched, HTTPConnection):
    pass


class _Secure(_Watched, HTTPSConnection):
    pass


class _Public(_Secure):
    is_public_only = True


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _Public


@contextmanager
def deadline(*, within_s: float) -> Iterator[None]:
    """Put a deadline on connections of other libraries.

    The connection last passed to `watch` in this thread is shut down after `within_s` seconds. Must
    not be nested, nor used inside `stream`.
    """
    under_way = _Call(time.monotonic() + within_s)
    _watch.add(under_way)
    _here.call = under_way
    try:
        yield
    finally:
        _here.call = None
        under_way.end()


def watch(connection: object, sock: object) -> None:
    """Have the running deadline cut this connection off. Raises TimeoutError if it has passed."""
    under_way: _Call | None = getattr(_here, "call", None)
    if under_way is not None:
        under_way.watch(connection, sock)


def left_s(*, at_most: float) -> float:
    """Return the seconds the running deadline leaves for a step, but no more than `at_most`."""
    under_way: _Call | None = getattr(_here, "call", None)
    return at_most if under_way is None else min(at_most, under_way.ends_at - time.monotonic())


def pool(
    *, connect_s: float, read_s: float, is_public_only: bool = False, **more: Any
) -> urllib3.PoolManager:
    """Return a connection pool for `call` and `stream`; `read_s` limits the wait for each read.

    With `is_public_only`, it speaks https only, and a call to a host that isn't on the public
    internet raises NotPublic.
    """
    timeout = urllib3.Timeout(connect=connect_s, read=read_s)
    made = urllib3.PoolManager(retries=False, timeout=timeout, **more)
    made.pool_classes_by_scheme = (
        {"https": _PublicPool} if is_public_only else {"http": _PlainPool, "https": _SecurePool}
    )
    return made


def patience_s(through: urllib3.PoolManager) -> float:
    """Return a pool's connect and read timeouts added up.

    A whole call may take that long, however slowly its bytes arrive.
    """
    timeout: urllib3.Timeout = through.connection_pool_kw["timeout"]
    return float(timeout.connect_timeout or 0) + float(timeout.read_timeout or 0)  # type: ignore[arg-type]


def _socket_of(answer: object) -> object:
    """Return the socket a response is read from; its class doesn't expose it."""
    reader = getattr(getattr(answer, "_fp", None), "fp", None)
    return getattr(getattr(reader, "raw", None), "_sock", None)


def _is_unsent(error: Exception) -> bool:
    """Return whether the error came before any byte was sent, whatever pool class was used."""
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
    """Return the complete response, with its `data` in memory; redirects are not followed.

    Raises NoAnswer if it doesn't end within `within_s` seconds, is longer than `at_most` bytes, or
    breaks off.
    """
    with stream(through, method, url, within_s=within_s, body=body, headers=headers) as answer:
        parts: list[bytes] = []
        size = 0
        while part := answer.read(_CHUNK):
            size += len(part)
            if size > at_most:
                raise NoAnswer(f"a response of more than {at_most} bytes", has_sent=True)
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
    """Yield the response while it arrives; everything must be read within `within_s` seconds.

    Raises NoAnswer, also if reading fails.
    """
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
            # Not one of our pools (in a test, for instance): at least watch the rest of the
            # response.
            under_way.has_sent = True
            under_way.watch(answer.connection, _socket_of(answer))
        yield answer
        is_whole = not under_way.is_cut
    except _PrivateHost as error:
        raise NotPublic("not on the public internet", has_sent=False) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        why = "no complete response in time" if under_way.is_cut else "no response"
        has_sent = under_way.has_sent or (under_way.connection is None and not _is_unsent(error))
        raise NoAnswer(why, has_sent=has_sent) from error
    finally:
        _here.call = None
        under_way.end()
        if answer is not None:
            if not is_whole or not answer.closed:
                # Unread bytes must not be taken for the start of the next response.
                answer.close()
            answer.release_conn()
    if not is_whole:
        raise NoAnswer("no complete response in time", has_sent=True)
