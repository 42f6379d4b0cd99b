"""Times written while a clock ran ahead don't block anything once it is right again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import services, tasks
from orders.actions import worker_steps
from orders.models import ActionState, Order, OrderAction, Store
from shopify_sync.api import breaker
from shopify_sync.api.client import _number
from shopify_sync.api.errors import Throttled
from shopify_sync.models import ShopConnection
from shopify_sync.reading import orders
from tests.shopify_sync.asking import ask_refund
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def ahead() -> datetime:
    return timezone.now() + timedelta(days=1)


@pytest.fixture
def asked(shop: Shop, seen: Any, alice: User, deaf: None) -> OrderAction:
    shop.place()
    return ask_refund(seen(), "1.00", alice)


def swept(asked: OrderAction) -> str:
    tasks.sweep_actions()
    asked.refresh_from_db()
    return asked.state


def test_an_action_whose_worker_died_with_a_clock_ahead_is_taken_up(asked: OrderAction) -> None:
    worker_steps.claim(action_id=asked.pk, now=timezone.now())
    OrderAction.objects.update(lease_until=ahead())
    assert swept(asked) == ActionState.SUCCEEDED


def test_an_action_put_down_by_a_clock_ahead_goes_on(asked: OrderAction) -> None:
    OrderAction.objects.update(next_attempt_at=ahead())
    assert swept(asked) == ActionState.SUCCEEDED


@pytest.mark.parametrize("minutes", [1, 14])
def test_what_a_right_clock_may_have_written_holds(asked: OrderAction, minutes: int) -> None:
    """The negative control of the two tests above."""
    soon = timezone.now() + timedelta(minutes=minutes)
    OrderAction.objects.update(next_attempt_at=soon)
    assert swept(asked) == ActionState.QUEUED
    OrderAction.objects.update(next_attempt_at=None)
    worker_steps.claim(action_id=asked.pk, now=timezone.now())
    OrderAction.objects.update(lease_until=soon)
    assert swept(asked) == ActionState.SENDING


@pytest.mark.parametrize("told", [86400.0, 1e300, -5.0])
def test_an_action_does_not_rest_for_as_long_as_a_header_likes(
    asked: OrderAction, monkeypatch: pytest.MonkeyPatch, told: float
) -> None:
    def read(*_words: Any) -> None:
        raise Throttled("slower", retry_after_s=told)

    monkeypatch.setattr(orders, "read_snapshot", read)
    assert swept(asked) == ActionState.QUEUED
    assert asked.next_attempt_at is not None
    assert asked.next_attempt_at < timezone.now() + timedelta(minutes=6)


@pytest.mark.parametrize(
    ("text", "number"), [("2.5", 2.5), ("inf", 2), ("nan", 2), ("soon", 2), (None, 2)]
)
def test_a_header_that_is_no_number_is_not_believed(text: str | None, number: float) -> None:
    assert _number(text, 2) == number


def test_a_breaker_opened_by_a_clock_ahead_lets_a_probe_through(store: Store) -> None:
    now = timezone.now()
    for _time in range(breaker.OPENS_AT):
        breaker.note_trouble(store.pk, now=ahead())
    assert breaker.resting(now=now) == set()
    assert breaker.wait_s(store.pk, now=now) == 0
    # One probe at a time, as after any rest.
    assert breaker.wait_s(store.pk, now=now) > 0


def test_a_breaker_that_just_opened_stops_all_requests(store: Store) -> None:
    """The negative control of the test above."""
    now = timezone.now()
    for _time in range(breaker.OPENS_AT):
        breaker.note_trouble(store.pk, now=now)
    assert breaker.resting(now=now) == {store.pk}
    assert breaker.wait_s(store.pk, now=now) == breaker.REST.total_seconds()


def test_old_troubles_are_not_counted_with_new_ones_for_ever(store: Store) -> None:
    now = timezone.now()
    breaker.note_trouble(store.pk, now=ahead())
    for _time in range(breaker.OPENS_AT - 1):
        breaker.note_trouble(store.pk, now=now)
    row = ShopConnection.objects.get()
    assert (row.breaker_count, row.breaker_open_until) == (breaker.OPENS_AT - 1, None)


def test_an_order_whose_bank_is_awaited_is_read_again_whatever_a_clock_said(
    asked: OrderAction, store: Store
) -> None:
    now = timezone.now()
    OrderAction.objects.update(
        state=ActionState.SENDING, maybe_applied=True, sent_at=now, reserved=0
    )
    OrderAction.objects.update(
        state=ActionState.AWAITING_BANK, evidence_at=now, settled_at=now, lease_until=None
    )
    assert services.mark_awaiting_banks(store, now=now) == []
    Order.objects.update(read_started_at=ahead())
    assert services.mark_awaiting_banks(store, now=now) == [asked.order_id]
