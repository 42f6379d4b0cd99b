"""Open actions end when their shop is gone or a deletion is due: all of them, oldest first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import previews, services
from orders.actions import requests, uninstalls, worker_steps
from orders.models import ActionState, Order, OrderAction
from orders.previews import RefundChoice, build
from tests.orders.actions.test_requesting import Gateway
from tests.support.orders.snapshots import NOW, order
from tests.support.orders.stored import eur, stored

pytestmark = pytest.mark.django_db
End = Callable[[list[OrderAction]], int]


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Gateway()
    for module in (build, requests):
        monkeypatch.setattr(module, "get_gateway", lambda: found)
    monkeypatch.setattr(worker_steps, "wake", found.wake)


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uninstalls, "_BATCH_SIZE", 1)


def refund(found: Order, by: User) -> OrderAction:
    choice = RefundChoice(reason="other", amount=eur("5.00"))
    return services.request_action(
        token=previews.preview_refund(found, choice, by=by, now=NOW).token,
        order_id=found.pk,
        by=by,
        guard=lambda _order: None,
        now=timezone.now(),
    )


@pytest.fixture
def queued(alice: User) -> list[OrderAction]:
    """Two refunds, the older first."""
    orders = [stored(order(gid=f"gid://shopify/Order/{n}", legacy_id=n)) for n in (1, 2)]
    return [refund(found, alice) for found in orders]


def hand_over(actions: list[OrderAction]) -> int:
    return uninstalls.hand_over(actions[0].order.store, now=timezone.now())


def make_way(actions: list[OrderAction]) -> int:
    return uninstalls.make_way([action.order_id for action in actions], now=timezone.now())


both_ways = pytest.mark.parametrize("end", [hand_over, make_way])


def states(actions: list[OrderAction]) -> list[str]:
    for action in actions:
        action.refresh_from_db()
    return [action.state for action in actions]


@both_ways
def test_every_open_action_ends_in_one_call(queued: list[OrderAction], end: End) -> None:
    assert end(queued) == 2
    assert states(queued) == [ActionState.WITHDRAWN, ActionState.WITHDRAWN]


@both_ways
def test_the_oldest_action_ends_first(
    queued: list[OrderAction], end: End, one_at_a_time: None
) -> None:
    assert end(queued) == 1
    assert states(queued) == [ActionState.WITHDRAWN, ActionState.QUEUED]


@both_ways
def test_actions_that_have_ended_take_no_place_in_a_batch(
    queued: list[OrderAction], end: End, one_at_a_time: None
) -> None:
    assert [end(queued), end(queued)] == [1, 1]
    assert states(queued) == [ActionState.WITHDRAWN, ActionState.WITHDRAWN]
