"""CSV that spreadsheet programs show but don't execute."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

# Excel, LibreOffice and Google Sheets take a cell that starts with one of these for a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    def write(self, line: str) -> str:
        return line


def rows(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file, every text cell made harmless."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    # A byte order mark, so that Excel reads it as UTF-8.
    yield "\ufeff"
    yield writer.writerow(header)
    for line in lines:
        yield writer.writerow([harmless(cell) for cell in line])


def harmless(cell: Any) -> str:
    """Return the cell as text, with an apostrophe in front of anything that would start a formula."""
    text = "" if cell is None else str(cell)
    if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text
