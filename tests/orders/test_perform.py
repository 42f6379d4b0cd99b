"""How long an action rests before a worker takes it up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from orders import perform as worker
from orders import previews
from orders.actions import worker_steps
from orders.models import ActionState, Order
from shopify_sync.api.errors import Throttled
from shopify_sync.reading import orders
from tests.support.orders.acting import ask, cancel, perform, refund
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
# A message that arrives before the action is due does nothing.
LATE_S = 0.05


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """After how many seconds workers were to be woken. None is."""
    found: list[float] = []
    monkeypatch.setattr(
        worker_steps, "wake", lambda _id, *, after_s=0.0: found.append(after_s - LATE_S)
    )
    return found


@pytest.mark.parametrize("choice", [refund("5.00"), cancel()], ids=["refund", "cancel"])
def test_what_shopify_accepted_is_looked_for_ever_less_often(
    shop: Shop,
    seen: Seen,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    choice: previews.Choice,
) -> None:
    """As docs/states.md says."""
    shop.place(paid=True)
    order = seen()
    action = ask(order, choice, alice)
    before = order.snapshot
    monkeypatch.setattr(orders, "read_snapshot", lambda *_: before)
    waits.clear()
    for _ in range(9):
        assert perform(action).state == ActionState.PENDING
    assert waits == pytest.approx([1, 2, 3, 5, 8, 13, 30, 60, 60])


@pytest.mark.parametrize(
    ("told_s", "waits_s"),
    [
        pytest.param(7.5, 7.5, id="as long as Shopify asks"),
        pytest.param(86400.0, 300.0, id="at most five minutes"),
        pytest.param(-5.0, 0.1, id="never at once"),
    ],
)
def test_a_throttled_action_rests_as_long_as_shopify_asks(
    shop: Shop,
    seen: Seen,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    told_s: float,
    waits_s: float,
) -> None:
    def read(*_: Any) -> None:
        raise Throttled("slower", retry_after_s=told_s)

    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    monkeypatch.setattr(orders, "read_snapshot", read)
    waits.clear()
    assert perform(action).state == ActionState.QUEUED
    assert waits == pytest.approx([waits_s])


def test_an_action_that_is_not_due_asks_nothing_of_its_shop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(worker, "get_gateway", lambda: asked.append("gateway"))
    worker.perform(0)
    assert asked == []
