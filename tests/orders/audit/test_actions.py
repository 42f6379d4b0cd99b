"""What the triggers' owner could do to actions is found by comparing them with the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from orders import audit
from orders.actions import transitions
from orders.models import ActionState, Order, OrderAction, Store
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(alice: User) -> OrderAction:
    store = Store.objects.create(domain="demo.myshopify.com")
    order = Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)
    values: dict[str, Any] = {"proposal": {}, "steps": [], "amount": "5.00", "currency": "EUR"}
    action = OrderAction.objects.create(
        order=order, requested_by=alice, kind="refund", nonce="n", digest="d", **values
    )
    action.refresh_from_db()
    transitions.created(action, alice)
    return action


def _delete(action: OrderAction) -> None:
    OrderAction.objects.filter(pk=action.pk).delete()


def _settle(action: OrderAction) -> None:
    OrderAction.objects.filter(pk=action.pk).update(state=ActionState.SENDING)


def _raise_amount(action: OrderAction) -> None:
    OrderAction.objects.filter(pk=action.pk).update(amount="500.00")


def _approve(action: OrderAction) -> None:
    boss = User.objects.create_user("boss")
    OrderAction.objects.filter(pk=action.pk).update(approved_by=boss)


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (_delete, "was deleted"),
        (_settle, "the log says queued"),
        (_raise_amount, "another amount"),
        (_approve, "an approval that is not in the log"),
    ],
)
def test_an_action_changed_behind_the_log_is_found(
    made: OrderAction, attack: Callable[[OrderAction], None], said: str
) -> None:
    assert list(audit.check_actions()) == []
    with without_triggers(connection):
        attack(made)
    assert [said in problem for problem in audit.check_actions()] == [True]
    with pytest.raises(CommandError):
        call_command("audit_verify")


def test_an_action_that_the_log_never_saw_is_found(made: OrderAction) -> None:
    OrderAction.objects.create(
        order=made.order,
        requested_by=made.requested_by,
        kind="cancel",
        nonce="another",
        digest="d",
        proposal={},
        steps=[],
        state=ActionState.WITHDRAWN,
        settled_at=made.requested_at,
    )
    assert ["is not in the log" in problem for problem in audit.check_actions()] == [True]
