"""Base of the fault program's cases, and what they report."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.chaos.installation import Installation

Backend = Literal["sqlite", "postgresql"]
Broker = Literal["redis", "embedded"]


@dataclass(frozen=True, slots=True)
class Run:
    """How one run is to go. `scale` 1 is the size the guarantee is claimed at; a `mutant` is
    the name of the guard that is taken away, "" for none."""

    seed: int
    scale: float = 1.0
    mutant: str = ""

    @property
    def random(self) -> random.Random:
        return random.Random(self.seed)

    def size(self, full: int, *, least: int = 1) -> int:
        return max(least, round(full * self.scale))


@dataclass(slots=True)
class Outcome:
    """`broken`: each violated guarantee as a sentence; empty means that it held. `of` is the
    number of things that could have gone wrong, for a mutant's share of damage."""

    figures: dict[str, int | float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    of: int = 1

    @property
    def damage(self) -> float:
        return len(self.broken) / max(self.of, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test of the program. `mutants`: the guard that is removed → the least share of
    damage its removal must do, or the test proves nothing."""

    id: str
    title: str
    run: Callable[[Installation, Run], Outcome]
    backend: Backend = "sqlite"
    broker: Broker | None = None
    mutants: Mapping[str, float] = field(default_factory=dict)
    mutant_scale: float = 0.1
    # The shop lags, shuffles, cancels and refunds apart, and its bank takes its time.
    is_mean: bool = False
    # Its claim is one of seconds: it runs after the others, and without its control beside it.
    is_timed: bool = False
    # A guess, so that the longest start first.
    takes_s: int = 60
