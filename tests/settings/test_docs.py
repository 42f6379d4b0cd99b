"""Everything the documentation names exists: tests, files, functions, links and headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
TEST = re.compile(r"`(tests/[\w/]+\.py)?::(test_\w+)(?:\[\w+\])?`")
FILE = re.compile(
    r"`((?:orders|inbox|shopify_sync|core|settings|practice_store|tests|templates|bench)/[\w./-]*)`"
    r"(?: `([\w.]+)`)?(?:, `([\w.]+)`)?"
)
# A helper in passing: `panel/places` is some panel/places.py.
SHORT = re.compile(r"`([a-z_]+)/([a-z_]+)`")
PACKAGES = {path.parent.name for path in ROOT.glob("[!.]*/**/__init__.py")}
LINK = re.compile(r"\]\(([^)#\s]+)?(#[\w-]+)?\)")


def broken_tests(text: str) -> Iterator[str]:
    """A test without a file is one of the file named last."""
    last = ""
    for file, test in TEST.findall(text):
        last = file or last
        path = ROOT / last
        if not last or not path.is_file() or f"def {test}(" not in path.read_text():
            yield f"{last}::{test}"


def broken_files(text: str) -> Iterator[str]:
    for name, *functions in FILE.findall(text):
        path = ROOT / name
        if not path.exists():
            yield name
        elif path.is_file():
            source = path.read_text()
            names = [part for function in functions for part in function.split(".") if part]
            yield from (f"{name} {part}" for part in names if part not in source)


def broken_helpers(text: str) -> Iterator[str]:
    """What else has this shape, such as a webhook's topic, names none of our packages."""
    for package, module in SHORT.findall(text):
        if package in PACKAGES and not (
            [*ROOT.glob(f"*/{package}/{module}.py"), *ROOT.glob(f"{package}/{module}")]
        ):
            yield f"{package}/{module}"


def broken_links(page: Path, text: str) -> Iterator[str]:
    for link, anchor in LINK.findall(text):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        target = page.parent / link if link else page
        if not target.exists():
            yield link
        elif anchor and anchor[1:] not in headings(target.read_text()):
            yield f"{link}{anchor}"


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [
        *broken_tests(text),
        *broken_files(text),
        *broken_helpers(text),
        *broken_links(page, text),
    ]
    assert found == []


def test_what_does_not_exist_is_found() -> None:
    """Negative control."""
    text = (
        "`tests/settings/test_docs.py::test_of_nothing`, `orders/nothing.py`, "
        "`orders/rules.py` `no_such_rule`, `panel/nothing`, `checkouts/create`, [a page](nowhere.md), [a heading](README.md#nowhere)"
    )
    page = ROOT / "README.md"
    assert [
        *broken_tests(text),
        *broken_files(text),
        *broken_helpers(text),
        *broken_links(page, text),
    ] == [
        "tests/settings/test_docs.py::test_of_nothing",
        "orders/nothing.py",
        "orders/rules.py no_such_rule",
        "panel/nothing",
        "nowhere.md",
        "README.md#nowhere",
    ]


# --- Requirements of the ASVS -------------------------------------------------------------------
VERDICTS = ("met", "partly", "not met", "n/a")
REQUIREMENT = re.compile(
    r"^\| (\d+)\.(\d+)\.(\d+)(?:–\1\.\2\.(\d+))? \| [12–]+ \| [^|]+ \| \**([a-z/ ]+)\** \| [^|]+ \|$",
    re.MULTILINE,
)
TOLD = re.compile(r"^\| \[V(\d+) .*?\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
# Of 5.0.0, levels 1 and 2.
REQUIREMENTS = 253


def verdicts(text: str) -> Counter[tuple[str, str]]:
    """How many requirements of each chapter have which verdict; a row may stand for several."""
    found: Counter[tuple[str, str]] = Counter()
    for chapter, _section, first, last, verdict in REQUIREMENT.findall(text):
        found[chapter, verdict] += int(last or first) - int(first) + 1
    return found


def told(text: str) -> Counter[tuple[str, str]]:
    """The same, as the page's first table tells it."""
    return Counter(
        {
            (chapter, verdict): int(number)
            for chapter, *numbers in TOLD.findall(text)
            for verdict, number in zip(VERDICTS, numbers, strict=True)
            if number != "0"
        }
    )


def test_the_requirements_are_all_there_and_counted() -> None:
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert verdicts(text) == told(text)
    assert verdicts(text).total() == REQUIREMENTS


def test_a_changed_verdict_is_noticed() -> None:
    """Negative control."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    other = text.replace("| **partly** |", "| met |", 1)
    assert verdicts(other) != told(other)
    assert verdicts(other).total() == REQUIREMENTS
