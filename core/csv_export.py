"""CSV that spreadsheet software shows and does not execute."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

# A cell that begins so is a formula to Excel, LibreOffice and Google Sheets.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    def write(self, line: str) -> str:
        return line


def rows(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a CSV file, one at a time, every cell of text made harmless."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    # A byte order mark, so that Excel reads it as UTF-8.
    yield "\ufeff"
    yield writer.writerow(header)
    for line in lines:
        yield writer.writerow([harmless(cell) for cell in line])


def harmless(cell: Any) -> str:
    """Text as it is, or with an apostrophe before what would begin a formula."""
    text = "" if cell is None else str(cell)
    if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text
