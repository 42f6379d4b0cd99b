"""No regular expression takes more than linear time on any text."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.test import Client

import core
import inbox
import orders
import settings as our_settings
import shopify_sync
from core.observability import masking
from inbox.texts import placeholders

SHORT: Final = 500
TIMES: Final = 10
# Of work that grows with the length it is 10, of the square's 100: far from both.
AT_MOST: Final = 40
# Less than this says nothing about growth.
NOISE_S: Final = 0.002
# These read files of ours, at the start or in development.
OURS: Final = (
    "shopify_sync.api.documents",
    "inbox.design.views",
    "practice_store",
    "practice_store.schema",
    "migrations",
)
PUMPS: Final = (
    "a",
    "0",
    " ",
    ".",
    "-",
    "_",
    "%",
    "/",
    "\\",
    '"',
    "{",
    "{{",
    "{{a",
    "{{ ",
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
    "shpat_",
    "axk_a",
    "axk_a_",
    "whsec_",
    "gAAAA",
    "a_id",
    "total_",
    "#1",
    "gid://shopify/Order/",
    '"order_id":',
    "1.",
    "2026-01-01T00:00:00.",
)
HEADS: Final = (
    "",
    "hmac",
    "hmac=",
    "hmac,",
    "phone:1",
    "://:",
    "a@",
    "{{",
    "{{|",
    "axk_a",
    "Token",
)
# After it nothing that a pattern looks for, so that it gives up and goes back.
TAIL: Final = "\x00"


def patterns() -> dict[str, re.Pattern[str]]:
    """Every compiled pattern of the product's modules, by where it stands."""
    found: dict[str, re.Pattern[str]] = {}
    for package in (core, inbox, orders, shopify_sync, our_settings):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if any(name in module.name for name in (*OURS, ".management", ".production", ".dev")):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                for number, pattern in enumerate(_inside(value)):
                    if isinstance(pattern.pattern, str):
                        found.setdefault(f"{module.name}.{name}.{number}", pattern)
    return found


def _inside(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _inside(part)


def seconds(pattern: re.Pattern[str], text: str, *, runs: int = 3) -> float:
    """The quickest of some runs, in processor time: what else the machine does is left out."""
    best = float("inf")
    for _ in range(runs):
        begun = time.thread_time()
        pattern.sub("", text)
        pattern.fullmatch(text)
        best = min(best, time.thread_time() - begun)
    return best


def growth(pattern: re.Pattern[str], head: str, pump: str) -> float:
    """How much more work ten times the text is; 0: too little to tell."""
    short, long = (f"{head}{pump * (n // len(pump))}{TAIL}" for n in (SHORT, SHORT * TIMES))
    long_s = seconds(pattern, long, runs=1)
    if long_s < NOISE_S:
        return 0.0
    return min(long_s, seconds(pattern, long)) / max(seconds(pattern, short), NOISE_S / TIMES)


FOUND: Final = patterns()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FOUND))
def test_matching_time_grows_linearly_with_the_text(name: str) -> None:
    heads = (
        HEADS
        if name.startswith(("core.observability.masking", "inbox.texts.placeholders"))
        else ("",)
    )
    worst = max((growth(FOUND[name], head, pump), head, pump) for head in heads for pump in PUMPS)
    assert worst[0] < AT_MOST, worst


def test_every_shape_of_the_mask_is_among_them() -> None:
    assert len([n for n in FOUND if n.startswith("core.observability.masking")]) >= 2 + len(
        masking._SHAPES
    )
    assert "inbox.texts.placeholders._PLACEHOLDER.0" in FOUND


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "pump"),
    [(r"[A-Za-z0-9._%+\-]+(?:@|%40)[A-Za-z0-9\-]+", "a"), (r"[ \t]+(?=\n|\Z)", " ")],
)
def test_the_slow_pattern_of_before_fails_the_check(pattern: str, pump: str) -> None:
    """The control: these are two that were ours."""
    assert growth(re.compile(pattern), "", pump) > AT_MOST


@pytest.mark.django_db
def test_a_long_address_does_not_hold_up_the_server() -> None:
    """What one anonymous request costs, through the whole of Django and its log."""

    def cost_s(length: int) -> float:
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            assert Client().get("/" + "a" * length).status_code in {302, 404}
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


def test_placeholders_mean_what_they_meant() -> None:
    text = "Hello {{ customer.first_name | there }},  \norder {{order.number}} of\t\n{{ amount|1 }}"
    assert placeholders.used(text) == {"customer.first_name", "order.number", "amount"}
    assert placeholders.fill(text, {"order.number": "#1"}) == "Hello there,\norder #1 of\n1"
