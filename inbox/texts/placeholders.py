"""`{{ order.number }}` and friends in texts that users write.

Our own replacement over an allow-list: a template engine would expose settings and methods.
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
        "refund_reference",
        "store.name",
    }
)
_PLACEHOLDER: Final = re.compile(r"\{\{([^{}|]*)(?:\|([^{}]*))?\}\}")
# Sentences of our own, which exist only in the languages we have translations for.
OUR_SENTENCES: Final = frozenset({"refund_sentence", "refund_how", "refund_reference"})
# May be empty without being missing: a cancellation without a refund has no refund sentence.
_MAY_BE_EMPTY: Final = OUR_SENTENCES


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
    """Return a text's placeholders that are not in the allow-list, in order."""
    return [name for name in dict.fromkeys(_names(text)) if name not in KNOWN]


def used(text: str) -> set[str]:
    """Return the names of a text's placeholders, known or not."""
    return set(_names(text))


def _names(text: str) -> list[str]:
    return [match.group(1).strip() for match in _PLACEHOLDER.finditer(text)]


def available(event_kind: str) -> frozenset[str]:
    """Return the placeholders that have a value for this kind of event."""
    if event_kind.startswith("checkout_"):
        return _OF_CHECKOUTS
    return _OF_ORDERS | _MORE.get(event_kind, frozenset())


def base(language: str) -> str:
    """Return the language without its country: pt for pt-BR and pt_br."""
    return language.replace("_", "-").split("-")[0].lower()


def has_catalog(language: str) -> bool:
    """Return whether our own sentences exist in this language."""
    return base(language) in {base(code) for code, _name in settings.LANGUAGES}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace every placeholder. Raises MissingValue for one that has neither value nor fallback.

    Values are inserted verbatim and never expanded again: a customer's name that looks like a
    placeholder stays text.
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
