"""`{{ order.number }}` and friends in texts that people write.

Our own replacer over an allow-list: a template engine would hand out settings and methods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

KNOWN: Final = frozenset(
    {
        "order.number",
        "customer.first_name",
        "customer.name",
        "amount",
        "refund_sentence",
        "store.name",
    }
)
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}|]*?)\s*(?:\|\s*([^{}]*?)\s*)?\}\}")
# Known, and rightly empty at times: a cancelation without a refund has nothing to say of one.
_MAY_BE_EMPTY: Final = frozenset({"refund_sentence"})


class MissingValue(ValueError):
    """A placeholder without a value and without a fallback; the text must not be sent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No value for {{{{ {name} }}}}.")
        self.name = name


def unknown(text: str) -> list[str]:
    """Placeholders of a text that are not in the allow-list."""
    names = (match.group(1) for match in _PLACEHOLDER.finditer(text))
    return [name for name in dict.fromkeys(names) if name not in KNOWN]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace every placeholder. Raises MissingValue for one that has neither value nor fallback.

    Values are inserted as they are and never looked at again: a customer's name that reads
    like a placeholder stays text.
    """

    def value(match: re.Match[str]) -> str:
        name, fallback = match.group(1), match.group(2)
        found = values.get(name, "") if name in KNOWN else ""
        if found or name in _MAY_BE_EMPTY:
            return found
        if fallback:
            return fallback
        raise MissingValue(name)

    return re.sub(r"[ \t]+(?=\n|\Z)", "", _PLACEHOLDER.sub(value, text))
