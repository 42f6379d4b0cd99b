"""Every page, search, admin list, metric and sweep, at 10,000 rows and at many more.

`./run bench scale --rows 1000000`. One row per path: database milliseconds at the larger size, beside
those at the smaller one; `growth` is their ratio. On DATABASE_URL's PostgreSQL if it is set, else on a
private one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.harness import databases
from bench.harness.result import Result

SMALL: Final = 10_000
ROWS: Final = 100_000
_MESSAGES: Final = 5
_ROUNDS: Final = 5
# Faster than this is as good as instant, and a ratio of two such figures says nothing.
_FLOOR_MS: Final = 0.5


@dataclass(frozen=True)
class Grown(Result):
    """A path at both sizes: `ours` and `baseline` are database milliseconds."""

    total_ms: float = 0.0
    queries: int = 0
    growth: float = 0.0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of one path at one size."""

    database_ms: float
    total_ms: float
    queries: int


def run(rows: int = ROWS) -> list[Result]:
    """Measure both sizes, each in a database and a process of its own."""
    if url := os.environ.get("DATABASE_URL"):
        return _compare(url, rows)
    with databases.own_postgresql() as private:
        return _compare(private, rows)


def _compare(url: str, rows: int) -> list[Result]:
    small, large = _in_a_process(url, SMALL), _in_a_process(url, rows)
    return [
        Grown(
            name=f"scale_{name}",
            unit="ms",
            ours=found.database_ms,
            baseline=max(small[name].database_ms, 0.01),
            against=f"{SMALL} rows",
            total_ms=found.total_ms,
            queries=found.queries,
            growth=round(
                max(found.database_ms, _FLOOR_MS) / max(small[name].database_ms, _FLOOR_MS), 2
            ),
            rows=rows,
        )
        for name, found in large.items()
        if name in small
    ]


def _in_a_process(url: str, rows: int) -> dict[str, Measured]:
    done = subprocess.run(
        [sys.executable, "-c", f"from bench.pages import scale; scale.child({rows})"],
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: Measured(*figures) for name, figures in found.items()}


def child(rows: int) -> None:
    """Build and measure one size, and print the figures as one line of JSON."""
    with databases.test_database():
        print(json.dumps(_measure(rows)))


def _measure(rows: int) -> dict[str, tuple[float, float, int]]:
    from django.contrib.auth.models import Group, User
    from django.test.utils import override_settings

    from inbox.models import Channel
    from orders.models import Store
    from tests.support.database import many_rows
    from tests.support.pages import busy_paths

    boss = User.objects.create_superuser("boss")
    boss.groups.add(Group.objects.get_or_create(name="supervisors")[0])
    store = Store.objects.create(domain="demo.myshopify.com", country="DE", currency="EUR")
    channel = Channel.objects.create(name="Messenger", proves_addresses=True)
    many_rows.build(store, channel, agent_id=boss.pk, count=rows, messages=_MESSAGES)
    with override_settings(SECOND_FACTOR_REQUIRED=False):
        paths = busy_paths.paths(boss, rows - rows // 100)
        return {name: _timed(path) for name, path in paths.items()}


def _timed(path: Callable[[], object]) -> tuple[float, float, int]:
    """Return the medians of a few rounds, after one to warm up: database ms, all ms, queries."""
    from django.db import connection

    figures: list[tuple[float, float, int]] = []
    for _round in range(_ROUNDS + 1):
        spent: list[float] = []

        def watch(execute: Callable[..., Any], *asked: Any) -> Any:
            begun = time.perf_counter()
            try:
                return execute(*asked)
            finally:
                spent.append(time.perf_counter() - begun)  # noqa: B023  of this round

        begun = time.perf_counter()
        with connection.execute_wrapper(watch):
            path()
        figures.append((sum(spent) * 1000, (time.perf_counter() - begun) * 1000, len(spent)))
    database, total, queries = (statistics.median(part) for part in zip(*figures[1:], strict=True))
    return round(database, 3), round(total, 3), int(queries)
