"""The web server's sockets send small responses without delay."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from core.server import web
from tests.support.servers.postgres_and_redis import free_port


def _accepted(make: Callable[[], socket.socket]) -> int:
    """TCP_NODELAY of a connection that such a socket accepts."""
    with make() as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as line:
            return line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _as_uvicorn_makes_it() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


def test_an_accepted_connection_does_not_wait_for_acknowledgements() -> None:
    assert _accepted(lambda: web.listening("127.0.0.1", 0)) != 0


def test_what_a_proxy_says_is_not_believed_by_the_server_itself() -> None:
    """TRUSTED_PROXY decides that, and an audit entry names the peer without it."""
    assert not web.config("a:b", host="127.0.0.1", port=1, workers=1).proxy_headers


def test_a_connection_of_an_ordinary_socket_would_wait() -> None:
    assert _accepted(_as_uvicorn_makes_it) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_answers_with_one_process_and_with_several(workers: int) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "core.server.web",
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    server = subprocess.Popen(command)
    try:
        until = time.monotonic() + 60
        while True:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                line.request("GET", "/livez")
                assert line.getresponse().read() == b"ok"
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
            finally:
                line.close()
    finally:
        server.terminate()
        server.wait(timeout=20)
