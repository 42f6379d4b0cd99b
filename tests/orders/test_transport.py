"""HTTP calls always end, and report whether a byte may have been sent."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import http
from core.encryption import Secret
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    OutcomeUnknown,
    Unreachable,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
DRIPS = 30
EACH_S = 0.05


class Server:
    """Plays one script to every connection; `requests` are the bytes that came in first."""

    def __init__(
        self, script: Callable[[Any, threading.Event], None], wrap: Callable[[Any], Any]
    ) -> None:
        self.requests: list[bytes] = []
        self.heard = threading.Event()
        self.ended = threading.Event()
        self._script, self._wrap = script, wrap
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        self._listener.close()

    def _listen(self) -> None:
        while not self.ended.is_set():
            try:
                raw, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            with self._wrap(raw) as peer:
                said = b""
                # To its end: closing on unread bytes would reset the connection.
                while not said.endswith(b"{}"):
                    if not (part := peer.recv(65536)):
                        break
                    said += part
                self.requests.append(said)
                self.heard.set()
                self._script(peer, self.ended)
        except OSError:
            pass


@contextmanager
def serving(
    script: Callable[[Any, threading.Event], None],
    wrap: Callable[[Any], Any] = lambda raw: raw,
) -> Iterator[Server]:
    server = Server(script, wrap)
    try:
        yield server
    finally:
        server.stop()


def says(*parts: bytes) -> Callable[[Any, threading.Event], None]:
    def script(peer: Any, _ended: threading.Event) -> None:
        for part in parts:
            peer.sendall(part)

    return script


def drips(text: bytes) -> Callable[[Any, threading.Event], None]:
    """A byte at a time, each well within any limit of one read."""

    def script(peer: Any, ended: threading.Event) -> None:
        for at in range(len(text)):
            if ended.wait(EACH_S):
                return
            peer.sendall(text[at : at + 1])

    return script


def is_silent(_peer: Any, ended: threading.Event) -> None:
    ended.wait(20)


def ask(
    server: Server,
    *,
    within_s: float = 0.4,
    at_most: int = 10_000,
    scheme: str = "http",
    **more: Any,
) -> Any:
    through = http.pool(connect_s=2.0, read_s=10.0, **more)
    url = f"{scheme}://127.0.0.1:{server.port}/"
    return http.call(through, "POST", url, body=b"{}", within_s=within_s, at_most=at_most)


def test_a_whole_answer_is_there() -> None:
    with serving(says(HEAD % 5, b"hello")) as server:
        answer = ask(server, within_s=10)
    assert (answer.status, answer.data) == (200, b"hello")


CLOSES = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"
SLOW = {
    "the body of a connection that closes": drips(CLOSES % DRIPS + b"x" * DRIPS),
    "the body": drips(HEAD % DRIPS + b"x" * DRIPS),
    "the headers": drips(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * DRIPS),
    "nothing": is_silent,
}


@pytest.mark.parametrize("what", SLOW)
def test_a_server_that_never_ends_its_answer_does_not_hold_the_caller(what: str) -> None:
    with serving(SLOW[what]) as server, pytest.raises(http.NoAnswer) as caught:
        ask(server)
    assert caught.value.has_sent
    assert "in time" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("what", SLOW)
def test_a_pool_of_anothers_making_is_watched_once_it_answers(what: str) -> None:
    plain = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=1.0, read=2.0))
    with (
        serving(SLOW[what]) as server,
        patch.object(http, "pool", lambda **_how: plain),
        pytest.raises(http.NoAnswer) as caught,
    ):
        ask(server)
    assert caught.value.has_sent


def test_a_pools_patience_is_the_whole_calls() -> None:
    assert http.patience_s(http.pool(connect_s=2.0, read_s=10.0)) == 12.0


def test_without_the_watchdog_the_caller_would_be_held() -> None:
    """The negative control: each byte comes in time, so a library waits for the last of them."""
    with (
        serving(drips(HEAD % 5 + b"hello")) as server,
        patch.object(http._watch, "add", lambda _call: None),
    ):
        assert ask(server).data == b"hello"


def test_a_call_that_is_over_is_not_cut_when_its_time_comes() -> None:
    """Its connection may serve another call by then."""
    with serving(says(HEAD % 2, b"ok")) as server:
        calls: list[Any] = []
        with patch.object(http._watch, "add", calls.append):
            ask(server, within_s=10)
        [call] = calls
        with patch.object(http, "_shut_down") as shut_down:
            call.cut()
        shut_down.assert_not_called()


def test_a_time_that_is_up_before_the_first_byte_sends_none() -> None:
    with (
        serving(says(HEAD % 2, b"ok")) as server,
        patch.object(http._watch, "add", lambda call: call.cut()),
        pytest.raises(http.NoAnswer) as caught,
    ):
        ask(server)
    assert not caught.value.has_sent
    assert not any(server.requests)


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    with (
        serving(says(HEAD % 10**9, b"x" * 500_000)) as server,
        pytest.raises(http.NoAnswer, match="more than") as caught,
    ):
        ask(server, within_s=10)
    assert caught.value.has_sent


@pytest.mark.parametrize("said", [b"", HEAD % 9 + b"cut", b"nonsense\r\n\r\n"])
def test_an_answer_that_breaks_off_was_asked_for(said: bytes) -> None:
    with serving(says(said)) as server, pytest.raises(http.NoAnswer) as caught:
        ask(server, within_s=10)
    assert caught.value.has_sent


def test_no_connection_means_that_no_byte_left() -> None:
    closed = Server.__new__(Server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed.port = int(listener.getsockname()[1])
    with pytest.raises(http.NoAnswer) as caught:
        ask(closed, within_s=10)
    assert not caught.value.has_sent


# TLS: the library calls every trouble of it by one name, before the request and after it.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def secure(certificate: Path) -> Callable[[Any], Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda raw: context.wrap_socket(raw, server_side=True)


def test_over_tls_the_answer_is_there(certificate: Path) -> None:
    with serving(says(HEAD % 2, b"ok"), secure(certificate)) as server:
        answer = ask(server, within_s=10, scheme="https", ca_certs=str(certificate))
    assert answer.data == b"ok"


def test_over_tls_a_slow_answer_is_cut(certificate: Path) -> None:
    with (
        serving(SLOW["the body"], secure(certificate)) as server,
        pytest.raises(http.NoAnswer) as caught,
    ):
        ask(server, within_s=1.0, scheme="https", ca_certs=str(certificate))
    assert caught.value.has_sent


def test_trouble_with_tls_after_the_request_means_that_it_may_have_arrived(
    certificate: Path,
) -> None:
    def break_the_record(peer: Any, _ended: threading.Event) -> None:
        socket.socket.sendall(peer, b"\x17\x03\x03\x00\x20" + b"x" * 32)

    with (
        serving(break_the_record, secure(certificate)) as server,
        pytest.raises(http.NoAnswer) as caught,
    ):
        ask(server, within_s=10, scheme="https", ca_certs=str(certificate))
    assert caught.value.has_sent


def test_trouble_with_tls_before_the_request_means_that_it_did_not() -> None:
    with (
        serving(says(b"HTTP/1.1 400 this port speaks plain HTTP\r\n\r\n")) as server,
        pytest.raises(http.NoAnswer) as caught,
    ):
        ask(server, within_s=10, scheme="https")
    assert not caught.value.has_sent


# What the client makes of it.


@pytest.fixture
def client(settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> AdminClient:
    from shopify_sync.api import client as module

    settings.TESTING_IN_TRANSACTION = True
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.4)
    return AdminClient(domain="demo.myshopify.com", token=Secret("shpat_secret_token"))


def test_a_call_to_shopify_that_was_cut_is_in_doubt(client: AdminClient) -> None:
    with serving(SLOW["the body"]) as server:
        client._url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(OutcomeUnknown):
            client.execute("ShopInfo", {})
        # It left: the other side has it, a moment later than we gave up.
        assert server.heard.wait(10)


def test_a_call_to_shopify_that_never_left_was_not_applied(client: AdminClient) -> None:
    client._url = "http://127.0.0.1:9/"
    with pytest.raises(Unreachable):
        client.execute("ShopInfo", {})


def many(port: int, *addresses: str) -> Any:
    """The host has these."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def look_up(host: Any, *_: Any, **__: Any) -> Any:
        return found if host == "many.example" else real(host, *_, **__)

    real = socket.getaddrinfo
    return patch.object(socket, "getaddrinfo", look_up)


def test_a_host_with_many_addresses_has_the_time_of_one_call() -> None:
    """None of them answers: each would take the whole patience, one after the other."""
    waited: list[float] = []
    real = socket.socket.connect

    def connect(sock: socket.socket, address: Any) -> None:
        if not str(address[0]).startswith("192.0.2."):
            real(sock, address)
            return
        waited.append(sock.gettimeout() or 0)
        time.sleep(waited[-1])
        raise TimeoutError

    began = time.monotonic()
    through = http.pool(connect_s=0.3, read_s=10.0)
    with (
        many(80, *(f"192.0.2.{n}" for n in range(1, 10))),
        patch.object(socket.socket, "connect", connect),
        pytest.raises(http.NoAnswer) as caught,
    ):
        http.call(through, "POST", "http://many.example/", body=b"{}", within_s=0.5, at_most=100)
    assert time.monotonic() - began < 0.9
    assert sum(waited) <= 0.5
    assert not caught.value.has_sent


def test_the_first_address_that_answers_is_taken() -> None:
    with serving(says(HEAD % 5, b"hello")) as server, many(server.port, "127.0.0.2", "127.0.0.1"):
        through = http.pool(connect_s=2.0, read_s=10.0)
        url = f"http://many.example:{server.port}/"
        answer = http.call(through, "POST", url, body=b"{}", within_s=5, at_most=100)
    assert answer.data == b"hello"
    assert b"Host: many.example" in server.requests[0]


def test_a_host_that_does_not_exist_was_sent_nothing() -> None:
    through = http.pool(connect_s=2.0, read_s=10.0)
    with (
        patch.object(socket, "getaddrinfo", side_effect=socket.gaierror),
        pytest.raises(http.NoAnswer) as caught,
    ):
        http.call(through, "POST", "http://none.example/", within_s=5, at_most=100)
    assert not caught.value.has_sent


BOMB_BYTES = 64 * 2**20
BOMB = gzip.compress(b"\0" * BOMB_BYTES)


def bomb(encoding: str, body: bytes, *, is_chunked: bool) -> Callable[[Any, threading.Event], None]:
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n{length}\r\n\r\n".encode()
    return says(head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body)


@contextmanager
def peak_bytes() -> Iterator[list[int]]:
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
    finally:
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", BOMB),
        ("gzip, gzip", gzip.compress(BOMB)),
        ("deflate", zlib.compress(bytes(BOMB_BYTES))),
    ],
)
def test_a_small_body_that_unpacks_to_a_huge_one_is_given_up(
    encoding: str, body: bytes, is_chunked: bool
) -> None:
    """64 KB become 64 MB; the limit is for what comes out."""
    with (
        serving(bomb(encoding, body, is_chunked=is_chunked)) as server,
        peak_bytes() as peak,
        pytest.raises(http.NoAnswer, match="more than"),
    ):
        ask(server, within_s=20, at_most=2**20)
    assert peak[0] < 4 * 2**20


def test_an_ordinary_client_unpacks_all_of_it() -> None:
    """The control."""
    with serving(bomb("gzip", BOMB, is_chunked=False)) as server, peak_bytes() as peak:
        url = f"http://127.0.0.1:{server.port}/"
        answer = urllib3.PoolManager().request("POST", url, body=b"{}")
        assert len(answer.data) == BOMB_BYTES
    assert peak[0] > BOMB_BYTES
