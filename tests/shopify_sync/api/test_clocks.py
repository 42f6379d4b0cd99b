"""Times written by a clock that ran ahead block nothing, and no row holds up its batch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.database.leases import (
    LONGEST_LEASE,
    LONGEST_WAIT,
    is_due,
    is_free,
)
from orders.models import Order, Store
from shopify_sync import tasks
from shopify_sync.api import breaker
from shopify_sync.models import EventState, ShopConnection, WebhookEvent
from shopify_sync.reading import orders
from shopify_sync.stores import tokens
from shopify_sync.webhooks import processing
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def ahead(**by: float) -> datetime:
    return timezone.now() + timedelta(**by)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, True),
        (timedelta(seconds=-1), True),
        (timedelta(seconds=30), False),
        (LONGEST_LEASE, False),
        (LONGEST_LEASE + timedelta(seconds=1), True),
    ],
)
def test_a_lease_is_free_when_it_is_over_or_impossible(
    store: Store, at: timedelta | None, expected: bool
) -> None:
    now = timezone.now()
    Order.objects.create(
        store=store, gid="g", legacy_id=1, fetch_lease_until=None if at is None else now + at
    )
    free = Order.objects.filter(is_free("fetch_lease_until", now=now))
    assert free.exists() is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, True),
        (timedelta(0), True),
        (timedelta(hours=1), False),
        (LONGEST_WAIT + timedelta(seconds=1), True),
    ],
)
def test_a_wait_is_over_when_its_time_came_or_is_impossible(
    store: Store, at: timedelta | None, expected: bool
) -> None:
    now = timezone.now()
    Order.objects.create(
        store=store, gid="g", legacy_id=1, fetch_after=None if at is None else now + at
    )
    assert Order.objects.filter(is_due("fetch_after", now=now)).exists() is expected


def test_no_wait_between_two_tries_is_longer_than_what_is_believed() -> None:
    longest = max(*orders._FETCH_BACKOFF_S, *orders._EVENT_BACKOFF_S)
    assert timedelta(seconds=longest) < LONGEST_WAIT
    assert orders.CONFIRM_MISSING_AFTER < LONGEST_WAIT


def test_a_renewal_is_not_held_up_by_an_impossible_lease(store: Store) -> None:
    ShopConnection.objects.update(renewal_lease_until=ahead(hours=3))
    assert tokens._claim(ShopConnection.objects.get())
    # Negative control: the lease of a moment ago is respected.
    assert not tokens._claim(ShopConnection.objects.get())


def test_a_breaker_opened_by_a_clock_that_ran_ahead_lets_a_probe_through(store: Store) -> None:
    now = timezone.now()
    ShopConnection.objects.update(breaker_open_until=now + timedelta(hours=3))
    assert store.pk not in breaker.resting(now=now)
    assert breaker.wait_s(store.pk, now=now) == 0
    ShopConnection.objects.update(breaker_open_until=now + timedelta(seconds=10))
    assert store.pk in breaker.resting(now=now)
    assert breaker.wait_s(store.pk, now=now) == 10


def test_trouble_dated_into_the_future_is_not_counted_for_ever(store: Store) -> None:
    ShopConnection.objects.update(breaker_since=ahead(hours=3), breaker_count=breaker.OPENS_AT - 1)
    breaker.note_trouble(store.pk, now=timezone.now())
    row = ShopConnection.objects.get()
    assert (row.breaker_count, row.breaker_open_until) == (1, None)


def hint(store: Store, number: int) -> WebhookEvent:
    return WebhookEvent.objects.create(
        store=store,
        webhook_id=f"w{number}",
        topic="orders/updated",
        body=f'{{"id": {number}}}'.encode(),
    )


def test_a_webhook_that_breaks_its_batch_waits_and_the_others_are_done(
    shop: Shop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [hint(store, number) for number in (1, 2, 3)]

    def together(*, store_id: int, legacy_ids: Any, now: datetime) -> Any:
        raise ValueError("integer out of range")

    real = orders.mark

    def mark(store: Store, legacy_id: int, now: datetime) -> int:
        if legacy_id == 2:
            raise ValueError("integer out of range")
        return real(store, legacy_id, now)

    monkeypatch.setattr(processing, "mark_many_dirty", together)
    monkeypatch.setattr(orders, "mark", mark)
    monkeypatch.setattr(tasks, "fetch_order", lambda _pk: None)
    done = processing.work_off()
    states = [WebhookEvent.objects.get(pk=event.pk) for event in events]
    assert [event.state for event in states] == [
        EventState.DONE,
        EventState.WAITING,
        EventState.DONE,
    ]
    assert (states[1].attempts, "out of range" in states[1].error) == (1, True)
    assert len(done.order_ids) == 2


def test_single_webhooks_are_left_to_the_next_task_when_the_time_is_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        WebhookEvent.objects.create(
            store=store,
            webhook_id=f"c{number}",
            topic="customers/update",
            body=f'{{"id": {number + 1}}}'.encode(),
        )
    monkeypatch.setattr(processing, "_SINGLY_S", 0.0)
    assert processing.work_off().taken == 3
    assert WebhookEvent.objects.filter(state=EventState.WAITING).count() == 3
    monkeypatch.setattr(processing, "_SINGLY_S", 10.0)
    processing.work_off()
    assert not WebhookEvent.objects.filter(state=EventState.WAITING).exists()
