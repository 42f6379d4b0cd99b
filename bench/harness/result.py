"""One figure beside its baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal


@dataclass(frozen=True)
class Result:
    """A figure beside its baseline; `against` says what the baseline is."""

    name: str
    unit: str
    ours: float
    baseline: float
    against: str
    better: Literal["lower", "higher"] = "lower"


def times_ms(work: Callable[[], object], rounds: int) -> list[float]:
    """Return how long each round took, after a tenth as many warm-up rounds."""
    for _ in range(max(1, rounds // 10)):
        work()
    found = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        found.append((perf_counter() - start) * 1000)
    return found


def interleaved(contenders: dict[str, Callable[[int], float]], rounds: int) -> dict[str, float]:
    """Return each contender's median over rounds in which all take turns.

    So a machine that slows down slows them all. Each gets the number of its round, 0 for the
    warm-up.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, work in contenders.items():
            figure = work(turn)
            if turn:
                found[name].append(figure)
    return {name: statistics.median(figures) for name, figures in found.items()}


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]
