"""CSV that spreadsheet programs show but don't execute.

Kept here rather than taken from a library: those we know look at the first character only, and
miss the ones that a spreadsheet skips or converts before it looks for a formula.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

# Excel, LibreOffice and Google Sheets take a cell that starts with one of these for a formula, a
# DDE command or a macro.
_FORMULA: Final = frozenset("=+-@|%")
# Characters that move what follows to a cell or line of its own where the file is opened with
# another separator. A German Excel splits at semicolons and then ignores our quotes.
_SEPARATORS: Final = re.compile(r"(?<=[;\t\r\n])")
_LINE_STARTS: Final = ("\t", "\r", "\n", "\x00")
# Letters and marks that show nothing, besides those whose category says so (_is_blank).
_BLANK_LETTERS: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))))
)


class _Echo:
    def write(self, line: str) -> str:
        return line


def rows(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file, every text cell made harmless."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    # A byte order mark, so that Excel reads it as UTF-8.
    yield "\ufeff"
    yield writer.writerow([harmless(name) for name in header])
    for line in lines:
        yield writer.writerow([harmless(cell) for cell in line])


def harmless(cell: object) -> str:
    """Return the cell as text, with an apostrophe in front of anything that would start a formula.

    Numbers stay numbers, negative ones too; text that only looks like a number doesn't.
    """
    if isinstance(cell, int | float | Decimal):
        return str(cell)
    text = "" if cell is None else str(cell)
    lead = "'" if text.startswith(_LINE_STARTS) else ""
    return lead + "".join(map(_defused, _SEPARATORS.split(text)))


def _defused(part: str) -> str:
    return f"'{part}" if _starts_formula(part) else part


def _starts_formula(text: str) -> bool:
    """Return whether the first visible character, full-width or not, starts a formula."""
    for character in text:
        if _is_blank(character):
            continue
        # NFKC turns full-width, small and superscript variants into the character they stand for.
        return unicodedata.normalize("NFKC", character)[:1] in _FORMULA
    return False


def _is_blank(character: str) -> bool:
    # Spaces and separators (Z), and controls, formatting and unassigned characters (C). A quote
    # right behind a separator is taken for the beginning of a quoted cell.
    return (
        character == '"'
        or unicodedata.category(character)[0] in "ZC"
        or character in _BLANK_LETTERS
    )
