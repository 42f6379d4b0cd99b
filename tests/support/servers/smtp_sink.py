"""A mail server that keeps what it's given."""

from __future__ import annotations

import email
import socketserver
import threading
from email import policy
from typing import Any, Self


class Sink:
    """`letters` holds the text of each mail it accepted."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        letters = self.letters

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 sink\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        body = b"".join(iter(self.rfile.readline, b".\r\n"))
                        letter = email.message_from_bytes(body, policy=policy.default)
                        part: Any = letter.get_body(("plain",))
                        letters.append(part.get_content())
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                    if word == b"QUIT":
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
