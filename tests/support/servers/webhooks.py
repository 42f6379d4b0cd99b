"""Endpoints of our webhooks, and a receiver on this machine that checks what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from standardwebhooks import Webhook

from inbox.models import WebhookEndpoint, WebhookType
from inbox.models.outgoing_webhooks import SUBSCRIBABLE
from inbox.outgoing_webhooks import endpoints


def endpoint(
    by: User,
    url: str = "https://receiver.example.com/hook",
    *,
    name: str = "ERP",
    types: Iterable[WebhookType] = SUBSCRIBABLE,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, and its signing secret."""
    made = WebhookEndpoint.objects.create(
        name=name, url=url, event_types=[str(kind) for kind in types]
    )
    return made, endpoints.new_secret(made, by=by, now=timezone.now())


@dataclass
class Received:
    """One request, as it arrived."""

    body: bytes
    headers: dict[str, str]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verified(self, secret: str) -> dict[str, Any]:
        """The payload. Raises WebhookVerificationError if the signature isn't by this secret."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


@dataclass
class Receiver:
    """`answers` are the statuses of the next responses; afterwards it accepts everything."""

    url: str = ""
    heard: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        return [one.data["type"] for one in self.heard]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks, until the block ends."""
    here = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            here.heard.append(Received(body, headers))
            self.send_response(here.answers.pop(0) if here.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
