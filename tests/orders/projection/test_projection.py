"""When reads of an order overlap, the one that started later is shown."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, connections, models
from django.utils import timezone

from core.database import sql
from orders.models import Order, Store
from orders.projection import record
from orders.services import (
    mark_dirty,
    record_snapshot,
)
from tests.support.orders import snapshots
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)
# In the past, as reads are: what a clock that was ahead has written is not believed.
NOW = timezone.now() - timedelta(minutes=1)
EARLIER, LATER = 1, 0


def read(order: Order, *, refundable: int, started_s: int) -> bool:
    """Store a read that began so many seconds after the first, and says how many pieces may still
    be refunded. They all have one updated_at, which has whole seconds; and of what they differ in
    no state is kept, whose number only one of them could have."""
    line = snapshots.line(refundable_quantity=refundable)
    return record_snapshot(
        order=order,
        snapshot=snapshots.order(lines=(line,)),
        seq=order.dirty_seq,
        read_started_at=NOW + timedelta(seconds=started_s),
        now=timezone.now(),
    )


@pytest.fixture
def order() -> Order:
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    shown = snapshots.order()
    pk = mark_dirty(store=store, gid=shown.gid, legacy_id=shown.legacy_id, now=NOW)
    found = Order.objects.select_related("store").get(pk=pk)
    assert read(found, refundable=2, started_s=0)
    return found


def race(order: Order, *, patience_s: int) -> None:
    """A read that began earlier has the order in hand; until it writes, one that began later
    runs from beginning to end, if nothing makes it wait for longer than the patience."""
    is_in_hand, is_overtaken = threading.Event(), threading.Event()
    look = record._is_older

    def pause(locked: Order, snapshot: Any) -> bool:
        if snapshot.lines[0].refundable_quantity == EARLIER:
            is_in_hand.set()
            is_overtaken.wait(timeout=patience_s)
        return look(locked, snapshot)

    def store(refundable: int, started_s: int) -> None:
        try:
            mine = Order.objects.select_related("store").get(pk=order.pk)
            read(mine, refundable=refundable, started_s=started_s)
            if refundable == LATER:
                is_overtaken.set()
        finally:
            connections.close_all()

    earlier = threading.Thread(target=store, args=(EARLIER, 1))
    later = threading.Thread(target=store, args=(LATER, 2))
    with patch.object(record, "_is_older", pause), messages_lost():
        earlier.start()
        assert is_in_hand.wait(timeout=10)
        later.start()
        earlier.join()
        later.join()


def refundable(order: Order) -> tuple[int, int]:
    """By the document and by the table."""
    order.refresh_from_db()
    return (order.snapshot.lines[0].refundable_quantity, order.orderlines.get().refundable_quantity)


def test_a_read_that_began_earlier_and_comes_later_changes_nothing(order: Order) -> None:
    assert read(order, refundable=LATER, started_s=2)
    assert not read(order, refundable=EARLIER, started_s=1)
    assert refundable(order) == (LATER, LATER)


on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
)


@on_postgresql
def test_of_two_reads_at_once_the_one_that_began_later_is_shown(order: Order) -> None:
    race(order, patience_s=1)
    assert refundable(order) == (LATER, LATER)
    assert order.read_started_at == NOW + timedelta(seconds=2)


@on_postgresql
def test_without_the_orders_lock_the_earlier_one_would_be(order: Order) -> None:
    """Negative control."""

    def unlocked(model: type[models.Model], pk: int) -> Any:
        return model._default_manager.get(pk=pk)

    with patch.object(sql, "lock", unlocked):
        race(order, patience_s=30)
    assert refundable(order) == (EARLIER, EARLIER)


@pytest.mark.parametrize(
    ("read_s_ago", "waits"),
    [
        pytest.param(None, False, id="never read"),
        pytest.param(0.0, True, id="just read"),
        pytest.param(0.9, True, id="within the second"),
        pytest.param(1.0, False, id="a second ago"),
        pytest.param(3600.0, False, id="long ago"),
        pytest.param(-60.0, False, id="by a clock that was ahead"),
    ],
)
def test_a_change_right_after_a_read_waits_for_the_others(
    read_s_ago: float | None, waits: bool
) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", currency="EUR")
    pk = mark_dirty(store=store, gid="gid://shopify/Order/1", legacy_id=1, now=NOW)
    at = None if read_s_ago is None else NOW - timedelta(seconds=read_s_ago)
    Order.objects.filter(pk=pk).update(read_started_at=at)
    mark_dirty(store=store, gid="gid://shopify/Order/1", legacy_id=1, now=NOW)
    due = NOW + record.DEBOUNCE if waits else NOW
    assert Order.objects.get(pk=pk).fetch_after == due
