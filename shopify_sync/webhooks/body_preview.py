"""Preview a stored webhook body: its shape, IDs, dates and amounts, but no personal data. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

MASKED: Final = "•••"
_LONGEST: Final = 20_000
_DEEPEST: Final = 12
_MOST_ITEMS: Final = 20
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_NUMBER: Final = re.compile(r"-?\d{1,15}(\.\d{1,6})?")
_ID: Final = re.compile(r"\d{1,19}|gid://shopify/[A-Za-z]{1,40}/\d{1,19}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_STATUS: Final = re.compile(r"[a-z_]{1,30}")
# A key, and the form its value must have to be shown. Anything else may be personal data.
_SHOWN: Final = (
    (re.compile(r"id|.{0,40}_id|admin_graphql_api_id|order_number"), _ID),
    (re.compile(r".{0,40}_at"), _TIME),
    (
        re.compile(
            r"amount|quantity|.{0,40}_quantity|price|.{0,40}_price|total_.{0,40}|subtotal.{0,40}"
        ),
        _NUMBER,
    ),
    (re.compile(r"currency|.{0,40}_currency|currency_code"), _CURRENCY),
    (re.compile(r"status|.{0,40}_status|cancel_reason"), _STATUS),
)


def masked_body(body: bytes) -> str:
    """Return the body's JSON with everything masked that may name, reach or describe a person.

    Of a body that isn't JSON, only the length is shown, because it may contain anything.
    """
    if not body:
        return "The body is no longer stored."
    try:
        return json.dumps(_masked(json.loads(body), "", 0), indent=2, ensure_ascii=False)[:_LONGEST]
    except (ValueError, RecursionError):
        return f"Not readable as JSON: {len(body)} bytes."


def _masked(value: Any, key: str, depth: int) -> object:
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        found = {}
        for number, (name, inner) in enumerate(value.items(), start=1):
            # A key that isn't in Shopify's style may itself be personal data.
            shown = name if _KEY.fullmatch(name) else f"{MASKED} {number}"
            found[shown] = _masked(inner, name, depth + 1)
        return found
    if isinstance(value, list):
        items = [_masked(inner, key, depth + 1) for inner in value[:_MOST_ITEMS]]
        left_out = len(value) - _MOST_ITEMS
        return [*items, f"… and {left_out} more"] if left_out > 0 else items
    if value is None or isinstance(value, bool) or value == "":
        return value
    return value if _is_harmless(key, value) else MASKED


def _is_harmless(key: str, value: str | float) -> bool:
    form = next((form for name, form in _SHOWN if name.fullmatch(key)), None)
    return form is not None and form.fullmatch(str(value)) is not None
