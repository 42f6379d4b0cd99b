"""`is_dirty` is what the sequence numbers say, whatever writes them."""

from __future__ import annotations

import importlib

import pytest
from django.db import connection
from django.db.models import F

from core.database import sql
from orders.models import Customer, Order, Store
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db


def dirty() -> list[str]:
    found = [row.gid for row in Order.objects.dirty()]
    assert found == [row.gid for row in Order.objects.filter(dirty_seq__gt=F("clean_seq"))]
    return found


def test_the_column_follows_every_way_of_writing() -> None:
    store = Store.objects.create(domain="s.myshopify.com")
    one = Order.objects.create(store=store, gid="one", legacy_id=1, dirty_seq=1)
    assert (one.is_dirty, dirty()) == (True, ["one"])
    sql.update(Order, one.pk, {"clean_seq": 1})
    assert dirty() == []
    Order.objects.update(dirty_seq=F("dirty_seq") + 1)
    assert dirty() == ["one"]
    rows = [
        {"store_id": store.pk, "gid": gid, "legacy_id": 2, "dirty_seq": 1} for gid in ("two", "x")
    ]
    sql.insert(Order, rows)
    sql.upsert(Order, [row | {"clean_seq": 1} for row in rows[1:]], unique=("store_id", "gid"))
    assert sorted(dirty()) == ["one", "two"]
    Customer.objects.bulk_create([Customer(store=store, gid="c", dirty_seq=1)])
    assert Customer.objects.dirty().count() == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite computes the column itself")
def test_upgrading_marks_what_was_dirty_before() -> None:
    store = Store.objects.create(domain="s.myshopify.com")
    rows = (Order(store=store, gid=f"o{n}", legacy_id=n, dirty_seq=n % 2) for n in range(4))
    with without_triggers(connection):
        Order.objects.bulk_create(rows)
    # As it was before the trigger: the control that the migration has something to do.
    assert not Order.objects.dirty().exists()
    migration = importlib.import_module("orders.migrations.0026_dirty_indexes")
    with connection.schema_editor(atomic=False) as editor:
        migration.mark(None, editor)
    assert sorted(dirty()) == ["o1", "o3"]
