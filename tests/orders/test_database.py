"""Invariants are the database's: it refuses what the code would never ask for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orders.models import ActionState, Order, OrderAction, OrderEvent, Store

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    store = Store.objects.create(domain="demo.myshopify.com")
    return Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)


def action(order: Order, by: User, **changes: Any) -> OrderAction:
    values: dict[str, Any] = {
        "order": order, "requested_by": by, "kind": "refund", "nonce": str(OrderAction.objects.count()),
        "digest": "d", "proposal": {}, "steps": [], "amount": "5.00", "currency": "EUR",
    }  # fmt: skip
    return OrderAction.objects.create(**values | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "dreaming"},
        {"kind": "wish"},
        {"amount": None},
        {"amount": "0"},
        {"amount": "-1"},
        {"currency": ""},
        {"kind": "cancel"},
        {"state": ActionState.SUCCEEDED, "settled_at": timezone.now()},
        {"state": ActionState.REJECTED},
        {"settled_at": timezone.now()},
        {"state": ActionState.WITHDRAWN, "settled_at": timezone.now(), "maybe_applied": True},
    ],
)
def test_an_impossible_action_is_refused(
    order: Order, alice: User, changes: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        action(order, alice, **changes)


def test_two_active_actions_of_one_order_are_refused(order: Order, alice: User, bob: User) -> None:
    action(order, alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        action(order, bob)
    OrderAction.objects.update(state=ActionState.REJECTED, settled_at=timezone.now())
    action(order, bob)


def test_without_the_index_two_actions_would_stand(order: Order, alice: User, bob: User) -> None:
    """Negative control."""
    constraint = next(
        c for c in OrderAction._meta.constraints if c.name == "orders_one_active_action"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {constraint.name}")
    action(order, alice)
    action(order, bob)
    assert OrderAction.objects.active().count() == 2


def test_one_click_and_one_key_are_one_action(order: Order, alice: User) -> None:
    first = action(order, alice, nonce="n")
    settled = {"state": ActionState.REJECTED, "settled_at": timezone.now()}
    OrderAction.objects.update(**settled)
    with pytest.raises(IntegrityError), transaction.atomic():
        action(order, alice, nonce="n", **settled)
    with pytest.raises(IntegrityError), transaction.atomic():
        action(order, alice, nonce="m", idempotency_key=first.idempotency_key, **settled)


def test_one_fact_is_one_event(order: Order) -> None:
    fact = {"order": order, "kind": "refunded", "key": "refunded:1", "source": "shopify"}
    OrderEvent.objects.create(occurred_at=timezone.now(), **fact)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderEvent.objects.create(occurred_at=timezone.now(), **fact)
