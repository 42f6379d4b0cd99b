"""What a panel adds up over a customer's orders."""

from __future__ import annotations

from orders.models import Order
from orders.panels.panel import _summary
from orders.snapshot import OrderSnapshot, Refund, RefundTransaction, encode
from tests.support.orders import snapshots
from tests.support.orders.snapshots import NOW, bag


def row(snapshot: OrderSnapshot) -> Order:
    return Order(document=encode(snapshot), currency=snapshot.currency)


def refund(gid: str, total: str, status: str) -> Refund:
    paid = RefundTransaction(gid=f"{gid}-t", status=status, amount=bag("5.00"))
    return Refund(gid=gid, created_at=NOW, total=bag(total), transactions=(paid,))


def test_test_orders_are_counted_and_their_money_is_not() -> None:
    real = snapshots.order(refunded="5.00", refunds=(refund("a", "5.00", "SUCCESS"),))
    test = snapshots.order(refunded="5.00", is_test=True, refunds=(refund("b", "5.00", "SUCCESS"),))
    found = _summary([row(real), row(test)])
    assert (found.order_count, found.refund_count) == (2, 1)
    assert [money.plain() for money in (*found.spent, *found.refunded)] == ["15.00", "5.00"]


def test_a_refund_that_failed_is_none() -> None:
    refunds = (
        refund("a", "5.00", "FAILURE"),
        refund("b", "0.00", "ERROR"),
        refund("c", "5.00", "PENDING"),
    )
    assert _summary([row(snapshots.order(refunds=refunds))]).refund_count == 1
