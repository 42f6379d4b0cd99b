"""The store's HTTP door: the Admin API by Host, OAuth's token address, and the control pages."""

from __future__ import annotations

import http.server
import json
import logging
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from shopify_sync.practice_store import execution, oauth, scopes, staff_page
from shopify_sync.practice_store.faults import COMMITS, LATE_S, Rule
from shopify_sync.practice_store.state import Shop
from shopify_sync.practice_store.store import RESTORE_RATE, Store, plain

logger = logging.getLogger(__name__)

API_VERSION: Final = "2026-10"
_RANGE: Final = re.compile(r"\Abytes=(\d+)-\Z")
_CHUNK: Final = 256 * 1024
_STATUS_PHASES: Final = {"401", "402", "403", "423", "429", "430"}


class Answer(msgspec.Struct):
    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = {}
    file: Path | None = None
    # How the bytes leave: all, cut in the middle, never, or not at all.
    sent: str = "whole"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store
    # Headers and body must leave in one piece, or a keep-alive client waits 40 ms for the rest.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
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
        if parts.path == "/_practice/":
            return Answer(200, staff_page.render(self.store, query), "text/html; charset=utf-8")
        return Answer(404, plain({"errors": "Not Found"}))

    def _bulk_file(self, token: str) -> Answer:
        """As a storage address answers: no token of the API, ranges, gone after a week."""
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
        return Answer(206 if found else 200, b"", "application/jsonl", headers, file=path,
                      sent="half" if rule else "whole")  # fmt: skip

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
            return self._graphql(shop, body)
        return Answer(404, plain({"errors": "Not Found"}))

    def _control(self, name: str, body: bytes) -> Answer:
        if not self.client_address[0].startswith("127."):
            return Answer(403, b"loopback only")
        if name == "act":
            location = staff_page.act(self.store, _form(body))
            return Answer(303, b"", "text/plain", {"Location": location})
        try:
            data = json.loads(body) if body else {}
            if name == "faults":
                self.store.faults.set(data if isinstance(data, list) else data["rules"])
            elif name == "clock":
                self.store.advance(float(data["advance_s"]))
            elif name == "reset":
                self.store.reset()
            else:
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
        self.store.requests.append({"shop": shop.domain, "operation": "token", "status": status,
                                    "at": time.time(), "fault": rule.phase if rule else "",
                                    "key": None})  # fmt: skip
        made = Answer(status, plain(answer))
        return _spoiled(made, rule.phase) if rule else made

    def _shop(self, named: str) -> Shop | None:
        """By Host, as at Shopify; a browser on loopback names it in the query instead."""
        shops = self.store.world.shops
        return shops.get((self.headers.get("Host") or "").split(":")[0]) or shops.get(named)

    def _graphql(self, shop: Shop, body: bytes) -> Answer:
        if shop.locked_status:
            return Answer(shop.locked_status, plain({"errors": "Unavailable Shop"}))
        given = self.headers.get("X-Shopify-Access-Token") or ""
        if not oauth.is_valid(shop, given, self.store.world.now()):
            text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return Answer(401, plain({"errors": text}))
        try:
            request = json.loads(body)
            query, variables = request["query"], request.get("variables") or {}
            name = request.get("operationName")
        except (ValueError, KeyError, TypeError):
            return Answer(
                400, plain({"errors": {"query": "Required parameter missing or invalid"}})
            )
        fields = execution.root_fields(query, name)
        rule = self.store.faults.pick(fields, shop.domain)
        try:
            answer = self._run(shop, query, variables, name, rule)
        except Exception:  # a bug of the stand-in must not look like a dropped connection
            logger.exception("%s failed", fields)
            answer = Answer(500, b"the practice store has a bug; see its log", "text/plain")
        entry = {"shop": shop.domain, "operation": fields[0] if fields else "", "at": time.time(),
                 "status": answer.status, "fault": rule.phase if rule else "",
                 "key": variables.get("idempotencyKey") if isinstance(variables, dict) else None}  # fmt: skip
        self.store.requests.append(entry)
        return answer

    def _run(
        self, shop: Shop, query: str, variables: Any, name: str | None, rule: Rule | None
    ) -> Answer:
        phase = rule.phase if rule else ""
        if phase == "drop_before":
            return Answer(0, b"", sent="dropped")
        if phase == "500_before":
            return Answer(500, b"<html><body>Internal Server Error</body></html>", "text/html")
        if phase in _STATUS_PHASES:
            return Answer(int(phase), plain({"errors": "fault"}), headers={"Retry-After": "1.0"})
        if phase == "throttle":
            return Answer(200, plain(_throttled(self.store, shop, 50)))
        if phase == "hang" and rule:
            time.sleep(rule.seconds)
            return Answer(0, b"", sent="dropped")
        if phase == "commit_late":
            threading.Timer(
                LATE_S, lambda: self._execute(shop, query, variables, name, stale=False)
            ).start()
            return Answer(0, b"", sent="dropped")
        answer = self._execute(shop, query, variables, name, stale=phase == "stale_read")
        return _spoiled(answer, phase) if phase in COMMITS else answer

    def _execute(
        self, shop: Shop, query: str, variables: Any, name: str | None, *, stale: bool
    ) -> Answer:
        with self.store.locks[shop.domain]:
            is_mutation = execution.is_mutation(query, name)
            if is_mutation and self.store.faults.keeps_history():
                self.store.remember_for_stale_reads(shop)
            context = self.store.context(self.store.stale(shop) if stale else shop)
            if refused := scopes.denied(execution.root_fields(query, name), context.scopes):
                return Answer(200, plain(refused))
            bucket = self.store.buckets[shop.domain]
            answer = execution.execute(context, query, variables, name, reserve=bucket.take)
            self.store.settle(context)
            cost = (answer.get("extensions") or {}).get("cost")
            if cost:
                if cost["actualQueryCost"] is not None:
                    bucket.give_back(cost["requestedQueryCost"] - cost["actualQueryCost"])
                cost["throttleStatus"] = bucket.status()
        return Answer(200, plain(answer))

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
        self.send_header("X-Shopify-API-Version", API_VERSION)
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


def _spoiled(answer: Answer, phase: str) -> Answer:
    """What the client gets of an answer whose work is done."""
    spoil: dict[str, Callable[[], Answer]] = {
        "commit_then_drop": lambda: Answer(0, b"", sent="dropped"),
        "commit_then_500": lambda: Answer(500, b"<html>Internal Server Error</html>", "text/html"),
        "truncate": lambda: Answer(200, answer.body, sent="half"),
        "html200": lambda: Answer(200, b"<html><body>Please wait</body></html>", "text/html"),
        "malformed_json": lambda: Answer(200, answer.body[:-2]),
        "null_data": lambda: Answer(200, b'{"data": null}'),
    }
    return spoil[phase]()


def _throttled(store: Store, shop: Shop, cost: int) -> dict[str, Any]:
    status = store.buckets[shop.domain].status() | {"restoreRate": RESTORE_RATE}
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {
            "cost": {
                "requestedQueryCost": cost,
                "actualQueryCost": None,
                "throttleStatus": status,
            }
        },
    }


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(store: Store, port: int) -> Server:
    """A server on loopback, not yet running: call serve_forever, or start_in_thread."""
    execution.schema()
    handler = type("StoreHandler", (Handler,), {"store": store})
    server = Server(("127.0.0.1", port), handler)
    store.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    return server


def start_in_thread(store: Store, port: int = 0) -> Server:
    """Run a store in this process; `server.server_address[1]` is its port."""
    server = serve(store, port)
    store.start()
    # How often it looks whether it should end: a test waits for that, each for itself.
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    return server
