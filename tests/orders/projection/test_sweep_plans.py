"""Frequent sweeps read an index instead of the table, by the database's own query plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import queue
from orders.models import Customer, Order, Store
from shopify_sync import tasks
from shopify_sync.reading import (
    backlog,
    customers,
    orders,
)

MANY = 4000


@pytest.fixture
def stores(transactional_db: None) -> Iterator[list[Store]]:
    made = [Store.objects.create(domain=f"s{n}.myshopify.com") for n in range(3)]
    now = timezone.now()
    Order.objects.bulk_create(
        Order(
            store=made[n % 3],
            gid=f"o{n}",
            legacy_id=n,
            dirty_seq=1,
            clean_seq=1,
            document="x" * 400,
            placed_at=now,
        )
        for n in range(MANY)
    )
    Customer.objects.bulk_create(
        Customer(store=made[n % 3], gid=f"c{n}", dirty_seq=1, clean_seq=1, note="x" * 400)
        for n in range(MANY)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield made
    if connection.vendor == "sqlite":
        # Other tests' plans must not rest on what these tables held.
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_schema")


def plans(work: Callable[[], Any], table: str) -> list[str]:
    """How the database goes about each statement on the table that this work asks."""
    with CaptureQueriesContext(connection) as asked:
        work()
    found = []
    for query in asked:
        sql = str(query["sql"])
        if sql.startswith("SELECT") and f'"{table}"' in sql:
            how = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
            with connection.cursor() as cursor:
                cursor.execute(how + sql.replace("%", "%%"))
                found.append("\n".join(" ".join(map(str, row)) for row in cursor.fetchall()))
    return found


def reads_the_table(plan: str, table: str) -> bool:
    if connection.vendor == "sqlite":
        lines = [line for line in plan.splitlines() if "SCAN" in line]
        return any(table in line or " U0" in line for line in lines)
    return f"Seq Scan on {table}" in plan


@pytest.mark.slow
@pytest.mark.parametrize("is_waiting", [False, True])
def test_the_sweep_over_orders_reads_its_index(
    stores: list[Store], is_waiting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(queue, "enqueue_each", lambda _task, ids, **_: rung.extend(ids))
    if is_waiting:
        Order.objects.filter(gid__in=["o1", "o4"]).update(dirty_seq=2)
    found = plans(tasks.sweep_dirty_orders, "orders_order")
    assert rung == ([stores[1].pk] if is_waiting else [])
    assert found
    for plan in found:
        assert "orders_dirty_of_store" in plan, plan
        assert not reads_the_table(plan, "orders_order"), plan


def test_the_sweep_over_customers_reads_its_index(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(queue, "enqueue_each", lambda _task, ids, **_: rung.extend(ids))
    Customer.objects.filter(gid="c2").update(dirty_seq=2)
    found = plans(tasks.sweep_dirty_customers, "orders_customer")
    assert rung == [stores[2].pk]
    for plan in found:
        assert "orders_customer_dirty" in plan, plan
        assert not reads_the_table(plan, "orders_customer"), plan


@pytest.mark.slow
def test_a_stores_reader_reads_the_index_too(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "fetch_order", lambda *a, **k: False)
    monkeypatch.setattr(customers, "fetch_customer", lambda *a, **k: False)
    Order.objects.filter(gid__in=["o1", "o4"]).update(dirty_seq=2)
    works: tuple[tuple[Callable[[], Any], str, str], ...] = (
        (lambda: backlog.read_waiting(stores[1].pk), "orders_order", "orders_dirty_of_store"),
        (lambda: Order.objects.has_dirty(stores[0]), "orders_order", "orders_dirty_of_store"),
        (
            lambda: customers.read_waiting(stores[1].pk),
            "orders_customer",
            "orders_customer_dirty",
        ),
    )
    for work, table, index in works:
        found = plans(work, table)
        assert found
        for plan in found:
            assert index in plan, plan
            assert not reads_the_table(plan, table), plan
