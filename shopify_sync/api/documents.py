"""The GraphQL documents: one operation per file under graphql/, named after the file."""

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
    return tuple(sorted(p.stem for p in FOLDER.glob("[!_]*.graphql")))


@cache
def load(name: str) -> str:
    """Return the text to send, including the fragments it spreads; comments are removed.

    Raises FileNotFoundError.
    """
    text = _text(name)
    found: dict[str, str] = {}
    _collect(text, found)
    return "\n".join([text, *found.values()])


def _collect(text: str, found: dict[str, str]) -> None:
    for fragment in _SPREAD.findall(text):
        path = FOLDER / f"_{fragment}.graphql"
        if fragment not in found and path.exists():
            found[fragment] = _text(f"_{fragment}")
            _collect(found[fragment], found)


def _text(name: str) -> str:
    return _COMMENT.sub("", (FOLDER / f"{name}.graphql").read_text(encoding="utf-8")).strip()
