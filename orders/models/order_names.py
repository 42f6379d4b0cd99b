"""An order's name as people write it: with or without the shop's prefix and suffix. Pure.

Shopify names an order by a number between a prefix and a suffix ("#1043", "EN1043-DE").
Customers and agents leave out either, write it small, or put a # before it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]+")
KEY_LENGTH: Final = 100
NUMBER_LENGTH: Final = 20


def key(name: str) -> str:
    """What two spellings of a name have in common: "#EN1043-DE" and "en1043-de"."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(plain.split()).lstrip("#")[:KEY_LENGTH]


def number(name: str) -> str:
    """The number in a name, its longest run of digits (the first of them); "" without digits."""
    runs = _DIGITS.findall(key(name))
    longest = max(runs, key=len, default="")
    return (longest.lstrip("0") or longest[:1])[:NUMBER_LENGTH]


def may_mean(words: str, name: str) -> bool:
    """Whether somebody who writes `words` may mean the order of this name: the whole name, or
    its number with what stands directly around it."""
    said, whole = key(words), key(name)
    if not said or said == whole:
        return bool(said)
    return number(said) == number(name) != "" and said in whole
