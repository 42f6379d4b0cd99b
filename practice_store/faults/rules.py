"""Fault rules: how to make the store misbehave. A rule matches requests and picks a phase."""

from __future__ import annotations

import random
import threading
from typing import Final, Literal

import msgspec

from core.json_types import JsonObject

Phase = Literal[
    "drop_before",
    "500_before",
    "throttle",
    "commit_then_drop",
    "commit_then_500",
    "commit_late",
    "hang",
    "truncate",
    "html200",
    "malformed_json",
    "null_data",
    "401",
    "402",
    "403",
    "423",
    "429",
    "430",
    "stale_read",
    "bulk_fail",
    "400",
    "404",
    "408",
    "409",
    "422",
    "commit_then_400",
    "commit_then_404",
    "commit_then_408",
    "commit_then_409",
    "commit_then_422",
    "error_before",
    "error_after",
    "null_payload_before",
    "null_payload",
    "no_user_errors_before",
    "no_user_errors",
    "user_errors_and_result",
    "null_order",
]
WebhookPhase = Literal["duplicate", "reorder", "delay", "lose"]
COMMITS: Final = frozenset(
    {
        "commit_then_drop",
        "commit_then_500",
        "truncate",
        "html200",
        "malformed_json",
        "null_data",
        "commit_then_400",
        "commit_then_404",
        "commit_then_408",
        "commit_then_409",
        "commit_then_422",
        "error_after",
        "null_payload",
        "no_user_errors",
        "user_errors_and_result",
        "null_order",
    }
)
LATE_S: Final = 3.0
# These aren't API requests, so "*" doesn't match them.
_NAMED_ONLY: Final = frozenset({("webhook",), ("bulk",), ("bulk_file",), ("token",)})


class Rule(msgspec.Struct, kw_only=True):
    """A fault, and the requests it applies to.

    `operation`: a root field; "*" for all of them; or, only by name, "webhook", "bulk" (the run of
    a bulk operation), "bulk_file" (its download) or "token". Without `nth`, `every` or
    `probability` the rule always fires; `times` limits how often. `lag`: how many changes a
    stale_read is behind, at most as many as are kept. `codes` and `with_null`: the errors of
    error_before and error_after, and whether a null `data` comes with them. `late_s`: after how
    many seconds of the store's clock a commit_late takes effect.
    """

    operation: str = "*"
    phase: Phase | WebhookPhase
    shop: str = ""
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    seconds: float = 5.0
    late_s: float = LATE_S
    lag: int = 1
    codes: list[str] = msgspec.field(default_factory=lambda: ["TIMEOUT"])
    with_null: bool = False
    seen: int = 0
    hits: int = 0


class Faults:
    """The rules in force, tried in order. Thread-safe."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._random = random.Random(1)  # noqa: S311  faults, not secrets

    def set(self, rules: list[JsonObject]) -> None:
        """Replace the rules. Raises msgspec.ValidationError for a malformed rule."""
        converted = msgspec.convert(rules, list[Rule])
        with self._lock:
            self._rules = converted

    def pick(self, operations: tuple[str, ...], shop: str) -> Rule | None:
        """Return the first rule that matches and fires, and count it; None if none does."""
        with self._lock:
            for rule in self._rules:
                if rule.operation != "*" and rule.operation not in operations:
                    continue
                if rule.operation == "*" and operations[:1] in _NAMED_ONLY:
                    continue
                if rule.shop and rule.shop != shop:
                    continue
                if rule.times is not None and rule.hits >= rule.times:
                    continue
                rule.seen += 1
                if self._fires(rule):
                    rule.hits += 1
                    return rule
        return None

    def keeps_history(self) -> bool:
        """Return whether a rule may ask for a shop's earlier state."""
        with self._lock:
            return any(rule.phase == "stale_read" for rule in self._rules)

    def _fires(self, rule: Rule) -> bool:
        if rule.nth is not None:
            return rule.seen == rule.nth
        if rule.every is not None:
            return rule.seen % rule.every == 0
        return rule.probability is None or self._random.random() < rule.probability
