"""No regular expression takes more than linear time on any text: every pattern, attacked.

The patterns are found, not listed: every call in the source that takes one, and every URL of the
resolver. Each is attacked with texts that are known to hurt and with texts made from the pattern
itself: the way to each of its repeats, then what the repeat takes, over and over, then something
that doesn't fit.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from re import _constants as codes
from re import _parser as parser
from typing import Any, Final

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from core.observability import masking
from inbox.texts import placeholders

ROOT: Final = Path(__file__).resolve().parents[3]
PACKAGES: Final = ("core", "inbox", "orders", "shopify_sync", "settings", "practice_store")
TIMES: Final = 10
# Of the long texts: a cube shows with the first, and would take hours with the last.
LENGTHS: Final = (300, 1_500, 8_000)
# Of work that grows with the length it is 10, of the square's 100.
AT_MOST: Final = 15
# Less than this for the long text says nothing about growth.
NOISE_S: Final = 0.002
# A busy machine can only make a measurement slower: the smallest of some is right.
TRIES: Final = 6
TAKE_A_PATTERN: Final = frozenset(
    {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
)
OTHER_TAKERS: Final = frozenset({"RegexValidator", "re_path", "RegexField"})
# Built from arguments; a sample of what they build.
BUILT: Final = {
    "shopify_sync/personal_data.py": r"(?<!\d)17(?!\d)|(?<!\d)1043(?!\d)|jane@example\.com",
}
PUMPS: Final = (
    "a",
    "0",
    " ",
    ".",
    "-",
    "%",
    "/",
    "\\",
    '"',
    "{",
    "{{",
    "{{a",
    "{{ ",
    "{{a|",
    "[ax:",
    "@",
    "a@",
    "a.",
    "a@a.",
    "a%40",
    "+1",
    "+1 ",
    "://:",
    "hmac",
    "hmac,",
    "hmac ",
    "hmac:",
    "hmac\\",
    "Token ",
    "phone:1 ",
    "\n",
    "\n ",
    "=",
    ",",
    "axt_",
    "abcd:12345:",
    "abcd%3A",
    "abc123-",
    "?code=",
    "&token",
)
# After it nothing that a pattern looks for, so that it gives up and goes back.
TAIL: Final = "\x00"


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the product, parsed, by its path."""
    return {
        str(file.relative_to(ROOT)): ast.parse(file.read_text())
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
    }


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern in the source of the product, and every URL, by where it stands."""
    found: dict[str, re.Pattern[Any]] = {}
    for where, tree in sources().items():
        for line, argument in _arguments(tree):
            found[f"{where}:{line}"] = re.compile(_value(where, argument))
    for number, pattern in enumerate(_urls(get_resolver())):
        found[f"url {number} {pattern.pattern}"] = pattern
    return found


def _arguments(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if _takes_a_pattern(node.func) and node.args:
            yield node.lineno, node.args[0]
        for keyword in node.keywords:
            if (keyword.arg or "").endswith(("__regex", "__iregex")):
                yield node.lineno, keyword.value


def _takes_a_pattern(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in OTHER_TAKERS
    if not isinstance(function, ast.Attribute):
        return False
    if isinstance(function.value, ast.Name) and function.value.id == "re":
        return function.attr in TAKE_A_PATTERN
    return function.attr in OTHER_TAKERS


def _value(where: str, argument: ast.expr) -> Any:
    """What the source's expression is; it may use the constants of its module."""
    if isinstance(argument, ast.Constant):
        return argument.value
    if where in BUILT:
        return BUILT[where]
    module = importlib.import_module(where.removesuffix(".py").replace("/", "."))
    return eval(compile(ast.Expression(argument), where, "eval"), vars(module))  # noqa: S307  our source


def _urls(resolver: URLResolver) -> Iterator[re.Pattern[str]]:
    for entry in resolver.url_patterns:
        yield re.compile(str(entry.pattern.regex.pattern))
        if isinstance(entry, URLResolver):
            yield from _urls(entry)
        else:
            assert isinstance(entry, URLPattern)


def attacks(pattern: re.Pattern[Any]) -> set[tuple[str, str]]:
    """Pairs of a beginning and what follows it again and again, from the pattern's own shape."""
    return set(_repeats(parser.parse(pattern.pattern, pattern.flags), ""))


def _repeats(parsed: Any, head: str) -> Iterator[tuple[str, str]]:
    """Yield the way to each repeat in a parsed pattern, and what that repeat takes."""
    for code, argument in parsed:
        for inner in _bodies(code, argument):
            yield from _repeats(inner, head)
        if code in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
            least, most, body = argument
            if most > 1 and (pump := _sample(body)):
                yield head, pump
                yield "", head + pump
            head += _sample(body) * min(least, 40)
        else:
            head += _sample([(code, argument)])


def _bodies(code: Any, argument: Any) -> list[Any]:
    if code in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
        return [argument[2]]
    if code is codes.SUBPATTERN:
        return [argument[3]]
    if code is codes.ATOMIC_GROUP:
        return [argument]
    if code is codes.BRANCH:
        return list(argument[1])
    return []


def _sample(parsed: Any) -> str:
    """A short text that the parsed pattern takes, as far as that is easy to say."""
    return "".join(_sample_of(code, argument) for code, argument in parsed)


def _sample_of(code: Any, argument: Any) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if code is codes.ANY:
        return "a"
    if code is codes.IN:
        return _one_of(argument)
    if code in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
        least: int = argument[0]
        return _sample(argument[2]) * min(max(least, 0), 40)
    bodies = _bodies(code, argument)
    return _sample(bodies[0]) if bodies else ""


def _one_of(choices: Any) -> str:
    is_negated = choices[0][0] is codes.NEGATE
    shown = "".join(
        "["
        + ("^" if is_negated else "")
        + "".join(_as_class(code, argument) for code, argument in choices)
        + "]"
    )
    fits = re.compile(shown)
    return next((c for c in "a0 .-_/:A\\\"'&+,#x\n" if fits.match(c)), "\u00e4")


def _as_class(code: Any, argument: Any) -> str:
    if code is codes.LITERAL:
        return re.escape(chr(argument))
    if code is codes.RANGE:
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    if code is codes.CATEGORY:
        return {
            codes.CATEGORY_DIGIT: r"\d",
            codes.CATEGORY_NOT_DIGIT: r"\D",
            codes.CATEGORY_SPACE: r"\s",
            codes.CATEGORY_NOT_SPACE: r"\S",
            codes.CATEGORY_WORD: r"\w",
            codes.CATEGORY_NOT_WORD: r"\W",
        }[argument]
    return ""


def seconds(pattern: re.Pattern[Any], text: str) -> float:
    """Processor time of this thread: what else the machine does is left out."""
    given = text.encode() if isinstance(pattern.pattern, bytes) else text
    begun = time.thread_time()
    pattern.sub(b"" if isinstance(given, bytes) else "", given)
    pattern.fullmatch(given)
    return time.thread_time() - begun


def growth(pattern: re.Pattern[Any], head: str, pump: str) -> float:
    """How much more work ten times the text is; 0: too little to tell."""
    for length in LENGTHS:
        short, long = (f"{head}{pump * (n // len(pump))}{TAIL}" for n in (length // TIMES, length))
        if (long_s := seconds(pattern, long)) > NOISE_S:
            return _ratio(pattern, short, long, long_s)
    return 0.0


def _ratio(pattern: re.Pattern[Any], short: str, long: str, long_s: float) -> float:
    for _ in range(TRIES):
        short_s = max(min(seconds(pattern, short) for _ in range(7)), NOISE_S / TIMES / 5)
        if long_s < AT_MOST * short_s:
            break
        long_s = min(long_s, seconds(pattern, long))
    return long_s / short_s if long_s > NOISE_S else 0.0


def worst(pattern: re.Pattern[Any]) -> tuple[float, str, str]:
    own = attacks(pattern)
    if not own:
        return 0.0, "", ""  # It repeats nothing, so that every start ends after some characters.
    tried = {("", pump) for pump in PUMPS} | own
    return max((growth(pattern, head, pump), head, pump) for head, pump in tried)


FOUND: Final = patterns()


def test_matching_time_grows_linearly_with_the_text() -> None:
    """Ten times the text takes about ten times as long, for every pattern."""
    # Many URLs share one; the first place stands for all.
    once = {(pattern.pattern, pattern.flags): name for name, pattern in reversed(FOUND.items())}
    grow = {name: worst(FOUND[name]) for name in once.values()}
    assert {name: found for name, found in grow.items() if found[0] > AT_MOST} == {}


@pytest.mark.parametrize(
    ("pattern", "head", "pump"),
    [
        # Two that were ours, and a cube.
        (r"[A-Za-z0-9._%+\-]+(?:@|%40)[A-Za-z0-9\-]+", "", "a"),
        (r"[ \t]+(?=\n|\Z)", "", " "),
        (r"\{\{\s*([\w.]*)\s*\s*\|", "{{", " "),
    ],
)
def test_the_slow_patterns_of_before_fail_the_check(pattern: str, head: str, pump: str) -> None:
    """The control. Its own shape is enough to find what hurts a pattern."""
    found = re.compile(pattern)
    assert (head, pump) in {("", pump) for pump in PUMPS} | attacks(found)
    assert growth(found, head, pump) > AT_MOST


def test_none_is_missed() -> None:
    """As many as there are in the source, by another way of counting; and all of the resolver's."""
    written = re.compile(r"\bre\.(?:compile|search|match|fullmatch|sub|split|find\w+)\(")
    for where in sources():
        known = {int(name.split(":")[1]) for name in FOUND if name.startswith(f"{where}:")}
        for number, line in enumerate((ROOT / where).read_text().splitlines(), 1):
            assert number in known or not written.search(line), f"{where}:{number}"
    assert len(
        [name for name in FOUND if name.startswith("core/observability/masking")]
    ) >= 1 + len(masking._SHAPES)
    assert any("admin" in name for name in FOUND)
    assert any("<order_id>" in name for name in FOUND)


def test_modules_take_patterns_from_re_alone() -> None:
    """Otherwise the search above would miss some: `from re import compile`, `import regex`."""
    for where, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in {"re", "regex"}, where
            elif isinstance(node, ast.Import):
                for name in node.names:
                    assert name.name != "regex", where
                    assert name.name != "re" or name.asname is None, where


@pytest.mark.parametrize(
    "text",
    ["a" * 30_000, "a." * 15_000, "a%40" * 8_000, "hmac=" + '"' * 30_000, "{{" * 15_000],
)
def test_masking_a_hostile_line_takes_little_longer_than_any(text: str) -> None:
    """The growth says nothing about the factor. Thirty times what an innocent line needs is plenty:
    the old email pattern took thousands of times that."""
    innocent = "The conversation 17 was assigned to bob. " * (len(text) // 41)
    cost = {
        name: min(_mask_s(masking.shortened(given)) for _ in range(5))
        for name, given in (("hostile", text), ("innocent", innocent))
    }
    assert cost["hostile"] < 30 * cost["innocent"]


def _mask_s(text: str) -> float:
    begun = time.thread_time()
    masking.mask(text)
    return time.thread_time() - begun


@pytest.mark.django_db
def test_a_long_address_does_not_hold_up_the_server() -> None:
    """What one anonymous request costs, through the whole of Django and its log."""

    def cost_s(length: int) -> float:
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            assert Client().get("/" + "a" * length).status_code in {302, 404, 414}
            best = min(best, time.thread_time() - begun)
        return best

    assert cost_s(30_000) < AT_MOST * max(cost_s(3_000), NOISE_S)


def test_a_long_text_is_cut_between_words() -> None:
    email = "jane.canary@example.com"
    for padding in range(len(email) + 2):
        text = "a " * ((masking.LONGEST - padding) // 2) + email + " and more" * 2000
        assert "canary" not in masking.mask(masking.shortened(text))
    assert masking.shortened("short") == "short"
    assert len(masking.shortened("x" * 10**6)) < masking.LONGEST + 40


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300 + "canary@example.com",
        "to%40" + "canary@example.com",
        "%40%40canary%40example.com",
        "a@canary@example.com",
        "q=%3Ccanary%40example.com%3E",
    ],
)
def test_no_prefix_hides_an_email_address_from_the_mask(text: str) -> None:
    assert "canary" not in masking.mask(text)


def test_placeholders_mean_what_they_meant() -> None:
    text = "Hello {{ customer.first_name | there }},  \norder {{order.number}} of\t\n{{ amount|1 }}"
    assert placeholders.used(text) == {"customer.first_name", "order.number", "amount"}
    assert placeholders.fill(text, {"order.number": "#1"}) == "Hello there,\norder #1 of\n1"
