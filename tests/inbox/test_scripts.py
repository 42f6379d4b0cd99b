"""What the scripts do in one place only, and what none of them may do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "inbox" / "static" / "inbox" / "js"
ALL: Final = sorted(
    path
    for app in ("inbox", "orders", "shopify_sync")
    for path in (ROOT / app / "static").rglob("*.js")
    if path.parent.name != "vendor"
)
# What makes elements or code of a text. Reading `outerHTML` doesn't.
PARSERS: Final = re.compile(
    r"(?:inner|outer)HTML\s*\+?=(?!=)|insertAdjacentHTML|DOMParser|createContextualFragment"
    r"|document\.write|setHTML|srcdoc|htmx\.swap\(|\beval\(|new Function|set(?:Timeout|Interval)\(\s*['\"`]"
)
# Each of these takes a whole answer of our own server, which has escaped what is in it.
PARSED: Final = {
    "navigate.js: htmx.swap(": 2,
    "policy.js: DOMParser": 1,
    "session.js: innerHTML =": 1,
}


def test_ids_are_made_in_one_place() -> None:
    """IDs are unguessable, even without the crypto functions that pages without TLS lack."""
    makers = [file.name for file in SCRIPTS.glob("*.js") if "getRandomValues" in file.read_text()]
    assert makers == ["ids.js"]
    assert not any("crypto.randomUUID(" in file.read_text() for file in SCRIPTS.glob("*.js"))


def parsed(files: Iterable[Path]) -> Counter[str]:
    return Counter(
        f"{file.name}: {found}" for file in files for found in PARSERS.findall(file.read_text())
    )


def test_scripts_insert_text_as_text() -> None:
    assert len(ALL) > 20
    assert parsed(ALL) == PARSED


@pytest.mark.parametrize(
    "line",
    [
        "row.innerHTML = name;",
        "row.outerHTML += name;",
        "row.insertAdjacentHTML('beforeend', name);",
        "frame.srcdoc = text;",
        "setTimeout('go(' + name + ')', 10);",
        "document.write(name);",
        "row.setHTMLUnsafe(name);",
    ],
)
def test_text_that_is_parsed_would_be_found(line: str, tmp_path: Path) -> None:
    path = tmp_path / "new.js"
    path.write_text(f"if (row.innerHTML === name) sent.set(row, row.outerHTML);\n{line}\n")
    assert parsed([path]).total() == 1
