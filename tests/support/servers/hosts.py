"""Misbehaving servers on loopback: mute, dripping, refusing; and a polite one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
Talk = Callable[["Host", socket.socket], None]


class Host:
    """Listens until its block ends. `asked` counts connections, `said` the bytes it sent."""

    def __init__(self, talk: Talk, *, pause_s: float = 0.05) -> None:
        self._talk, self.pause_s = talk, pause_s
        self.asked = self.said = self.taken = 0
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        # A thread that is in accept() would keep the port open after a mere close().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._open:
            line.close()

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.asked += 1
            self._open.append(line)
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        try:
            self._talk(self, line)
        except OSError:
            pass
        finally:
            line.close()

    def drip(self, line: socket.socket, text: bytes) -> None:
        """A letter at a time: no single read has to wait for long."""
        for number in range(len(text)):
            line.sendall(text[number : number + 1])
            self.said += 1
            if self.over.wait(self.pause_s):
                return


def mute(host: Host, line: socket.socket) -> None:
    host.over.wait()


def dripping(host: Host, line: socket.socket) -> None:
    _read_request(line)
    host.drip(line, OK)
    host.taken += 1


def dripping_body(host: Host, line: socket.socket) -> None:
    """It takes the message, and never ends its answer."""
    _read_request(line)
    host.taken += 1
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    host.drip(line, b"1\r\nx\r\n" * 1000)


def polite(host: Host, line: socket.socket) -> None:
    _read_request(line)
    host.taken += 1
    line.sendall(OK)


def failing(host: Host, line: socket.socket) -> None:
    _read_request(line)
    line.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")


def mail(host: Host, line: socket.socket) -> None:
    """A mail server; what it says before anything else comes a letter at a time."""
    host.drip(line, b"220 mail.example.com at your service\r\n")
    reader = line.makefile("rb")
    while command := reader.readline():
        word = command[:4].upper()
        if word == b"DATA":
            line.sendall(b"354 go on\r\n")
            while reader.readline() not in {b".\r\n", b""}:
                pass
            host.taken += 1
        line.sendall(b"221 bye\r\n" if word == b"QUIT" else b"250 OK\r\n")


def mail_without_goodbye(host: Host, line: socket.socket) -> None:
    line.sendall(b"220 mail.example.com\r\n")
    reader = line.makefile("rb")
    while command := reader.readline():
        word = command[:4].upper()
        if word == b"QUIT":
            host.over.wait()
            return
        if word == b"DATA":
            line.sendall(b"354 go on\r\n")
            while reader.readline() not in {b".\r\n", b""}:
                pass
            host.taken += 1
        line.sendall(b"250 OK\r\n")


def refusing_port() -> int:
    """Nothing listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read_request(line: socket.socket) -> None:
    text = b""
    while b"\r\n\r\n" not in text:
        part = line.recv(65536)
        if not part:
            raise OSError("gone")
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    wanted = next(
        (
            int(row.partition(b":")[2])
            for row in head.split(b"\r\n")
            if row.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < wanted and (part := line.recv(65536)):
        body += part
