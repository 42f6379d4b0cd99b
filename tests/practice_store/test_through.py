"""Webhooks through a server that stands in for the proxy at their address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from practice_store.faults.courier import Courier
from practice_store.faults.rules import Faults
from practice_store.state import World
from practice_store.store.new_shops import new_shop

Got = Queue[tuple[str, dict[str, str], bytes]]


@pytest.fixture
def product() -> Iterator[tuple[str, Got]]:
    got: Got = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.path, dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", got
    server.shutdown()
    server.server_close()


def test_what_is_subscribed_at_the_public_address_arrives_here(product: tuple[str, Got]) -> None:
    url, got = product
    world = World()
    shop = world.shops["demo.myshopify.com"] = new_shop("demo.myshopify.com", "EUR")
    courier = Courier(
        world,
        Faults(),
        deliver_to="https://inbox.example.com/webhooks/shopify/",
        through=url,
        threads=1,
    )
    courier.start()
    try:
        courier.send(shop, [("orders/updated", {"id": 1})])
        path, headers, body = got.get(timeout=20)
    finally:
        courier.stop()
    assert (path, body) == ("/webhooks/shopify/", b'{"id": 1}')
    assert headers["Host"] == "inbox.example.com"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Shopify-Topic"] == "orders/updated"
