"""What couldn't be read is tried again later, and not much later than it should be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders.models import Order, Store
from shopify_sync.api.errors import (
    ShopifyError,
    Throttled,
    Unreachable,
)
from shopify_sync.models import EventState, WebhookEvent
from shopify_sync.reading import orders

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo() -> Store:
    return Store.objects.create(domain="demo.myshopify.com")


@pytest.fixture
def dirty(demo: Store) -> Order:
    return Order.objects.create(store=demo, gid="g", legacy_id=1, dirty_seq=1)


def read_fails(monkeypatch: pytest.MonkeyPatch, error: ShopifyError) -> None:
    def client_for(*_args: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr(orders, "client_for", client_for)


@pytest.mark.parametrize(
    ("told", "waits_s"), [(7.5, 7.5), (299.0, 299.0), (3600.0, 300.0), (0.0, 0.1), (-5.0, 0.1)]
)
def test_a_throttled_read_waits_as_long_as_told_but_at_most_five_minutes(
    dirty: Order, monkeypatch: pytest.MonkeyPatch, time_machine: Any, told: float, waits_s: float
) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    read_fails(monkeypatch, Throttled("slower", retry_after_s=told))
    assert orders.fetch_order(dirty.pk) is False
    dirty.refresh_from_db()
    assert dirty.fetch_after == now + timedelta(seconds=waits_s)


def test_an_order_that_could_not_be_read_does_not_count_as_read(
    dirty: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_fails(monkeypatch, Unreachable("no connection"))
    assert orders.fetch_order(dirty.pk) is False
    dirty.refresh_from_db()
    assert (dirty.fetch_failures, dirty.fetch_lease_until) == (1, None)
    # It isn't due yet, so there's nothing to do.
    assert orders.fetch_order(dirty.pk) is False
    dirty.refresh_from_db()
    assert dirty.fetch_failures == 1


def test_a_delivery_is_tried_eight_times_within_two_hours(demo: Store, time_machine: Any) -> None:
    event = WebhookEvent.objects.create(
        store=demo, webhook_id="w", topic="orders/updated", body=b"{"
    )
    waits: list[float] = []
    while event.state == EventState.WAITING:
        now = timezone.now()
        time_machine.move_to(now, tick=False)
        orders.process_event(event.pk)
        event.refresh_from_db()
        if event.next_attempt_at:
            waits.append((event.next_attempt_at - now).total_seconds())
    assert waits == [5, 15, 60, 300, 900, 1800, 3600]
    assert (event.state, event.attempts) == (EventState.DEAD, 8)
