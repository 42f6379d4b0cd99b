"""The GraphQL documents: one operation per file below graphql/, named after the file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / "graphql"
_COMMENT: Final = re.compile(r"^\s*#.*\n", re.MULTILINE)
_SPREAD: Final = re.compile(r"\.\.\.\s*([A-Z]\w+)")


def names() -> tuple[str, ...]:
    """Return the names of all operations, without fragments (a leading underscore)."""
    return tuple(sorted(name for name in _files() if not name.startswith("_")))


@cache
def load(name: str) -> str:
    """Return the text to send, including the fragments it spreads; comments are removed.

    Raises KeyError if no document has this name.
    """
    text = _text(name)
    found: dict[str, str] = {}
    _collect(text, found)
    return "\n".join([text, *found.values()])


def _collect(text: str, found: dict[str, str]) -> None:
    for fragment in _SPREAD.findall(text):
        if fragment not in found and f"_{fragment}" in _files():
            found[fragment] = _text(f"_{fragment}")
            _collect(found[fragment], found)


def _text(name: str) -> str:
    return _COMMENT.sub("", _files()[name].read_text(encoding="utf-8")).strip()


@cache
def _files() -> dict[str, Path]:
    """Return each document's file by its name; the folders are for people."""
    return {path.stem: path for path in FOLDER.rglob("*.graphql")}
