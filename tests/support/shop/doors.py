"""The two webhook endpoints: Django's view, and the receiver in front of it over HTTP."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import uvicorn
from django.db import connections
from django.test import Client

from core.server.protocol import BoundedProtocol
from core.server.web import KEEP_ALIVE_S

PATH = "/webhooks/shopify/"


class Door(Protocol):
    def post(self, body: bytes, headers: dict[str, str]) -> Any: ...

    def get(self) -> Any: ...


class ViewDoor:
    def post(self, body: bytes, headers: dict[str, str]) -> Any:
        return Client().post(PATH, body, content_type="application/json", headers=headers)

    def get(self) -> Any:
        return Client().get(PATH)


@dataclass
class Answered:
    status_code: int
    content: bytes
    headers: Any


@dataclass
class NativeDoor:
    port: int
    _line: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def client(self) -> NativeDoor:
        """Another connection."""
        return NativeDoor(self.port)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def post(self, body: bytes, headers: dict[str, str]) -> Answered:
        return self._ask("POST", body, headers)

    def get(self) -> Answered:
        return self._ask("GET", None, {})

    def close(self) -> None:
        self._line.close()

    def _ask(self, method: str, body: bytes | None, headers: dict[str, str]) -> Answered:
        try:
            self._line.request(method, PATH, body, headers)
            answer = self._line.getresponse()
            return Answered(answer.status, answer.read(), answer.headers)
        except BaseException:
            self._line.close()
            raise


@contextmanager
def native_door() -> Iterator[NativeDoor]:
    """settings.asgi in a thread, as a server runs it; stopped with all its tallies written."""
    from settings.asgi import application

    config = uvicorn.Config(
        application,
        port=0,
        log_level="critical",
        lifespan="on",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        http=BoundedProtocol,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 10
        while not server.started and time.monotonic() < until:
            time.sleep(0.005)
        door = NativeDoor(server.servers[0].sockets[0].getsockname()[1])
        yield door
        door.close()
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        connections.close_all()
