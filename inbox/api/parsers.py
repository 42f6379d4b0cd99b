"""JSON that the rest of the code can count on: not nested deeply, and only text a database holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser

# Our own requests nest four levels deep.
DEEPEST: Final = 20
NOT_PLAIN: Final = "not_plain"


class PlainJSONParser(BaseParser):
    """Parse a body of JSON in UTF-8; refuse deep nesting, NUL, lone surrogates and ambiguity.

    A field would refuse most of these, too, but an error that quotes the value, or a name that no
    field has, would then break the response. Of a name that is listed twice, parsers take the
    first or the last, and NaN isn't JSON at all. Raises ParseError, and ValidationError that names
    what is listed twice.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        try:
            # Not from the stream, which knows no limit (DATA_UPLOAD_MAX_MEMORY_SIZE).
            text = request._request.body.decode()
            found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except RecursionError as error:
            raise _refusal("It is nested too deeply.") from error
        except ValueError as error:
            raise ParseError from error
        _check(found)
        return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValidationError({name.encode(errors="replace").decode(): ["Listed twice."]})
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")


def _check(found: object) -> None:
    waiting = [(found, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict | list):
            if depth > DEEPEST:
                raise _refusal("It is nested too deeply.")
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            waiting += [(each, depth + 1) for each in inner]


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _refusal("Remove the NUL characters (\\u0000) from its texts.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refusal(
            "A text in it isn't Unicode: half of a surrogate pair stands alone."
        ) from error


def _refusal(text: str) -> ParseError:
    return ParseError(text, code=NOT_PLAIN)
