"""JSON that the rest of the code can count on: not nested deeply, and only text a database holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

# Our own requests nest four levels deep.
DEEPEST: Final = 20
NOT_PLAIN: Final = "not_plain"


class PlainJSONParser(JSONParser):
    """REST framework's parser, which also refuses deep nesting, NUL and lone surrogates.

    A field would refuse most of these, too, but an error that quotes the value, or a name that no
    field has, would then break the response. Raises ParseError.
    """

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            found = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise _refusal("It is nested too deeply.") from error
        _check(found)
        return found


def _check(found: Any) -> None:
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
