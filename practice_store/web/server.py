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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from core.json_types import JsonObject
from practice_store.faults.lasting import Conditions
from practice_store.faults.rules import (
    COMMITS,
    Rule,
)
from practice_store.graphql import (
    execution,
    scalars,
    scopes,
)
from practice_store.state import Shop
from practice_store.store import (
    RESTORE_RATE,
    Store,
)
from practice_store.web import (
    about,
    oauth,
    staff_page,
)
from practice_store.web.answers import plain

logger = logging.getLogger(__name__)

API_VERSION: Final = "2026-10"
# The versions Shopify supports when API_VERSION is the latest.
VERSIONS: Final = ("2026-01", "2026-04", "2026-07", API_VERSION)
_QUARTER: Final = re.compile(r"20\d\d-(01|04|07|10)\Z")
_RANGE: Final = re.compile(r"\Abytes=(\d+)-\Z")
_CHUNK: Final = 256 * 1024
_STATUS_PHASES: Final = {
    "400",
    "401",
    "402",
    "403",
    "404",
    "408",
    "409",
    "422",
    "423",
    "429",
    "430",
}
# Root fields that a replica may answer.
_ON_REPLICAS: Final = frozenset(
    {"order", "orders", "node", "nodes", "refund", "return", "fulfillment", "job"}
)
_GID: Final = re.compile(r"gid://shopify/([A-Za-z]+)/([\w-]+)")


class Answer(msgspec.Struct):
    """A response, and how it is to be sent."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = {}
    file: Path | None = None
    # "whole", "half" (cut in the middle) or "dropped" (the connection is closed without a
    # response).
    sent: str = "whole"


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
            return Answer(200, about.render(API_VERSION), "text/html; charset=utf-8")
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
            version = _version(path.split("/")[3])
            if not version:
                return Answer(404, plain({"errors": "Not Found"}))
            answer = self._graphql(shop, body, version)
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
            if name == "faults":
                self._set_faults({"rules": data} if isinstance(data, list) else data)
            elif name == "clock":
                self.store.advance(float(data["advance_s"]))
            elif name == "reset":
                self.store.reset()
            else:
                return Answer(404, b"")
        except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
            return Answer(400, plain({"error": str(error)}))
        return Answer(200, plain({"ok": True, "now": self.store.world.now().isoformat()}))

    def _set_faults(self, data: JsonObject) -> None:
        """Replace the fault rules by `rules`, and the conditions of `shop`, or of all, by
        `conditions`.

        What isn't named stays as it is.
        """
        if not {"rules", "conditions"} & data.keys():
            raise KeyError("rules")
        domain = data.get("shop", "")
        if domain and domain not in self.store.world.shops:
            raise ValueError(f"no shop {domain}")
        if "conditions" in data:
            self.store.set_conditions(msgspec.convert(data["conditions"], Conditions), domain)
        if "rules" in data:
            self.store.faults.set(data["rules"])

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
        return _spoiled(made, rule, ()) if rule else made

    def _shop(self, named: str) -> Shop | None:
        """Return the shop by Host, as at Shopify; a browser on loopback names it in the query
        instead.
        """
        shops = self.store.world.shops
        return shops.get((self.headers.get("Host") or "").split(":")[0]) or shops.get(named)

    def _graphql(self, shop: Shop, body: bytes, version: str) -> Answer:
        arrived = time.time()
        try:
            request = json.loads(body)
            query, variables = request["query"], request.get("variables") or {}
            name = request.get("operationName")
            fields = execution.root_fields(query, name)
        except (ValueError, KeyError, TypeError):
            query, variables, name, fields = None, {}, None, ()
        rule = None
        if (answer := self._turned_away(shop)) is None:
            if query is None:
                text = "Required parameter missing or invalid"
                return Answer(400, plain({"errors": {"query": text}}))
            rule = self.store.faults.pick(fields, shop.domain)
            try:
                answer = self._run(shop, query, variables, name, fields, rule, version)
            except Exception:  # a bug of the stand-in must not look like a dropped connection
                logger.exception("%s failed", fields)
                answer = Answer(500, b"the practice store has a bug; see its log", "text/plain")
        entry = {
            "shop": shop.domain,
            "operation": fields[0] if fields else "",
            "at": time.time(),
            "arrived": arrived,
            "status": answer.status,
            "fault": rule.phase if rule else "",
            **_named_in(variables),
        }
        self.store.requests.append(entry)
        return answer

    def _turned_away(self, shop: Shop) -> Answer | None:
        """Return the refusal of a locked shop or a bad token, before looking at the request."""
        if shop.locked_status:
            return Answer(shop.locked_status, plain({"errors": "Unavailable Shop"}))
        given = self.headers.get("X-Shopify-Access-Token") or ""
        if not oauth.is_valid(shop, given, self.store.world.now()):
            text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return Answer(401, plain({"errors": text}))
        return None

    def _run(
        self,
        shop: Shop,
        query: str,
        variables: JsonObject,
        name: str | None,
        fields: tuple[str, ...],
        rule: Rule | None,
        version: str,
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
        if phase == "error_before" and rule:
            return Answer(200, _errors(rule, fields))
        if phase == "null_payload_before":
            return Answer(200, plain({"data": dict.fromkeys(fields)}))
        if phase == "no_user_errors_before":
            return Answer(200, plain({"data": {field: {"order": None} for field in fields}}))
        if phase == "hang" and rule:
            time.sleep(rule.seconds)
            return Answer(0, b"", sent="dropped")
        if phase == "commit_late":
            late_s = rule.late_s if rule else 0.0
            work = partial(execution.execute, query=query, variables=variables, operation_name=name)
            self.store.later(shop.domain, late_s, work)
            return Answer(0, b"", sent="dropped")
        lag = rule.lag if rule and phase == "stale_read" else None
        answer = self._execute(shop, query, variables, name, version, lag=lag)
        return _spoiled(answer, rule, fields) if rule and phase in COMMITS else answer

    def _execute(
        self,
        shop: Shop,
        query: str,
        variables: JsonObject,
        name: str | None,
        version: str,
        *,
        lag: int | None = None,
    ) -> Answer:
        """Run a query; `lag` reads that many changes behind, None as a random replica would."""
        with self.store.locks[shop.domain]:
            if execution.is_mutation(query, name):
                self.store.before_change(shop)
                shown = shop
            elif lag is not None:
                shown = self.store.stale(shop, _order_asked(shop, query, variables), lag)
            elif _ON_REPLICAS.intersection(execution.root_fields(query, name)):
                shown = self.store.replica(shop, _order_asked(shop, query, variables))
            else:
                shown = shop
            context = self.store.context(shown)
            context.api_version = version
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


def _version(asked: str) -> str:
    """Return the version that answers; an ended one falls forward to the oldest, "" means none."""
    if asked in VERSIONS:
        return asked
    return VERSIONS[0] if _QUARTER.match(asked) and asked < VERSIONS[0] else ""


def _form(body: bytes) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(body.decode()).items()}


def _named_in(variables: object) -> JsonObject:
    """Return the key, order, return and note in a mutation's variables, for the request log."""
    found = variables if isinstance(variables, dict) else {}
    inner = found["input"] if isinstance(found.get("input"), dict) else {}
    return {
        "key": found.get("idempotencyKey"),
        "order": found.get("orderId") or inner.get("orderId"),
        "return": inner.get("returnId"),
        "note": found.get("staffNote") or inner.get("note"),
    }


def _order_asked(shop: Shop, query: str, variables: object) -> int | None:
    """Return the ID of the order that a read is about; None for several or none."""
    found = _GID.search(query + json.dumps(variables))
    if found is None:
        return None
    kind, tail = found[1], found[2]
    if kind == "OrderCancelJobResult" or kind == "Job":
        return shop.jobs[tail].order_number if tail in shop.jobs else None
    if not tail.isdigit():
        return None
    if kind == "Order":
        return int(tail)
    for order in shop.orders.values():
        rows = (*order.refunds, *order.transactions, *order.fulfillments, *order.returns)
        if any(row.typename == kind and row.number_id == int(tail) for row in rows):
            return order.number_id
    return None


def _errors(rule: Rule, fields: tuple[str, ...]) -> bytes:
    """Return top-level errors, with codes that no documentation lists."""
    errors = [
        {"message": f"Something went wrong: {code}", "extensions": {"code": code}}
        for code in rule.codes
    ]
    return plain({"errors": errors} | ({"data": dict.fromkeys(fields)} if rule.with_null else {}))


def _changed_payload(answer: Answer, change: Callable[[JsonObject], object]) -> Answer:
    body = json.loads(answer.body)
    for payload in (body.get("data") or {}).values():
        if isinstance(payload, dict):
            change(payload)
    return Answer(200, plain(body))


def _without_user_errors(payload: JsonObject) -> None:
    for name in [name for name in payload if name.lower().endswith("usererrors")]:
        del payload[name]


def _with_a_user_error(payload: JsonObject) -> None:
    for name in payload:
        if name.lower().endswith("usererrors"):
            error = {"field": None, "message": "The customer could not be notified.", "code": None}
            payload[name] = [*(payload[name] or []), error]


def _spoiled(answer: Answer, rule: Rule, fields: tuple[str, ...]) -> Answer:
    """Return what the client gets although the work is done."""
    if (status := rule.phase.removeprefix("commit_then_")).isdigit() and status != "500":
        return Answer(int(status), plain({"errors": "fault"}))
    spoil: dict[str, Callable[[], Answer]] = {
        "commit_then_drop": lambda: Answer(0, b"", sent="dropped"),
        "commit_then_500": lambda: Answer(500, b"<html>Internal Server Error</html>", "text/html"),
        "truncate": lambda: Answer(200, answer.body, sent="half"),
        "html200": lambda: Answer(200, b"<html><body>Please wait</body></html>", "text/html"),
        "malformed_json": lambda: Answer(200, answer.body[:-2]),
        "null_data": lambda: Answer(200, b'{"data": null}'),
        "null_order": lambda: Answer(200, plain({"data": dict.fromkeys(fields)})),
        "null_payload": lambda: Answer(200, plain({"data": dict.fromkeys(fields)})),
        "error_after": lambda: Answer(200, _errors(rule, fields)),
        "no_user_errors": lambda: _changed_payload(answer, _without_user_errors),
        "user_errors_and_result": lambda: _changed_payload(answer, _with_a_user_error),
    }
    return spoil[rule.phase]()


def _throttled(store: Store, shop: Shop, cost: int) -> JsonObject:
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
