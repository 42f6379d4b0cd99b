"""What a client sends, or doesn't send, costs the others nothing: limits, deadlines, threads.

Each limit is also tried on the server as it would be without ours.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from a2wsgi import WSGIMiddleware
from django.test import Client, RequestFactory
from rest_framework.parsers import JSONParser
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.server import bodies, protocol, web
from core.server.bodies import WholeBodies
from core.server.protocol import BoundedProtocol
from inbox.api.channels import ChannelMessages
from inbox.channels import keys
from inbox.models import Channel
from settings import asgi
from settings.wsgi import application as django_application
from shopify_sync.webhooks.receiver import PATH

CROWD = 40
# An honest request takes milliseconds here; on a busy machine perhaps a second.
PATIENCE_S = 5.0


def _page(environ: Any, start_response: Any) -> list[bytes]:
    """A WSGI page that reads its body and says how long it was, and a large one."""
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/large":
        return [b"x" * 65536] * 32
    if environ["PATH_INFO"] == "/large-piece":
        return [b"x" * 2**20]
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    return [f"{size} {forwarded}".encode()]


@contextmanager
def serving(application: Any, http_protocol: Any = BoundedProtocol) -> Iterator[int]:
    config = web.config(application, host="127.0.0.1", port=0, workers=1)
    config.http, config.log_level = http_protocol, "critical"
    config.lifespan = "off"
    server = uvicorn.Server(config)
    sock = web.listening("127.0.0.1", 0)
    # Otherwise the kernel takes megabytes before anyone reads them.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.005)
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


def guarded(*, threads: int = 2, pieces: int = asgi._PIECES) -> Any:
    return WholeBodies(
        WSGIMiddleware(_page, workers=threads, send_queue_size=pieces), asgi.body_limit
    )


def bare(*, threads: int = 2) -> Any:
    """The control: a thread reads the body and waits for the reader of its response."""
    return WSGIMiddleware(_page, workers=threads)


@contextmanager
def speaking(port: int, text: bytes, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    with socket.socket() as line:
        if receive_buffer:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line.settimeout(PATIENCE_S)
        line.connect(("127.0.0.1", port))
        line.sendall(text)
        yield line


def status(line: socket.socket) -> int:
    """The status of the response; 0 if the connection was closed without one."""
    first = line.recv(65536).split(b"\r\n", 1)[0].split(b" ")
    return int(first[1]) if len(first) > 1 else 0


def read_all(line: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    with suppress(ConnectionResetError):
        while part := line.recv(65536):
            found += part
    return found


def ask(port: int, text: bytes) -> int:
    with speaking(port, text) as line:
        return status(line)


def get(port: int, *, within_s: float = PATIENCE_S) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=within_s)
    try:
        line.request("GET", "/")
        return line.getresponse().status
    finally:
        line.close()


@contextmanager
def kept_alive(port: int) -> Iterator[http.client.HTTPConnection]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        yield line
    finally:
        line.close()


def post(port: int, body: bytes, path: str = "/", **headers: str) -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        line.request("POST", path, body, names)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


HEADS = [
    pytest.param(b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, id="address"),
    pytest.param(b"GET /" + b"a" * 2**20, 414, id="address without end"),
    pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431, id="long header"),
    pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * 10**6, 431, id="header without end"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, id="many headers"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10**5, 431, id="headers without end"),
    pytest.param(b"GET /?\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="address not in ASCII"),
    pytest.param(b"\x00\x01\x02 nonsense\r\n\r\n", 400, id="nonsense"),
]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(guarded()) as found:
        yield found


@pytest.mark.parametrize(("text", "wanted"), HEADS)
def test_a_head_over_a_limit_is_refused(port: int, text: bytes, wanted: int) -> None:
    assert ask(port, text) == wanted
    assert get(port) == 200


def test_without_ours_any_length_is_taken() -> None:
    """The control."""
    with serving(guarded(), HttpToolsProtocol) as plain:
        assert ask(plain, b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n") == 200
        assert ask(plain, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n") == 200


def test_a_request_after_another_has_the_same_limits(port: int) -> None:
    with kept_alive(port) as line:
        for path, wanted in (("/", 200), ("/", 200), ("/" + "a" * 30_000, 414)):
            line.request("GET", path)
            answer = line.getresponse()
            assert answer.status == wanted
            answer.read()


@contextmanager
def errors_logged() -> Iterator[list[str]]:
    """Collects what uvicorn logs as an error, such as an exception in the application."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("uvicorn.error")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class Answering(BoundedProtocol):
    """The control: refuses garbage although an earlier request has no response yet."""

    def _refuse(self, status: int) -> None:
        self.cycle, cycle = None, self.cycle  # type: ignore[assignment]
        super()._refuse(status)
        self.cycle = cycle


@pytest.mark.parametrize(
    ("http_protocol", "is_clean"), [(BoundedProtocol, True), (Answering, False)]
)
def test_garbage_after_a_valid_request_logs_no_error(http_protocol: Any, is_clean: bool) -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.to_thread(released.wait, PATIENCE_S)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"late"})
        finally:
            ended.set()

    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
    with (
        serving(slow, http_protocol) as port,
        errors_logged() as errors,
        speaking(port, request) as line,
    ):
        assert begun.wait(PATIENCE_S)
        line.sendall(b"beyond the length\r\n\r\n")
        assert status(line) == (0 if is_clean else 400)
        released.set()
        assert ended.wait(PATIENCE_S)
    assert (errors == []) is is_clean


def test_headers_have_to_come_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS_WITHIN_S", 0.2)
    assert ask(port, b"GET / HTTP/1.1\r\nHost: x\r\nA: b") == 408
    assert ask(port, b"\r\n") in {0, 408}
    with kept_alive(port) as line:
        line.request("GET", "/")
        line.getresponse().read()
        line.sock.sendall(b"\r\n")
        assert status(line.sock) == 0


def is_open(line: socket.socket) -> bool:
    """Whether the server has not closed this connection, after what it may have sent."""
    line.settimeout(0.05)
    try:
        while line.recv(65536):
            pass
        return False
    except TimeoutError:
        return True
    finally:
        line.settimeout(PATIENCE_S)


def test_an_idle_connection_waits_for_its_first_request(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies open some in advance."""
    monkeypatch.setattr(protocol, "HEADERS_WITHIN_S", 0.2)
    with speaking(port, b"") as line:
        time.sleep(0.6)
        assert is_open(line)
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(line) == 200
        time.sleep(0.6)
        assert is_open(line)


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_idle_connection_is_closed_in_the_end(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "KEEP_ALIVE_S", 0.2)
    with serving(guarded()) as port, speaking(port, before) as line:
        begun = time.monotonic()
        assert before == b"" or b"200" in line.recv(65536)
        while line.recv(65536):
            pass
        assert time.monotonic() - begun < PATIENCE_S


def test_idle_connections_are_kept_for_longer_than_proxies_reuse_them() -> None:
    kept_s = web.config("a:b", host="127.0.0.1", port=1, workers=1).timeout_keep_alive
    assert kept_s > 60 > uvicorn.Config("a:b").timeout_keep_alive


@pytest.mark.parametrize(
    ("most", "are_open"), [(3, [False, False, True, True, True]), (5, [True] * 5)]
)
def test_the_longest_idle_connection_makes_room(
    most: int, are_open: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second case is the control: below the limit none is closed."""
    monkeypatch.setattr(protocol, "MOST_IDLE", most)
    text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(guarded()) as port, ExitStack() as stack:
        lines = []
        for number in range(5):
            # Some have had a request, some none so far.
            line = stack.enter_context(speaking(port, text if number % 2 else b""))
            answer = b""
            while number % 2 and not answer.endswith(b"\r\n0\r\n\r\n"):
                answer += line.recv(65536)
            lines.append(line)
        until = time.monotonic() + PATIENCE_S
        while [is_open(line) for line in lines] != are_open and time.monotonic() < until:
            time.sleep(0.02)
        assert [is_open(line) for line in lines] == are_open


def test_a_slow_body_has_to_come_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.2)
    assert ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc") == 408
    assert ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") == 408


def crowd(port: int, text: bytes, into: ExitStack, **how: Any) -> None:
    for _ in range(CROWD):
        into.enter_context(speaking(port, text, **how))


SLOW = {
    "bodies": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
    "bodies in chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\nA: b",
}


@pytest.mark.parametrize("what", SLOW)
def test_a_crowd_of_slow_clients_holds_no_thread(port: int, what: str) -> None:
    with ExitStack() as lines:
        crowd(port, SLOW[what], lines)
        assert get(port) == 200


def test_a_crowd_that_reads_no_response_holds_no_thread(port: int) -> None:
    with ExitStack() as lines:
        crowd(port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", lines, receive_buffer=4096)
        assert get(port) == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("text", "how"),
    [
        (SLOW["bodies"], {}),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", {"receive_buffer": 4096}),
    ],
)
def test_without_ours_a_crowd_holds_every_thread(text: bytes, how: dict[str, int]) -> None:
    """The control."""
    with serving(bare()) as plain, ExitStack() as lines:
        crowd(plain, text, lines, **how)
        with pytest.raises(TimeoutError):
            get(plain, within_s=0.7)


def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READS_WITHIN_S", 0.2)
    with serving(guarded()) as port:
        ask_for = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with speaking(port, ask_for, receive_buffer=4096) as line:
            time.sleep(1.0)
            assert len(read_all(line)) < 2**20
        with speaking(port, ask_for) as line:
            assert len(read_all(line)) > 2**21


class Impatient(BoundedProtocol):
    """The control: one deadline for the whole piece, however steadily it is read."""

    def _must_have_read(self, before: int) -> None:
        self.transport.abort()


@pytest.mark.parametrize(
    ("http_protocol", "is_whole"), [(BoundedProtocol, True), (Impatient, False)]
)
def test_a_slow_client_that_keeps_reading_gets_everything(
    monkeypatch: pytest.MonkeyPatch, http_protocol: Any, is_whole: bool
) -> None:
    monkeypatch.setattr(protocol, "READS_WITHIN_S", 0.5)
    ask_for = b"GET /large-piece HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with (
        serving(guarded(), http_protocol) as port,
        speaking(port, ask_for, receive_buffer=4096) as line,
    ):
        found, begun = 0, time.monotonic()
        with suppress(ConnectionResetError):
            while part := line.recv(32_768):
                found += len(part)
                time.sleep(len(part) / 600_000)
        took = time.monotonic() - begun
    assert (found > 2**20) is is_whole
    assert not is_whole or took > 2 * protocol.READS_WITHIN_S


def test_a_client_that_stops_reading_a_large_piece_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "READS_WITHIN_S", 0.2)
    ask_for = b"GET /large-piece HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serving(guarded()) as port, speaking(port, ask_for, receive_buffer=4096) as line:
        line.recv(32_768)
        time.sleep(1.0)
        assert len(read_all(line)) < 2**19


@pytest.mark.parametrize(("application", "most"), [("ours", 20), ("control", 10**9)])
def test_a_large_file_leaves_its_thread_in_few_pieces(application: str, most: int) -> None:
    """Otherwise a few clients that ask for the largest file keep all threads busy handing it over."""
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    called = asgi._in_large_pieces if application == "ours" else django_application
    answer = called(RequestFactory().get(path).environ, lambda *_: len)
    pieces = [len(piece) for piece in answer]
    assert hasattr(answer, "close")
    answer.close()
    assert sum(pieces) > 10**6
    assert len(pieces) <= most
    if application == "control":
        assert len(pieces) > 200


def test_bodies_are_bounded_by_who_sends_them(port: int) -> None:
    some, more = b"x" * asgi.ANONYMOUS_MOST, b"x" * (asgi.ANONYMOUS_MOST + 1)
    assert post(port, some)[0] == 200
    assert post(port, more)[0] == 413
    assert post(port, more, Cookie="sessionid=1")[0] == 200
    assert post(port, more, Authorization="Token 1")[0] == 200
    assert post(port, b"x" * (asgi.MOST + 1), Cookie="sessionid=1")[0] == 413
    assert asgi.body_limit({"path": PATH, "headers": []}) == 10 * 2**20


@pytest.mark.parametrize("drops_the_rest", [True, False], ids=["ours", "control"])
def test_a_client_still_sending_sees_why_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, drops_the_rest: bool
) -> None:
    """Closing while more arrives resets the connection, and the response is lost with it."""
    if not drops_the_rest:
        monkeypatch.setattr(bodies, "MOST_DROPPED_BYTES", -1)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    with serving(guarded()) as port, speaking(port, head) as line:
        # Wait for the response without taking it, as a client does that is busy sending.
        line.recv(1, socket.MSG_PEEK)
        reset = False
        try:
            for _ in range(300):
                line.sendall(b"x" * 10_000)
            assert status(line) == 413
        except (ConnectionResetError, BrokenPipeError):
            reset = True
        assert reset is not drops_the_rest


def test_a_body_without_a_declared_length_is_bounded_too(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    assert ask(port, head + piece * 3) == 413
    assert ask(port, head + piece + b"0\r\n\r\n") == 200


@pytest.mark.parametrize(
    ("spoken", "is_taken"), [(BoundedProtocol, False), (H11Protocol, True)], ids=["ours", "control"]
)
@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    ],
)
def test_a_body_of_two_lengths_is_refused(lengths: bytes, spoken: Any, is_taken: bool) -> None:
    """A proxy that believes the other length would take the rest for another person's request."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n\r\n"
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serving(guarded(), spoken) as port, speaking(port, head + b"0\r\n\r\n" + hidden) as line:
        answers = read_all(line)
    assert answers.startswith(b"HTTP/1.1 200" if is_taken else b"HTTP/1.1 400")
    if not is_taken:
        assert answers.count(b"HTTP/1.1") == 1


def test_small_bodies_are_taken_while_large_ones_are_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "MOST_WAITING_BYTES", 10_000)
    monkeypatch.setattr(bodies, "ALWAYS_TAKEN", 1_000)
    with serving(guarded()) as port, ExitStack() as lines:
        for _ in range(2):
            held = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + b"x" * 4_900
            lines.enter_context(speaking(port, held))
        until = time.monotonic() + PATIENCE_S
        while post(port, b"x" * 2_000)[0] != 503 and time.monotonic() < until:
            time.sleep(0.02)
        assert post(port, b"x" * 2_000)[0] == 503
        assert post(port, b"x" * 900)[0] == 200


class CountedWhileArriving(WholeBodies):
    """The control: a body that waits for a thread isn't counted."""

    async def _body(self, scope: Any, headers: Any, receive: Any, share: Any) -> Any:
        try:
            return await super()._body(scope, headers, receive, share)
        finally:
            share.release()


@pytest.mark.parametrize(("kind", "wanted"), [(WholeBodies, 503), (CountedWhileArriving, 408)])
def test_bodies_that_wait_for_a_thread_are_counted(
    kind: type[WholeBodies], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_WAITING_BYTES", 10_000)
    monkeypatch.setattr(bodies, "ALWAYS_TAKEN", 1_000)
    released = threading.Event()

    def busy(environ: Any, start_response: Any) -> list[bytes]:
        released.wait(PATIENCE_S)
        return _page(environ, start_response)

    whole = kind(WSGIMiddleware(busy, workers=1), asgi.body_limit)
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4900\r\n\r\n" + b"x" * 4_900
    # Its last byte never comes, so that only its size can be what it is refused for.
    more = body.replace(b"4900", b"4901")
    with serving(whole) as port, ExitStack() as stack:
        lines = [stack.enter_context(speaking(port, body)) for _ in range(2)]
        until = time.monotonic() + (PATIENCE_S if kind is WholeBodies else 0.5)
        while whole.waiting_bytes < 9_800 and time.monotonic() < until:
            time.sleep(0.02)
        monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.5)
        assert ask(port, more) == wanted
        released.set()
        assert [status(line) for line in lines] == [200, 200]
        assert post(port, b"x" * 4_900)[0] == 200
        assert whole.waiting_bytes == 0


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/a%00b", b"", "text/plain"),
        ("/?q=a%00b", b"", "text/plain"),
        ("/", b"q=a%00b", "application/x-www-form-urlencoded"),
        ("/", b"q=a\x00b", "application/x-www-form-urlencoded; charset=utf-8"),
        ("/", b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\na\x00b\r\n--b--\r\n', ""),
    ],
)
def test_a_nul_character_is_refused(port: int, path: str, body: bytes, kind: str) -> None:
    kind = kind or "multipart/form-data; boundary=b"
    assert post(port, body, path, Content_Type=kind)[0] == 400
    assert (
        post(port, body.replace(b"%00", b"").replace(b"\0", b""), "/", Content_Type=kind)[0] == 200
    )


def test_a_header_that_looks_like_a_proxys_is_dropped(port: int) -> None:
    """`X_Forwarded_For` would reach Django under the proxy's name."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: 10.0.0.1\r\n\r\n"
    for application, is_seen in ((guarded(), False), (bare(), True)):
        with serving(application) as found, speaking(found, head) as line:
            answer = b""
            while b"\r\n0\r\n" not in answer:
                answer += line.recv(65536)
            assert (b"10.0.0.1" in answer) == is_seen


@pytest.mark.django_db(transaction=True)
def test_probes_answer_while_every_thread_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def busy(environ: Any, start_response: Any) -> list[bytes]:
        released.wait(30)
        start_response("200 OK", [])
        return [b""]

    stuck = WholeBodies(WSGIMiddleware(busy, workers=2), asgi.body_limit)
    monkeypatch.setattr(asgi, "_django", stuck)
    try:
        with serving(asgi.application) as port, ExitStack() as lines:
            crowd(port, b"GET /login/ HTTP/1.1\r\nHost: x\r\n\r\n", lines)
            for path in (b"/livez", b"/readyz"):
                assert ask(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n") == 200
            assert ask(port, b"POST /livez HTTP/1.1\r\nHost: x\r\n\r\n") == 405
            released.set()
    finally:
        released.set()


Push = Callable[[bytes], Any]


@pytest.fixture
def push(channel: Channel) -> Push:
    key = keys.new_key(channel)

    def send(body: bytes) -> Any:
        return Client(raise_request_exception=False).post(
            f"/api/v1/channels/{channel.pk}/messages/",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )

    return send


HOSTILE_JSON = [
    b"[" * 100_000,
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 50 + b"1" + b"}" * 50,
    b'{"\\ud800": 1}',
    b'{"external_id": "m", "sender": {"verified": ["\\ud800"]}}',
    b'{"external_id": "a\\u0000b"}',
    b'{"a\\u0000b": 1}',
    b"9" * 5000,
    b'{"external_id": NaN}',
    b"\xff\xfe",
    b'"\xed\xa0\x80"',
    b"",
]


@pytest.mark.django_db
def test_hostile_json_is_refused_and_says_why(push: Push) -> None:
    for body in HOSTILE_JSON:
        answer = push(body)
        assert answer.status_code == 400, body[:40]
        assert answer["Content-Type"] == "application/problem+json"
    assert "nested" in push(HOSTILE_JSON[0]).json()["detail"]
    assert "surrogate" in push(HOSTILE_JSON[3]).json()["detail"]


@pytest.mark.django_db
def test_frameworks_own_parser_would_fail(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(ChannelMessages, "parser_classes", [JSONParser])
    assert push(HOSTILE_JSON[0]).status_code == 500
    assert push(HOSTILE_JSON[3]).status_code == 500
