"""One figure beside its baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal


@dataclass(frozen=True)
class Result:
    name: str
    unit: str
    ours: float
    baseline: float
    against: str
    better: Literal["lower", "higher"] = "lower"


def times_ms(work: Callable[[], object], rounds: int) -> list[float]:
    """How long each round took, after a tenth as many unmeasured ones."""
    for _ in range(max(1, rounds // 10)):
        work()
    found = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        found.append((perf_counter() - start) * 1000)
    return found


def interleaved(contenders: dict[str, Callable[[int], float]], rounds: int) -> dict[str, float]:
    """The median of each contender's figures over rounds in which all take their turn, so that
    a machine that slows down slows all of them. Each is told its round, 0 for a warm-up."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, work in contenders.items():
            figure = work(turn)
            if turn:
                found[name].append(figure)
    return {name: statistics.median(figures) for name, figures in found.items()}


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
