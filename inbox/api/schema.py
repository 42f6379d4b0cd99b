"""Adds to the schema what every endpoint may answer: the problems of inbox.api.problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

_PROBLEM: Final[dict[str, object]] = {
    "type": "object",
    "description": "RFC 9457. `type` is stable; `title` and `detail` are for people.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"description": "By field, what is wrong with it."},
        "reason_code": {"type": "string"},
        "preview": {
            "type": "object",
            "nullable": True,
            "description": "For a stale token: the summary of the same choice as things are now.",
        },
    },
    "additionalProperties": False,
}
_EVERYWHERE: Final = (400, 401, 403, 404, 405, 406, 429)
_WITH_BODY: Final = (409, 413, 415, 503)


def add_problems(result: Any, generator: Any, request: Any, public: bool) -> Any:
    """Document the problem responses of every operation (a hook of drf-spectacular)."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for path, operations in result["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for method, operation in operations.items():
            codes = _EVERYWHERE if method == "get" else (*_EVERYWHERE, *_WITH_BODY)
            for code in codes:
                operation["responses"].setdefault(str(code), _response(code))
    return result


def _response(code: int) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[str, object] = {
        "description": HTTPStatus(code).phrase,
        "content": {"application/problem+json": {"schema": schema}},
    }
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        wait = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        found["headers"] = {"Retry-After": wait}
    return found
