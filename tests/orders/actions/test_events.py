"""Timeline rows: when it happened, who did it, and what is only history."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from orders import services
from orders.models import EventKind, EventSource, Order, OrderEvent, Store
from orders.signals import event_recorded
from orders.snapshot import Refund, RefundTransaction
from tests.support.orders import snapshots
from tests.support.orders.snapshots import NOW, bag, payment

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = NOW - timedelta(days=90)
CONNECTED = NOW - timedelta(days=30)


def refund(created_at: datetime | None, **changes: Any) -> Refund:
    paid = RefundTransaction(gid="back", status="SUCCESS", amount=bag("5.00"))
    base = Refund(gid="r", created_at=created_at, total=bag("5.00"), transactions=(paid,))
    return replace(base, **changes)


@pytest.fixture
def told() -> Any:
    """IDs of the events that listeners received."""
    heard: list[int] = []

    def listen(sender: Any, *, event_id: int, **_: Any) -> None:
        heard.append(event_id)

    event_recorded.connect(listen)
    yield heard
    event_recorded.disconnect(listen)


def first_read(**changes: Any) -> OrderEvent:
    """The refund's event on an order that is read for the first time."""
    store = Store.objects.create(domain="demo.myshopify.com", connected_at=CONNECTED)
    order = Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)
    snapshot = snapshots.order(refunded="5.00", **changes)
    now = timezone.now()
    assert services.record_snapshot(
        order=order, snapshot=snapshot, seq=0, read_started_at=now, now=now
    )
    return order.events.get(kind=EventKind.REFUNDED)


def test_a_refund_before_the_connection_is_history_with_its_own_date(told: list[int]) -> None:
    event = first_read(refunds=(refund(LONG_AGO),))
    assert (event.occurred_at, event.announced_at) == (LONG_AGO, LONG_AGO)
    assert event.pk not in told


def test_a_refund_after_it_is_news(told: list[int]) -> None:
    """Negative control."""
    event = first_read(refunds=(refund(NOW),))
    assert event.occurred_at == NOW
    # The inbox has looked at it by now.
    assert event.announced_at != NOW
    assert event.pk in told


def test_an_imported_refund_before_the_connection_is_history(told: list[int]) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", connected_at=CONNECTED)
    found = [
        snapshots.order(gid=f"o{number}", legacy_id=number, refunded="5.00", refunds=(refund(at),))
        for number, at in ((1, LONG_AGO), (2, NOW))
    ]
    with transaction.atomic():
        services.import_snapshots(store=store, snapshots=found, read_started_at=timezone.now())
    old, new = OrderEvent.objects.filter(kind=EventKind.REFUNDED).order_by("order__legacy_id")
    assert (old.occurred_at, old.announced_at) == (LONG_AGO, LONG_AGO)
    assert new.occurred_at == NOW
    assert new.announced_at != NOW
    assert (old.pk in told, new.pk in told) == (False, True)


def test_a_refund_without_a_date_has_its_transactions(told: list[int]) -> None:
    old = payment(gid="back", kind="REFUND", amount=bag("5.00"), processed_at=LONG_AGO)
    event = first_read(refunds=(refund(None),), transactions=(payment(processed_at=NOW), old))
    assert (event.occurred_at, event.announced_at) == (LONG_AGO, LONG_AGO)
    assert event.pk not in told


def test_a_refund_without_any_date_is_not_taken_for_news(told: list[int]) -> None:
    """It may be years old. It happened before the order's last change, which Shopify dates."""
    event = first_read(refunds=(refund(None),), updated_at=NOW)
    assert (event.occurred_at, event.announced_at) == (NOW, NOW)
    assert event.pk not in told


@pytest.mark.parametrize(
    ("total", "statuses", "amount"),
    [
        ("10.00", ("SUCCESS", "FAILURE"), "5.00"),
        ("5.00", ("SUCCESS", "FAILURE"), "5.00"),
        ("10.00", ("SUCCESS", "PENDING"), "10.00"),
        ("10.00", (), "10.00"),
    ],
)
def test_the_sum_is_what_moved_or_may(total: str, statuses: tuple[str, ...], amount: str) -> None:
    paid = tuple(
        RefundTransaction(gid=f"t{n}", status=status, amount=bag("5.00"))
        for n, status in enumerate(statuses)
    )
    event = first_read(refunds=(refund(NOW, total=bag(total), transactions=paid),))
    assert event.money == bag(amount).presentment
    assert event.source == EventSource.SHOPIFY
