"""The Admin API: versions, access tokens, faults, replicas and the request log."""

from __future__ import annotations

import json
import logging
import re
import time
from functools import partial
from typing import Final

from core.json_types import JsonObject
from practice_store.faults.rules import COMMITS, Rule
from practice_store.graphql import execution, scopes
from practice_store.state import Shop
from practice_store.store import Store
from practice_store.web import oauth
from practice_store.web.answers import Answer, plain
from practice_store.web.spoiled_answers import spoiled, throttled, top_level_errors

logger = logging.getLogger(__name__)

API_VERSION: Final = "2026-10"
# The versions Shopify supports when API_VERSION is the latest.
VERSIONS: Final = ("2026-01", "2026-04", "2026-07", API_VERSION)
_QUARTER: Final = re.compile(r"20\d\d-(01|04|07|10)\Z")
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


def answer_graphql(store: Store, shop: Shop, token: str, body: bytes, version: str) -> Answer:
    """Run a GraphQL request, with the fault that a rule asks for, and log it."""
    arrived = time.time()
    try:
        request = json.loads(body)
        query, variables = request["query"], request.get("variables") or {}
        name = request.get("operationName")
        fields = execution.root_fields(query, name)
    except (ValueError, KeyError, TypeError):
        query, variables, name, fields = None, {}, None, ()
    rule = None
    if (answer := _turned_away(store, shop, token)) is None:
        if query is None:
            text = "Required parameter missing or invalid"
            return Answer(400, plain({"errors": {"query": text}}))
        rule = store.faults.pick(fields, shop.domain)
        try:
            answer = _run(store, shop, query, variables, name, fields, rule, version)
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
    store.requests.append(entry)
    return answer


def _turned_away(store: Store, shop: Shop, token: str) -> Answer | None:
    """Return the refusal of a locked shop or a bad token, before looking at the request."""
    if shop.locked_status:
        return Answer(shop.locked_status, plain({"errors": "Unavailable Shop"}))
    if not oauth.is_valid(shop, token, store.world.now()):
        text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return Answer(401, plain({"errors": text}))
    return None


def _run(
    store: Store,
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
        return Answer(200, plain(throttled(store, shop, 50)))
    if phase == "error_before" and rule:
        return Answer(200, top_level_errors(rule, fields))
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
        store.later(shop.domain, late_s, work)
        return Answer(0, b"", sent="dropped")
    lag = rule.lag if rule and phase == "stale_read" else None
    answer = _execute(store, shop, query, variables, name, version, lag=lag)
    return spoiled(answer, rule, fields) if rule and phase in COMMITS else answer


def _execute(
    store: Store,
    shop: Shop,
    query: str,
    variables: JsonObject,
    name: str | None,
    version: str,
    *,
    lag: int | None = None,
) -> Answer:
    """Run a query; `lag` reads that many changes behind, None as a random replica would."""
    with store.locks[shop.domain]:
        if execution.is_mutation(query, name):
            store.before_change(shop)
            shown = shop
        elif lag is not None:
            shown = store.stale(shop, _order_asked(shop, query, variables), lag)
        elif _ON_REPLICAS.intersection(execution.root_fields(query, name)):
            shown = store.replica(shop, _order_asked(shop, query, variables))
        else:
            shown = shop
        context = store.context(shown)
        context.api_version = version
        if refused := scopes.denied(execution.root_fields(query, name), context.scopes):
            return Answer(200, plain(refused))
        bucket = store.buckets[shop.domain]
        answer = execution.execute(context, query, variables, name, reserve=bucket.take)
        store.settle(context)
        cost = (answer.get("extensions") or {}).get("cost")
        if cost:
            if cost["actualQueryCost"] is not None:
                bucket.give_back(cost["requestedQueryCost"] - cost["actualQueryCost"])
            cost["throttleStatus"] = bucket.status()
    return Answer(200, plain(answer))


def answering_version(asked: str) -> str:
    """Return the version that answers; an ended one falls forward to the oldest, "" means none."""
    if asked in VERSIONS:
        return asked
    return VERSIONS[0] if _QUARTER.match(asked) and asked < VERSIONS[0] else ""


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
