"""Migration 0012: actions that were under way before it end like those that began after it."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.utils import timezone

from orders import services
from orders.models import ActionState, Order, OrderAction, Store

pytestmark = pytest.mark.django_db(transaction=True)
migration: Any = import_module("orders.migrations.0012_engine_truth")
BEGAN = timezone.now() - timedelta(days=2)
CANCEL, REFUND = {"goal": "cancel_order"}, {"goal": "refund"}


@pytest.fixture
def held(alice: User) -> Any:
    """Makes an action as the version before it left one."""
    store = Store.objects.create(domain="demo.myshopify.com")

    def hold(state: ActionState, **more: Any) -> OrderAction:
        number = Order.objects.count() + 1
        order = Order.objects.create(store=store, gid=f"o{number}", legacy_id=number)
        action = OrderAction(
            order=order, kind="cancel_and_refund", state=state, requested_by=alice,
            nonce=str(number), digest="", proposal={}, steps=[CANCEL, REFUND], amount=1,
            currency="EUR", attempts=1, **more,
        )  # fmt: skip
        action.save(force_insert=True)
        return action

    return hold


def upgraded(*held: OrderAction) -> None:
    migration.remember_sends(apps, None)
    for action in held:
        action.refresh_from_db()


SENT: dict[str, Any] = {"maybe_applied": True, "step_first_sent_at": BEGAN}


@pytest.mark.parametrize(
    ("state", "more"),
    [
        (ActionState.PENDING, {}),
        (ActionState.UNKNOWN, {"is_doubtful": True}),
        (ActionState.BLOCKED, {"is_doubtful": True}),
    ],
)
def test_what_was_sent_before_goes_to_a_person_at_its_deadline(
    held: Any, state: ActionState, more: dict[str, Any]
) -> None:
    action = held(state, **SENT, **more)
    now = timezone.now()
    assert services.end_overdue(now=now) == 0  # the control: without the migration, never
    upgraded(action)
    assert services.end_overdue(now=now) == 1
    action.refresh_from_db()
    assert action.state == ActionState.NEEDS_HUMAN


@pytest.mark.parametrize("state", [ActionState.QUEUED, ActionState.BLOCKED])
def test_what_was_not_sent_before_has_a_day(held: Any, state: ActionState) -> None:
    action = held(state)
    upgraded(action)
    now = timezone.now()
    assert services.end_overdue(now=now) == 0
    assert services.end_overdue(now=now + timedelta(hours=25)) == 1
    action.refresh_from_db()
    assert action.state == ActionState.EXPIRED


def test_what_was_accepted_before_is_not_sent_again(held: Any) -> None:
    canceling = held(ActionState.PENDING, **SENT, job_gid="gid://shopify/Job/1")
    in_doubt = held(ActionState.UNKNOWN, **SENT, is_doubtful=True)
    refunding = held(ActionState.UNKNOWN, **SENT, job_gid="gid://shopify/Job/2", step=1)
    upgraded(canceling, in_doubt, refunding)
    assert [a.accepted_steps for a in (canceling, in_doubt, refunding)] == [1, 0, 1]
    assert {a.step_last_sent_at for a in (canceling, in_doubt, refunding)} == {BEGAN}
