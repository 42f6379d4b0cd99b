"""The store's HTTP server: the Admin API by Host, OAuth's token endpoint, and the control pages."""

from __future__ import annotations

import http.server
import json
import logging
import re
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from practice_store.graphql import scalars
from practice_store.state import Shop
from practice_store.store import Store
from practice_store.web import about, admin_api, control, oauth, staff_page
from practice_store.web.answers import Answer, plain
from practice_store.web.spoiled_answers import spoiled

logger = logging.getLogger(__name__)

_RANGE: Final = re.compile(r"\Abytes=(\d+)-\Z")
_CHUNK: Final = 256 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    """Handle a request to any of the shops, and the faults that spoil its response."""

    protocol_version = "HTTP/1.1"
    store: Store
    # Send headers and body in one write, or a keep-alive client waits 40 ms for the rest.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)

    def do_GET(self) -> None:
        self._answer(self._get())

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self._answer(self._post(body))

    def _get(self) -> Answer:
        parts = urlsplit(self.path)
        query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
        if parts.path == "/_practice/ledger":
            shop = query.get("shop", next(iter(self.store.world.shops)))
            if shop not in self.store.world.shops:
                return Answer(404, plain({"error": f"no shop {shop}"}))
            return Answer(200, plain(self.store.ledger(shop)))
        if parts.path.startswith("/_bulk/"):
            return self._bulk_file(parts.path.removeprefix("/_bulk/").removesuffix(".jsonl"))
        if parts.path == "/_practice/deliveries":
            return Answer(200, plain(self.store.courier.log))
        shop_here = self._shop(query.get("shop", ""))
        if parts.path == "/admin/oauth/authorize" and shop_here:
            return Answer(200, oauth.consent_page(shop_here, query), "text/html; charset=utf-8")
        if parts.path == "/_practice/about":
            return Answer(200, about.render(admin_api.API_VERSION), "text/html; charset=utf-8")
        if parts.path == "/_practice/":
            return Answer(200, staff_page.render(self.store, query), "text/html; charset=utf-8")
        return Answer(404, plain({"errors": "Not Found"}))

    def _bulk_file(self, token: str) -> Answer:
        """Serve a file as a storage URL does: no API token, range requests, gone after a week."""
        path = self.store.bulk.file_of(token, self.store.world.now())
        if path is None:
            return Answer(404, b"")
        rule = self.store.faults.pick(("bulk_file",), "")
        if rule and rule.phase in {"drop_before", "500_before"}:
            return Answer(0, b"", sent="dropped")
        found = _RANGE.match(self.headers.get("Range") or "")
        start = int(found[1]) if found else 0
        size = path.stat().st_size
        if start >= size:
            return Answer(416, b"")
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if found else {}
        return Answer(
            206 if found else 200,
            b"",
            "application/jsonl",
            headers,
            file=path,
            sent="half" if rule else "whole",
        )

    def _post(self, body: bytes) -> Answer:
        path = urlsplit(self.path).path
        if path.startswith("/_practice/"):
            return self._control(path.removeprefix("/_practice/"), body)
        form = _form(body) if path == "/admin/oauth/authorize" else {}
        shop = self._shop(form.get("shop", ""))
        if shop is None:
            return Answer(404, plain({"errors": "Not Found"}))
        if path == "/admin/oauth/authorize":
            location = oauth.redirect(shop, form)
            if location is None:
                return Answer(400, b"Unknown client_id or no redirect_uri", "text/plain")
            return Answer(303, b"", "text/plain", {"Location": location})
        if path == "/admin/oauth/access_token":
            return self._token(shop, body)
        if path.startswith("/admin/api/") and path.endswith("/graphql.json"):
            version = admin_api.answering_version(path.split("/")[3])
            if not version:
                return Answer(404, plain({"errors": "Not Found"}))
            given = self.headers.get("X-Shopify-Access-Token") or ""
            answer = admin_api.answer_graphql(self.store, shop, given, body, version)
            answer.headers = answer.headers | {"X-Shopify-API-Version": version}
            return answer
        return Answer(404, plain({"errors": "Not Found"}))

    def _control(self, name: str, body: bytes) -> Answer:
        if not self.client_address[0].startswith("127."):
            return Answer(403, b"loopback only")
        if name == "act":
            location = staff_page.act(self.store, _form(body))
            return Answer(303, b"", "text/plain", {"Location": location})
        try:
            data = json.loads(body) if body else {}
            if not control.change(self.store, name, data):
                return Answer(404, b"")
        except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
            return Answer(400, plain({"error": str(error)}))
        return Answer(200, plain({"ok": True, "now": self.store.world.now().isoformat()}))

    def _token(self, shop: Shop, body: bytes) -> Answer:
        try:
            is_json = "json" in (self.headers.get("Content-Type") or "")
            data = json.loads(body) if is_json else _form(body)
        except ValueError:
            return Answer(400, plain({"error": "invalid_request"}))
        rule = self.store.faults.pick(("token",), shop.domain)
        if rule and rule.phase in {"drop_before", "500_before"}:
            return Answer(500, b"", sent="dropped" if rule.phase == "drop_before" else "whole")
        with self.store.locks[shop.domain]:
            status, answer = oauth.token(shop, data, self.store.world.now())
        self.store.requests.append(
            {
                "shop": shop.domain,
                "operation": "token",
                "status": status,
                "at": time.time(),
                "fault": rule.phase if rule else "",
                "key": None,
            }
        )
        made = Answer(status, plain(answer))
        return spoiled(made, rule, ()) if rule else made

    def _shop(self, named: str) -> Shop | None:
        """Return the shop by Host, as at Shopify; a browser on loopback names it in the query
        instead.
        """
        shops = self.store.world.shops
        return shops.get((self.headers.get("Host") or "").split(":")[0]) or shops.get(named)

    def _answer(self, answer: Answer) -> None:
        if answer.sent == "dropped":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer.file is not None:
            self._stream(answer, answer.file)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("X-Request-ID", str(uuid.uuid4()))
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.end_headers()
        if answer.sent == "half":
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(answer.body)
        self.wfile.flush()

    def _stream(self, answer: Answer, path: Path) -> None:
        size = path.stat().st_size
        given = answer.headers.get("Content-Range", "bytes 0-").removeprefix("bytes ")
        left = size - int(given.split("-", 1)[0])
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(left))
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.end_headers()
        cut = left // 2 if answer.sent == "half" else left
        with path.open("rb") as file:
            file.seek(size - left)
            while cut > 0 and (chunk := file.read(min(_CHUNK, cut))):
                self.wfile.write(chunk)
                cut -= len(chunk)
        self.wfile.flush()
        if answer.sent == "half":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


def _form(body: bytes) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(body.decode()).items()}


class Server(http.server.ThreadingHTTPServer):
    """A threading server whose threads don't keep the process alive."""

    daemon_threads = True
    request_queue_size = 128


def serve(store: Store, port: int) -> Server:
    """Return a server on loopback that isn't running yet; call its serve_forever."""
    scalars.schema()
    handler = type("StoreHandler", (Handler,), {"store": store})
    server = Server(("127.0.0.1", port), handler)
    store.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    return server


def start_in_thread(store: Store, port: int = 0) -> Server:
    """Start a store and its server in this process; `server.server_address[1]` is the port."""
    server = serve(store, port)
    store.start()
    # shutdown() waits for the next poll, which by default costs every test half a second.
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    return server
