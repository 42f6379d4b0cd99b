"""Match order names as people write them, with or without the shop's prefix and suffix. Pure.

Shopify names an order with a number between a prefix and a suffix ("#1043", "EN1043-DE").
Customers and agents leave out either, write it in lower case, or put a # in front.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]+")
KEY_LENGTH: Final = 100
NUMBER_LENGTH: Final = 20


def key(name: str) -> str:
    """Normalize a name: "#EN1043-DE" and "en1043-de" have the same key."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(plain.split()).lstrip("#")[:KEY_LENGTH]


def number(name: str) -> str:
    """The longest run of digits in a name (the first on a tie), without leading zeros; else ""."""
    runs = _DIGITS.findall(key(name))
    longest = max(runs, key=len, default="")
    return (longest.lstrip("0") or longest[:1])[:NUMBER_LENGTH]


def may_mean(text: str, name: str) -> bool:
    """Whether `text` may refer to the order with this name.

    It has to be the whole name, or a part of the name that includes its number.
    """
    written, whole = key(text), key(name)
    if not written or written == whole:
        return bool(written)
    return number(written) == number(name) != "" and written in whole
