"""Plain SQL statements return what the models would."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction

from core.database import sql
from orders.models import Customer, Order, OrderTransaction, Store

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def order() -> Order:
    store = Store.objects.create(domain="demo.myshopify.com")
    return Order.objects.create(store=store, gid="o1", legacy_id=1, total=Decimal("12.5000"))


def _payment(order: Order, gid: str, amount: str) -> dict[str, object]:
    return {
        "order_id": order.pk,
        "gid": gid,
        "kind": "SALE",
        "status": "SUCCESS",
        "gateway": "cards",
        "is_manual": False,
        "amount": Decimal(amount),
        "amount_shop": Decimal(amount),
        "processed_at": AT,
    }


def test_a_locked_row_is_the_row(order: Order) -> None:
    sql.update(Order, order.pk, {"read_started_at": AT, "is_partial": True})
    with transaction.atomic():
        locked = sql.lock(Order, order.pk)
    held = Order.objects.get(pk=order.pk)
    for field in Order._meta.concrete_fields:
        assert getattr(locked, field.attname) == getattr(held, field.attname), field.attname
        assert type(getattr(locked, field.attname)) is type(getattr(held, field.attname))
    with transaction.atomic(), pytest.raises(Order.DoesNotExist):
        sql.lock(Order, order.pk + 1)


def test_an_upsert_keeps_ids_and_columns_it_does_not_name(order: Order) -> None:
    sql.upsert(OrderTransaction, [_payment(order, "a", "1")], unique=("order_id", "gid"))
    kept = OrderTransaction.objects.get().pk
    rows = [_payment(order, "a", "2.5"), _payment(order, "b", "3")]
    sql.upsert(OrderTransaction, rows, unique=("order_id", "gid"))
    found = sql.select(
        OrderTransaction, "id", "gid", "amount", "processed_at", order_id=order.pk, gid=["a", "b"]
    )
    assert sorted(row[1:] for row in found) == [("a", Decimal("2.5"), AT), ("b", Decimal(3), AT)]
    assert {gid: pk for pk, gid, *_ in found}["a"] == kept


def test_more_rows_than_one_statement_may_hold_are_all_written(order: Order) -> None:
    people = [
        {"store_id": order.store_id, "gid": f"c{number:04}", "name": f"Customer {number}"}
        for number in range(700)
    ]
    ids = sql.insert_few(Customer, people)
    assert len(ids) == 700
    named = dict(Customer.objects.values_list("pk", "gid"))
    assert [named[pk] for pk in ids] == [row["gid"] for row in people]
    assert Customer.objects.filter(email="").count() == 700


def test_a_lookup_among_no_values_matches_nothing(order: Order) -> None:
    assert sql.select(Order, "id", gid=[]) == []


def test_only_the_named_rows_are_deleted(order: Order) -> None:
    rows = [_payment(order, gid, "1") for gid in "abc"]
    sql.insert(OrderTransaction, rows)
    sql.delete(OrderTransaction, order_id=order.pk, gid=["a", "c"])
    assert [row.gid for row in OrderTransaction.objects.all()] == ["b"]
