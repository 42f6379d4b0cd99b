"""`{{ order.number }}` and friends in texts that people write.

Our own replacer over an allow-list: a template engine would hand out settings and methods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from django.conf import settings

KNOWN: Final = frozenset(
    {
        "order.number",
        "order.date",
        "tracking.numbers",
        "checkout.url",
        "unsubscribe_url",
        "customer.first_name",
        "customer.name",
        "amount",
        "refund_sentence",
        "refund_how",
        "store.name",
    }
)
_PLACEHOLDER: Final = re.compile(r"\{\{([^{}|]*)(?:\|([^{}]*))?\}\}")
# Known, and rightly empty at times: a cancellation without a refund has nothing to say of one.
_MAY_BE_EMPTY: Final = frozenset({"refund_sentence", "refund_how"})
# Sentences of ours, which exist in the languages we speak.
OUR_SENTENCES: Final = frozenset({"refund_sentence", "refund_how"})


_EVERYWHERE: Final = frozenset(
    {"customer.first_name", "customer.name", "store.name", "unsubscribe_url"}
)
_OF_ORDERS: Final = _EVERYWHERE | {"order.number", "order.date", "amount"}
_OF_CHECKOUTS: Final = _EVERYWHERE | {"checkout.url", "amount"}
_MORE: Final[dict[str, frozenset[str]]] = {
    "canceled": OUR_SENTENCES,
    "refunded": OUR_SENTENCES,
    "fulfilled": frozenset({"tracking.numbers"}),
}


class MissingValue(ValueError):
    """A placeholder without a value and without a fallback; the text must not be sent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No value for {{{{ {name} }}}}.")
        self.name = name


def unknown(text: str) -> list[str]:
    """Placeholders of a text that are not in the allow-list."""
    return [name for name in dict.fromkeys(_names(text)) if name not in KNOWN]


def used(text: str) -> set[str]:
    return set(_names(text))


def _names(text: str) -> list[str]:
    return [match.group(1).strip() for match in _PLACEHOLDER.finditer(text)]


def available(event_kind: str) -> frozenset[str]:
    """What a text may speak of, by what happened."""
    if event_kind.startswith("checkout_"):
        return _OF_CHECKOUTS
    return _OF_ORDERS | _MORE.get(event_kind, frozenset())


def base(language: str) -> str:
    """The language without its country: pt of pt-BR and pt_br."""
    return language.replace("_", "-").split("-")[0].lower()


def has_catalog(language: str) -> bool:
    """Whether sentences of ours exist in it."""
    return base(language) in {base(code) for code, _name in settings.LANGUAGES}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace every placeholder. Raises MissingValue for one that has neither value nor fallback.

    Values are inserted as they are and never looked at again: a customer's name that reads
    like a placeholder stays text.
    """

    def value(match: re.Match[str]) -> str:
        name, fallback = match.group(1).strip(), (match.group(2) or "").strip()
        found = values.get(name, "") if name in KNOWN else ""
        if found or name in _MAY_BE_EMPTY:
            return found
        if fallback:
            return fallback
        raise MissingValue(name)

    filled = _PLACEHOLDER.sub(value, text)
    return "\n".join(line.rstrip(" \t") for line in filled.split("\n"))
