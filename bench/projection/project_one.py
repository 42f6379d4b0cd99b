"""Writing a single order read from Shopify: orders per second, one process, one commit each.

Ours is the product's record_snapshot with everything it guarantees (the order's lock, the check
against redactions, versions, events, settlement, browsers notified after commit). The baselines
write the same twelve rows without any of that: fetched and saved one by one, with update_or_create,
and with bulk_create(update_conflicts) per order. "first" is an order's first read, "changed" a
later one that differs. The budget is 2x "saved one by one".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.harness.databases import on_both
from bench.harness.result import Result, interleaved

if TYPE_CHECKING:
    from orders.models import Order
    from orders.snapshot import OrderSnapshot

ORDERS = int(os.environ.get("BENCH_PROJECT_ORDERS", "60"))
ROUNDS = 5


def run() -> list[Result]:
    """Measure on both databases."""
    return on_both("bench.projection.project_one")


def measure() -> list[Result]:
    """Measure on the database of this process."""
    from django.db import connection

    from bench.projection import rows_by_orm

    contenders: dict[str, Callable[[Any, OrderSnapshot], object]] = {
        "ours": _record,
        "saved one by one": rows_by_orm.save_each,
        "update_or_create": rows_by_orm.update_or_create_each,
        "bulk_create an order": lambda store, one: rows_by_orm.bulk_create(store, [one]),
    }
    results = []
    first: dict[str, Callable[[int], float]] = {}
    later: dict[str, Callable[[int], float]] = {}
    for name, write in contenders.items():
        first[name], later[name] = _turns(name, write)
    for state, turns in (("first", first), ("changed", later)):
        rates = interleaved(turns, ROUNDS)
        results += [
            Result(
                f"project_one, {state}",
                "orders/s",
                rates["ours"],
                rates[name],
                f"{name}, on {connection.vendor}",
                "higher",
            )
            for name in contenders
            if name != "ours"
        ]
    return results


def _turns(
    name: str, write: Callable[[Any, OrderSnapshot], object]
) -> tuple[Callable[[int], float], Callable[[int], float]]:
    """Return a contender's round of first reads and its round of changed orders, in orders per
    second.
    """
    from bench.harness import sample
    from orders.models import Order, Store

    store = Store.objects.create(domain=f"{name.replace(' ', '-')}.myshopify.com")
    snapshots = sample.snapshots(ORDERS * (ROUNDS + 1))
    # As mark_dirty leaves them: known by their ID, never read.
    Order.objects.bulk_create(
        Order(store=store, gid=one.gid, legacy_id=one.legacy_id) for one in snapshots
    )

    def turn(number: int, orders: list[OrderSnapshot]) -> float:
        taken = orders[number * ORDERS : (number + 1) * ORDERS]
        where: dict[str, Any] = {one.gid: store for one in taken}
        if write is _record:
            # The product has already loaded an order that it reads from Shopify, so load it before
            # the clock starts. Locking the row counts for every contender.
            rows = Order.objects.select_related("store").filter(store=store, gid__in=where)
            where = {order.gid: order for order in rows}
        start = time.perf_counter()
        for one in taken:
            write(where[one.gid], one)
        return ORDERS / (time.perf_counter() - start)

    after = [sample.changed(one) for one in snapshots]
    return (lambda number: turn(number, snapshots)), (lambda number: turn(number, after))


def _record(order: Order, snapshot: OrderSnapshot) -> None:
    from django.utils import timezone

    from orders.services import record_snapshot

    now = timezone.now()
    assert record_snapshot(order=order, snapshot=snapshot, seq=0, read_started_at=now, now=now)
