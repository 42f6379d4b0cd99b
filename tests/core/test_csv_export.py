"""Exported cells are shown by a spreadsheet, never executed, whatever the customer wrote."""

from __future__ import annotations

import ast
import csv
import io
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import csv_export

ROOT = Path(__file__).resolve().parents[2]
STARTS = "=+-@|%＝＋－＠﹢﹣＠｜％⁺⁻"
HIDERS = (
    " \t\r\n\x00\x01\u00a0\u00ad\u034f\u115f\u180e\u200b\u200e\u202e\u2028\u2060\u2800\u3000"
    "\u3164\ufe0f\ufeff\uffa0\U000e0041"
)


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet might: the first character it doesn't skip, in its plain form."""
    seen = [c for c in cell if c not in HIDERS and unicodedata.category(c)[0] not in "ZC"]
    return bool(seen) and unicodedata.normalize("NFKC", seen[0])[:1] in {*"=+-@|%"}


def read_back(lines: Iterator[str]) -> Iterator[str]:
    """Every cell, as programs with each of the usual separators split the file."""
    text = "".join(lines).removeprefix("\ufeff").replace("\x00", "")
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            yield from row


def executed(cell: Any) -> list[str]:
    return [c for c in read_back(csv_export.rows(["a", "b"], [["x", cell]])) if is_formula(c)]


@pytest.mark.parametrize("start", STARTS)
def test_a_cell_cannot_be_a_formula(start: str) -> None:
    hiders = ["", *HIDERS, "\u200b\u3000", ' "', ";", "x;", "x\t\u200b", 'x\n"']
    assert [hider for hider in hiders if executed(f"{hider}{start}1+1")] == []


@given(st.text(alphabet=STARTS + HIDERS + "\"';,1a", max_size=12))
def test_no_mixture_of_these_characters_becomes_a_formula(cell: str) -> None:
    assert executed(cell) == []


@pytest.mark.parametrize(
    "weaker",
    [
        str,
        lambda cell: f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell,
        lambda cell: f"'{cell}" if cell.strip().startswith(("=", "+", "-", "@")) else cell,
    ],
    ids=["nothing", "first character", "stripped"],
)
def test_weaker_guards_are_noticed(
    weaker: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "harmless", weaker)
    assert executed("\u200b=1+1")
    assert executed("x;=1+1")


@pytest.mark.parametrize("cell", ["\t1", "\r1", "\n1", "\x001"])
def test_a_cell_that_starts_with_a_control_character_is_text(cell: str) -> None:
    assert csv_export.harmless(cell).startswith("'")


def test_ordinary_cells_stay() -> None:
    cells = ("a=b", "12.50", None, 3, "", "Müller; Söhne", "a-b", Decimal("-5.00"), -3)
    kept = ["a=b", "12.50", "", "3", "", "Müller; Söhne", "a-b", "-5.00", "-3"]
    assert [csv_export.harmless(cell) for cell in cells] == kept


def writers_of_csv(source: str) -> list[int]:
    """Lines that write CSV by themselves, or import what can."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(n.name == "csv" for n in names):
                found.append(node.lineno)
            case ast.ImportFrom(module="csv"):
                found.append(node.lineno)
    return found


def test_every_export_goes_through_it() -> None:
    apps = ("core", "inbox", "orders", "settings", "shopify_sync")
    files = [file for app in apps for file in (ROOT / app).rglob("*.py")]
    assert len(files) > 100
    found = [str(file.relative_to(ROOT)) for file in files if writers_of_csv(file.read_text())]
    assert found == ["core/csv_export.py"]


@pytest.mark.parametrize("source", ["import csv", "from csv import writer", "import io, csv as c"])
def test_another_writer_would_be_found(source: str) -> None:
    assert writers_of_csv(source)
