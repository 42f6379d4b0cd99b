"""Migration 0014 divides stored refunds as a fresh read would."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from orders.models import Order, OrderRefund, Store
from orders.projection import columns as rows
from orders.snapshot import Refund, RefundTransaction, encode
from tests.support.orders import snapshots
from tests.support.orders.snapshots import NOW, bag

pytestmark = pytest.mark.django_db
migration: Any = import_module("orders.migrations.0014_money_by_transaction")
COLUMNS = ("gid", "moved", "moved_shop", "waiting", "waiting_shop", "failed")


def refund(gid: str, total: str, *statuses: str) -> Refund:
    paid = tuple(
        RefundTransaction(gid=f"{gid}-{n}", status=status, amount=bag("5"))
        for n, status in enumerate(statuses)
    )
    return Refund(gid=gid, created_at=NOW, total=bag(total), transactions=paid)


def keep(store: Store, number: int, **changes: Any) -> Order:
    snapshot = snapshots.order(legacy_id=number, gid=f"o{number}", **changes)
    columns = rows.order_columns(snapshot, encode(snapshot)) | {"is_test": False}
    return Order.objects.create(store=store, gid=snapshot.gid, **columns)


def test_refunds_are_divided_and_test_orders_marked() -> None:
    store = Store.objects.create(domain="demo.myshopify.com")
    found = (
        refund("half", "10", "SUCCESS", "FAILURE"),
        refund("waits", "15", "SUCCESS", "PENDING", "NEW_WORD"),
        refund("partial", "10"),
        refund("failed", "0", "ERROR"),
    )
    order = keep(store, 1, refunds=found)
    # Its customer writes JSON.
    quoted = keep(
        store, 2, note='"is_test":true', refunds=(replace(found[0], note='"is_test":true'),)
    )
    test = keep(store, 3, is_test=True)
    unread = Order.objects.create(store=store, gid="o4", legacy_id=4)
    wanted = [*rows.refunds(order.pk, order.snapshot), *rows.refunds(quoted.pk, quoted.snapshot)]
    for row in wanted:
        OrderRefund.objects.create(**row | dict.fromkeys(COLUMNS[1:], 0))
    gone = OrderRefund.objects.create(order=unread, gid="gone", amount=3, amount_shop=3)

    migration.mark_test_orders(apps, None)
    migration.divide_refunds(apps, None)

    assert [o.pk for o in Order.objects.filter(is_test=True)] == [test.pk]
    divided = OrderRefund.objects.exclude(pk=gone.pk).order_by("pk").values(*COLUMNS)
    assert list(divided) == [{name: row[name] for name in COLUMNS} for row in wanted]
    gone.refresh_from_db()
    assert (gone.moved, gone.moved_shop, gone.failed) == (3, 3, 0)
