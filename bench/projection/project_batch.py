"""Writing many orders read from Shopify together: orders per second, one process.

Ours is import_snapshots, called as a backfill does, in its batches of 250: first new orders, then
the same orders an hour newer. The baselines are bulk_create(update_conflicts) table by table for
the same batch, the same for one order at a time, and the database's own limit: prepared rows by
COPY (PostgreSQL) or one executemany per table (SQLite). The budget is 2x bulk_create; the stretch
goal is 0.8x the limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.harness.databases import on_both
from bench.harness.result import Result, interleaved

if TYPE_CHECKING:
    from django.db.models import Model

    from orders.models import Store
    from orders.projection.events import Row
    from orders.snapshot import OrderSnapshot

    Write = Callable[[Store, list[OrderSnapshot]], None]
    Tables = dict[type[Model], list[Row]]

BATCH = 250
BATCHES = int(os.environ.get("BENCH_PROJECT_BATCHES", "2"))
ROUNDS = 3


def run() -> list[Result]:
    """Measure on both databases."""
    return on_both("bench.projection.project_batch")


def measure() -> list[Result]:
    """Measure on the database of this process."""
    from django.db import connection

    from bench.projection import rows_by_orm

    def one_by_one(store: Store, batch: list[OrderSnapshot]) -> None:
        for one in batch[:50]:
            rows_by_orm.bulk_create(store, [one])

    contenders: dict[str, tuple[Write, float]] = {
        "ours": (_import, 1),
        "bulk_create in the same batches": (rows_by_orm.bulk_create, 1),
        "bulk_create an order": (one_by_one, BATCH / 50),
        "finished rows": (_copy, 1),
    }
    turns, again = {}, {}
    for name, (write, times) in contenders.items():
        turns[name], again[name] = _turns(name, write, times)
    results = []
    for state, found in (
        ("new", interleaved(turns, ROUNDS)),
        ("newer", interleaved(again, ROUNDS)),
    ):
        results += [
            Result(
                f"project_batch, {state}",
                "orders/s",
                found["ours"],
                found[name],
                f"{name}, on {connection.vendor}",
                "higher",
            )
            for name in contenders
            if name != "ours" and (state, name) != ("newer", "finished rows")
        ]
    return results


def _turns(
    name: str, write: Write, times: float
) -> tuple[Callable[[int], float], Callable[[int], float]]:
    """Return a contender's round of new orders and its round of the same orders, newer.

    `times`: how many times larger a batch is than the part of it that the contender writes.
    """
    from bench.harness import sample
    from orders.models import Store

    store = Store.objects.create(domain=f"{name.replace(' ', '-')}.myshopify.com")
    snapshots = sample.snapshots(BATCH * BATCHES * (ROUNDS + 1))

    def turn(number: int, orders: list[OrderSnapshot]) -> float:
        taken = orders[number * BATCH * BATCHES :]
        start = time.perf_counter()
        for batch in range(BATCHES):
            write(store, taken[batch * BATCH : (batch + 1) * BATCH])
        return BATCH * BATCHES / times / (time.perf_counter() - start)

    after = [sample.changed(one) for one in snapshots]
    if write is _copy:
        # Prepared before the clock starts, and written only once.
        prepared = _finished(store, snapshots)
        return (lambda number: _copied(prepared[number])), (lambda number: 1.0)
    return (lambda number: turn(number, snapshots)), (lambda number: turn(number, after))


def _import(store: Store, batch: list[OrderSnapshot]) -> None:
    from django.db import transaction
    from django.utils import timezone

    from orders.services import import_snapshots

    with transaction.atomic():
        done = import_snapshots(store, batch, read_started_at=timezone.now())
    assert done.written == len(batch)


def _copy(store: Store, batch: list[OrderSnapshot]) -> None:
    """Placeholder for the database's limit; `_copied` does the work."""


def _finished(store: Store, snapshots: list[OrderSnapshot]) -> list[list[Tables]]:
    """Return the finished rows by round, batch and table.

    Each round uses order IDs of its own, far from those the other contenders got, because SQLite
    continues counting from the largest.
    """
    from django.utils import timezone

    from bench.projection.rows_by_orm import PARTS
    from orders.models import Order, OrderEvent, OrderTracking
    from orders.projection import (
        columns,
    )
    from orders.projection import (
        events as history,
    )
    from orders.snapshot import encode

    rounds, now = [], timezone.now()
    for turn in range(ROUNDS + 1):
        batches = []
        numbered = [(10**9 * (turn + 1) + number, one) for number, one in enumerate(snapshots)]
        for batch in range(BATCHES):
            start = (turn * BATCHES + batch) * BATCH
            pairs = numbered[start : start + BATCH]
            orders = [
                {"id": pk, "store_id": store.pk, "gid": one.gid}
                | columns.order_columns(one, encode(one))
                for pk, one in pairs
            ]
            events = [
                row | {"recorded_at": now}
                for pair in pairs
                for row in history.first_events(*pair, connected_at=store.connected_at)
            ]
            tables = {model: [r for p in pairs for r in make(*p)] for model, make in PARTS.items()}
            trackings = [row for pair in pairs for row in columns.trackings(*pair)]
            batches.append(
                {Order: orders} | tables | {OrderTracking: trackings, OrderEvent: events}
            )
        rounds.append(batches)
    return rounds


def _copied(batches: list[Tables]) -> float:
    from django.db import transaction

    from core.database.sql import insert

    start = time.perf_counter()
    for tables in batches:
        with transaction.atomic():
            for model, found in tables.items():
                insert(model, found)
    return BATCH * BATCHES / (time.perf_counter() - start)
