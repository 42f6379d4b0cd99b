"""A supervisor sees what happened to each part of a refund."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from inbox.decisions import uncertain
from orders.models import ActionKind, Order, OrderAction, Store
from orders.snapshot import Refund, RefundTransaction, encode
from tests.support.orders import snapshots
from tests.support.orders.snapshots import NOW, bag


def order(**changes: Any) -> Order:
    snapshot = snapshots.order(**changes)
    return Order(
        pk=1,
        store=Store(domain="demo.myshopify.com"),
        document=encode(snapshot),
        currency="EUR",
        is_test=snapshot.is_test,
        net_payment=snapshot.money.net_payment.presentment.amount,
    )


def refund(total: str, *paid: tuple[str, str], created: bool = True) -> Refund:
    return Refund(
        gid="r",
        created_at=NOW if created else None,
        total=bag(total),
        note="n",
        transactions=tuple(
            RefundTransaction(gid=f"t{n}", status=status, amount=bag(amount))
            for n, (status, amount) in enumerate(paid)
        ),
    )


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (refund("15", ("SUCCESS", "15")), "€15.00 · 2026-11-24 12:00 UTC · n"),
        (
            refund("15", ("SUCCESS", "10"), ("ERROR", "5"), created=False),
            "€15.00 · €5.00 failed at the payment provider",
        ),
        (
            refund("15", ("SUCCESS", "9"), ("ERROR", "5"), ("UNKNOWN", "1")),
            "€15.00 · €5.00 failed at the payment provider · €1.00 not confirmed yet"
            " · 2026-11-24 12:00 UTC · n",
        ),
    ],
)
@pytest.mark.parametrize("is_test", [True, False])
def test_what_shopify_shows_of_a_refund(of: Refund, words: str, is_test: bool) -> None:
    action = OrderAction(
        order=order(refunds=(of,), is_test=is_test),
        kind=ActionKind.REFUND,
        amount=Decimal(15),
        currency="EUR",
        requested_by=User(username="alice"),
    )
    row = uncertain._row(action, "")
    assert [text for label, text in row.theirs if label == "Refund"] == [words]
    assert (("Test order", "Yes") in row.ours) == is_test
