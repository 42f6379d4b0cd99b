"""Migration 0015: actions in progress during an upgrade end like any other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.utils import timezone

from orders import services
from orders.models import ActionState, Order, OrderAction, Store
from shopify_sync.reading import orders
from tests.support.orders.acting import ask, cancel, perform, refund, without_wake_ups
from tests.support.shop.in_process import Shop

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
migration: Any = import_module("orders.migrations.0015_remember_acceptance")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wake_ups(monkeypatch)


def as_it_was(action: OrderAction, **changes: Any) -> None:
    """As the row was written before 0012: without what it had accepted, and one time only."""
    blank = {"accepted_steps": 0, "step_last_sent_at": None, "refund_gid": ""}
    OrderAction.objects.filter(pk=action.pk).update(**blank | changes)


def test_an_accepted_cancellation_is_not_sent_again(
    shop: Shop, seen: Seen, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job is not known any more, and a replica does not show the cancellation yet."""
    shop.place(paid=True)
    action = ask(seen(), cancel(), alice)
    stale = Order.objects.get(pk=action.order_id).snapshot
    assert perform(action).state == ActionState.PENDING
    as_it_was(action, job_gid="gid://shopify/Job/1")
    migration.remember(apps, None)
    time.sleep(0.1)
    real = orders.read_snapshot
    with monkeypatch.context() as patched:
        patched.setattr(orders, "read_snapshot", lambda *_: replace(stale))
        assert perform(action).state == ActionState.PENDING
    monkeypatch.setattr(orders, "read_snapshot", real)
    assert perform(action).state == ActionState.SUCCEEDED
    assert len(shop.ledger()["cancelations"]) == 1


def test_what_was_in_doubt_still_has_its_deadline(shop: Shop, seen: Seen, alice: User) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    shop.fault(operation="refundCreate", phase="drop_before")
    assert perform(action).state == ActionState.UNKNOWN
    first = timezone.now() - timedelta(hours=21)
    as_it_was(action, step_first_sent_at=first)
    migration.remember(apps, None)
    found = OrderAction.objects.get(pk=action.pk)
    assert (found.step_last_sent_at, found.accepted_steps) == (first, 0)
    services.end_overdue(now=timezone.now())
    action.refresh_from_db()
    assert action.state == ActionState.NEEDS_HUMAN


@pytest.mark.parametrize("expires_at", [None, "approval"])
def test_what_was_not_sent_expires(
    shop: Shop, seen: Seen, alice: User, store: Store, expires_at: Any
) -> None:
    shop.place(paid=True)
    action = ask(seen(), refund("5.00"), alice)
    in_time = expires_at and action.requested_at + timedelta(hours=4)
    OrderAction.objects.update(expires_at=in_time)
    migration.remember(apps, None)
    found = OrderAction.objects.get(pk=action.pk)
    assert found.expires_at == action.requested_at + timedelta(hours=24)


@pytest.mark.parametrize(
    ("choice", "columns", "accepted", "in_doubt"),
    [
        (refund("5.00"), {"step": 0}, 1, False),
        (refund("5.00"), {"step": 0, "is_doubtful": True}, 0, True),
        (cancel("5.00"), {"step": 0, "job_gid": "gid://shopify/Job/1"}, 1, False),
        (cancel("5.00"), {"step": 1, "is_doubtful": True}, 1, True),
        # Accepted or throttled: which of the two was not written down.
        (cancel("5.00"), {"step": 1}, 1, True),
    ],
)
def test_what_was_accepted_is_remembered(
    shop: Shop,
    seen: Seen,
    alice: User,
    choice: Any,
    columns: dict[str, Any],
    accepted: int,
    in_doubt: bool,
) -> None:
    shop.place(paid=True)
    action = ask(seen(), choice, alice)
    sent = {"maybe_applied": True, "step_first_sent_at": timezone.now()}
    as_it_was(action, **sent, **columns)
    migration.remember(apps, None)
    migration.remember(apps, None)
    found = OrderAction.objects.get(pk=action.pk)
    assert (found.accepted_steps, found.is_doubtful) == (accepted, in_doubt)
