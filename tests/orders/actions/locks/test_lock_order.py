"""Writers that lock several rows do so in one order, so none deadlocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from core.database import sql
from orders import privacy, services
from orders.models import (
    ActionState,
    Customer,
    Order,
    OrderAction,
    OrderRefund,
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    Store,
)
from orders.privacy.registry import Scope
from orders.projection import (
    bulk_import,
    customers,
    record,
)
from orders.snapshot import CustomerDetails, Refund
from shopify_sync.models import Backfill
from shopify_sync.sync import backfill
from tests.support.database.copies import without_triggers
from tests.support.orders import snapshots
from tests.support.orders.stored import stored
from tests.support.shop.in_process import Shop, read_customers

pytestmark = pytest.mark.django_db(transaction=True)
only_pg = pytest.mark.skipif("connection.vendor != 'postgresql'")
PATIENCE_S = 20


class Worker(threading.Thread):
    """Runs one piece of work on a connection of its own; `error` is what it ended with."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001  told to the test
            self.error = error
        finally:
            connection.close()


def waiting_for_locks(count: int) -> None:
    """Until so many of the database's sessions wait for a lock."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError(f"no {count} sessions wait")


@contextmanager
def held(order: Order) -> Iterator[Callable[[], None]]:
    """The order's row, locked by another connection until `release` is called."""
    locked, released = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Order.objects.select_for_update().get(pk=order.pk)
            locked.set()
            released.wait(PATIENCE_S)

    holder = Worker(hold)
    assert locked.wait(PATIENCE_S)
    try:
        yield released.set
    finally:
        released.set()
        holder.join()


@pytest.fixture
def two(store: Store) -> tuple[Order, Order]:
    """Their gids sort the other way round than their ids. They stand in the table as they were
    written, not in what earlier tests left free."""
    if connection.vendor == "postgresql":
        with without_triggers(connection), connection.cursor() as cursor:
            cursor.execute("TRUNCATE orders_order CASCADE")
    first = Order.objects.create(store=store, gid="gid://shopify/Order/999", legacy_id=999)
    second = Order.objects.create(store=store, gid="gid://shopify/Order/1000", legacy_id=1000)
    return first, second


def lock_for_import(store: Store, two: tuple[Order, Order]) -> None:
    with transaction.atomic():
        bulk_import._lock(store, [order.gid for order in two])


def mark_both(store: Store) -> None:
    with transaction.atomic():
        services.mark_many_dirty(store_id=store.pk, legacy_ids=[999, 1000], now=timezone.now())


def together(
    two: tuple[Order, Order], works: list[Callable[[], object]], *, which: int = 1
) -> list[Exception | None]:
    """Each begins while the second order is held, so that it stops between its two locks.
    `which` 0: the first is held, for work that takes the second one first."""
    with held(two[which]) as release:
        workers = []
        for count, work in enumerate(works, 1):
            workers.append(Worker(work))
            waiting_for_locks(count)
        release()
        for worker in workers:
            worker.join(PATIENCE_S)
    return [worker.error for worker in workers]


@only_pg
def test_importing_and_marking_do_not_wait_for_each_other(
    store: Store, two: tuple[Order, Order]
) -> None:
    works: list[Callable[[], object]] = [
        lambda: lock_for_import(store, two),
        lambda: mark_both(store),
    ]
    assert together(two, works) == [None, None]


@only_pg
def test_locking_by_gid_would_deadlock(store: Store, two: tuple[Order, Order]) -> None:
    """The negative control of the test above."""

    def by_gid() -> None:
        with transaction.atomic():
            rows = Order.objects.filter(store=store).select_for_update().order_by("gid")
            list(rows.values_list("pk"))

    errors = together(two, [by_gid, lambda: mark_both(store)])
    assert ["deadlock" in str(error) for error in errors].count(True) == 1


@only_pg
def test_pages_that_ask_for_reads_lock_in_the_same_order(
    store: Store, two: tuple[Order, Order]
) -> None:
    Order.objects.update(is_partial=True)

    def ask() -> None:
        services.mark_partial_dirty(Order.objects.order_by("-pk"))

    assert together(two, [ask, lambda: mark_both(store)]) == [None, None]


@only_pg
def test_a_back_fill_marks_what_it_cannot_read_before_it_holds_its_batch(
    store: Store, two: tuple[Order, Order]
) -> None:
    """The second order is in the batch, and the first one's line cannot be read."""
    now = timezone.now()
    row = Backfill.objects.create(store=store, since=now, next_step_at=now)
    batch = [snapshots.order(gid=two[1].gid, legacy_id=two[1].legacy_id)]

    def keep() -> None:
        backfill._store(row, batch, [two[0].gid], 10)

    assert together(two, [lambda: mark_both(store), keep], which=0) == [None, None]
    assert Order.objects.dirty().filter(pk=two[0].pk).exists()


@pytest.fixture
def awaiting(two: tuple[Order, Order], alice: User) -> tuple[Order, Order]:
    """A bank is awaited for both, and the second's row stands before the first's on the disk."""
    long_ago = timezone.now() - timedelta(days=1)
    for order in two:
        action = OrderAction(
            order=order,
            kind="refund",
            state=ActionState.AWAITING_BANK,
            requested_by=alice,
            nonce=str(order.pk),
            digest="",
            proposal={},
            steps=[],
            amount=1,
            currency="EUR",
            maybe_applied=True,
            evidence_at=long_ago,
            settled_at=long_ago,
        )
        action.save(force_insert=True)
    for order in reversed(two):
        Order.objects.filter(pk=order.pk).update(read_started_at=long_ago)
    return two


@only_pg
def test_asking_about_banks_locks_in_the_same_order(
    store: Store, awaiting: tuple[Order, Order]
) -> None:
    def ask() -> None:
        services.mark_awaiting_banks(store, now=timezone.now())

    assert together(awaiting, [lambda: mark_both(store), ask], which=0) == [None, None]


@only_pg
def test_an_update_locks_as_the_rows_happen_to_stand(
    store: Store, awaiting: tuple[Order, Order]
) -> None:
    """The negative control of the test above."""

    def ask() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # As they stand on the disk, which an index scan doesn't follow; which of the two
            # PostgreSQL prefers depends on what it has counted of other tests' rows.
            cursor.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
            Order.objects.filter(pk__in=[order.pk for order in awaiting]).update(fetch_after=None)

    errors = together(awaiting, [lambda: mark_both(store), ask], which=0)
    assert ["deadlock" in str(error) for error in errors].count(True) == 1


def test_an_import_writes_new_orders_before_it_locks_known_ones(
    shop: Shop, seen: Any, store: Store
) -> None:
    """A holder of a row that others may wait for no longer inserts anything it may wait for itself."""
    shop.place()
    known = seen()
    Order.objects.update(is_partial=True, version=1)
    new = replace(known.snapshot, gid="gid://shopify/Order/5", legacy_id=5)
    newer = replace(known.snapshot, updated_at=known.snapshot.updated_at + timedelta(seconds=1))
    steps: list[str] = []
    real_lock, real_insert = bulk_import._lock, sql.insert

    def lock(*words: Any) -> Any:
        steps.append("lock")
        return real_lock(*words)

    def insert(model: Any, rows: Any) -> None:
        if model is Order and rows:
            steps.append("insert")
        real_insert(model, rows)

    with (
        patch.object(bulk_import, "_lock", lock),
        patch.object(bulk_import, "insert", insert),
        transaction.atomic(),
    ):
        done = services.import_snapshots(store, [newer, new], read_started_at=timezone.now())
    assert steps == ["insert", "lock"]
    assert done.written == 2
    assert Order.objects.filter(document="").count() == 0


@pytest.fixture
def jane(shop: Shop, seen: Any) -> Order:
    """Jane's order, and Jane read by herself."""
    shop.place()
    order: Order = seen()
    read_customers()
    return order


def project_and_merge(order: Order, merge: Callable[[], object]) -> list[Exception | None]:
    """The projection has locked its order and not yet its customer when the merge begins."""
    snapshot = order.snapshot
    assert snapshot.customer is not None
    changed = replace(
        snapshot,
        updated_at=snapshot.updated_at + timedelta(seconds=1),
        customer=replace(snapshot.customer, name="Other"),
    )
    real, is_locked, go_on = record._write_parts, threading.Event(), threading.Event()

    def write(*words: Any) -> None:
        is_locked.set()
        assert go_on.wait(PATIENCE_S)
        real(*words)

    with patch.object(record, "_write_parts", write):
        projecting = Worker(
            lambda: services.record_snapshot(
                order=order,
                snapshot=changed,
                seq=order.dirty_seq,
                read_started_at=timezone.now() + timedelta(milliseconds=1),
                now=timezone.now(),
            )
        )
        assert is_locked.wait(PATIENCE_S)
        merging = Worker(merge)
        waiting_for_locks(1)
        go_on.set()
        projecting.join(PATIENCE_S)
        merging.join(PATIENCE_S)
    return [projecting.error, merging.error]


@only_pg
def test_a_deletion_and_a_projection_do_not_wait_for_each_other(store: Store) -> None:
    """The projection holds its order and not yet its refunds when these are to be masked."""
    now = timezone.now()
    refund = Refund(gid="r1", created_at=now, total=snapshots.bag("5"), note="for Jane")
    order = stored(snapshots.order(refunds=(refund,)), store)
    changed = replace(
        order.snapshot,
        updated_at=order.snapshot.updated_at + timedelta(seconds=1),
        refunds=(replace(refund, note="for Jane, at home"),),
    )
    scope = Scope(store_id=store.pk, order_legacy_ids=(order.legacy_id,))
    privacy.ask(
        store=store, kind=PrivacyKind.CUSTOMER_REDACT, fingerprint="1", scope=scope, now=now
    )
    real, is_locked, go_on = record._write_parts, threading.Event(), threading.Event()

    def write(*words: Any) -> None:
        is_locked.set()
        assert go_on.wait(PATIENCE_S)
        real(*words)

    with patch.object(record, "_write_parts", write):
        projecting = Worker(
            lambda: services.record_snapshot(
                order=order,
                snapshot=changed,
                seq=order.dirty_seq,
                read_started_at=timezone.now(),
                now=timezone.now(),
            )
        )
        assert is_locked.wait(PATIENCE_S)
        deleting = Worker(lambda: privacy.run(PrivacyRequest.objects.get().pk, now=timezone.now()))
        waiting_for_locks(1)
        go_on.set()
        projecting.join(PATIENCE_S)
        deleting.join(PATIENCE_S)
    assert [projecting.error, deleting.error] == [None, None]
    assert PrivacyRequest.objects.get().state == PrivacyState.DONE
    assert OrderRefund.objects.get().note == ""


KEPT = "gid://shopify/Customer/77"


@only_pg
def test_a_merge_and_a_projection_do_not_wait_for_each_other(jane: Order, store: Store) -> None:
    errors = project_and_merge(
        jane,
        lambda: services.note_merge(
            store=store, kept_gid=KEPT, gone_gid=jane.customer_gid, now=timezone.now()
        ),
    )
    assert errors == [None, None]
    assert Customer.objects.get(gid=jane.customer_gid).merged_into == KEPT


@only_pg
def test_locking_customers_before_orders_would_deadlock(jane: Order, store: Store) -> None:
    """The negative control of the test above."""

    def merge() -> None:
        with transaction.atomic():
            for gid in (KEPT, jane.customer_gid):
                services.mark_customer_dirty(store=store, gid=gid, now=timezone.now())
            Order.objects.filter(customer_gid=jane.customer_gid).update(fetch_after=None)

    errors = project_and_merge(jane, merge)
    assert ["deadlock" in str(error) for error in errors].count(True) == 1


# A clock that ran ahead.


def ahead() -> datetime:
    return datetime.now(UTC) + timedelta(hours=3)


def test_a_customers_read_by_a_clock_that_ran_ahead_gives_way(jane: Order, store: Store) -> None:
    Customer.objects.update(read_started_at=ahead(), name="Stale", dirty_seq=9, fetch_after=None)
    read_customers()
    row = Customer.objects.get(gid=jane.customer_gid)
    assert (row.name, row.clean_seq) == ("Jane", 9)
    assert row.read_started_at is not None
    assert row.read_started_at < timezone.now()


def test_a_customers_earlier_read_gives_way_to_a_later_one(jane: Order) -> None:
    """The negative control of the test above; and nothing waits for the lease of a read that
    came to nothing."""
    row = Customer.objects.get(gid=jane.customer_gid)
    assert row.read_started_at is not None
    Customer.objects.update(name="Later", fetch_lease_until=ahead())
    began = row.read_started_at - timedelta(seconds=1)
    told = CustomerDetails(gid=row.gid, order_count=1, updated_at=began)
    assert not services.record_customer(
        customer_id=row.pk, details=told, seq=row.dirty_seq, read_started_at=began
    )
    row.refresh_from_db()
    assert (row.name, row.fetch_lease_until) == ("Later", None)


def test_an_orders_mention_counts_whatever_a_clock_said(
    jane: Order, shop: Shop, store: Store
) -> None:
    Customer.objects.update(read_started_at=ahead())
    assert jane.snapshot.customer is not None
    told = replace(jane.snapshot.customer, name="Renamed")
    with transaction.atomic():
        customers.mention(store, told, read_started_at=timezone.now(), spent=False)
    row = Customer.objects.get(gid=jane.customer_gid)
    assert row.dirty_seq > row.clean_seq
