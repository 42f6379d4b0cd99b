"""Answers that a fault spoils: the work may be done, but the client can't tell."""

from __future__ import annotations

import json
from collections.abc import Callable

from core.json_types import JsonObject
from practice_store.faults.rules import Rule
from practice_store.state import Shop
from practice_store.store import RESTORE_RATE, Store
from practice_store.web.answers import Answer, plain


def top_level_errors(rule: Rule, fields: tuple[str, ...]) -> bytes:
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


def spoiled(answer: Answer, rule: Rule, fields: tuple[str, ...]) -> Answer:
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
        "error_after": lambda: Answer(200, top_level_errors(rule, fields)),
        "no_user_errors": lambda: _changed_payload(answer, _without_user_errors),
        "user_errors_and_result": lambda: _changed_payload(answer, _with_a_user_error),
    }
    return spoil[rule.phase]()


def throttled(store: Store, shop: Shop, cost: int) -> JsonObject:
    """Return Shopify's answer to a query that costs more than the bucket holds."""
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
