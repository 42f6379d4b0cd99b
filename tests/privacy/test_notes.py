"""The database lets an ended action's notes be deleted, and nothing else of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orders.models import SENDABLE_STATES, ActionState, Order, OrderAction, Store
from orders.privacy.own_columns import without_notes
from tests.privacy import filling
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db


@pytest.fixture
def action(alice: User) -> OrderAction:
    store = Store.objects.create(domain="demo.myshopify.com")
    order = Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)
    return filling.act(order, 7, alice)


def emptied(action: OrderAction) -> dict[str, Any]:
    return {
        "staff_note": "",
        "message": "",
        "proposal": {**action.proposal, "staff_note": ""},
        "steps": without_notes(action.steps, action.note_marker),
    }


def update(action: OrderAction, **changes: Any) -> None:
    with transaction.atomic():
        assert OrderAction.objects.filter(pk=action.pk).update(**changes) == 1


def test_the_notes_of_an_ended_action_can_be_emptied(action: OrderAction) -> None:
    for name, value in emptied(action).items():
        update(action, **{name: value})
    action.refresh_from_db()
    assert filling.canary(7) not in json.dumps([action.proposal, action.steps, action.message])
    assert action.steps[1]["variables"]["input"] == {"note": action.note_marker, "amount": "5.00"}
    assert action.proposal["facts"] == {"refunded": "0 EUR"}


@pytest.mark.parametrize("state", SENDABLE_STATES)
def test_the_notes_of_an_action_in_progress_cannot_be_emptied(
    action: OrderAction, state: ActionState
) -> None:
    changes = emptied(action)
    with without_triggers(connection):
        update(action, state=state, settled_at=None, evidence_at=None)
    for name in ("proposal", "steps"):
        with pytest.raises(IntegrityError):
            update(action, **{name: changes[name]})


def test_the_notes_of_an_action_waiting_for_a_supervisor_can_be_emptied(
    action: OrderAction,
) -> None:
    """Nothing is sent of it any more, and a deletion must not wait for a person for ever."""
    changes = emptied(action)
    with without_triggers(connection):
        update(action, state=ActionState.NEEDS_HUMAN, settled_at=None, evidence_at=None)
    for name, value in changes.items():
        update(action, **{name: value})


def _other_amount(steps: Any) -> Any:
    steps[1]["variables"]["input"]["amount"] = "500.00"
    return steps


def _other_note(steps: Any) -> Any:
    steps[0]["variables"]["staffNote"] = "the customer agreed"
    return steps


def _one_less(steps: Any) -> Any:
    return steps[1:]


def _turned(steps: Any) -> Any:
    return steps[::-1]


@pytest.mark.parametrize("forge", [_other_amount, _other_note, _one_less, _turned])
def test_a_redaction_cannot_change_the_frozen_request(action: OrderAction, forge: Any) -> None:
    for base in (action.steps, emptied(action)["steps"]):
        forged = forge(copy.deepcopy(base))
        with pytest.raises(IntegrityError):
            update(action, steps=forged)
        # The control: the trigger refuses it, nothing else.
        with without_triggers(connection):
            update(action, steps=forged)
            update(action, steps=action.steps)


@pytest.mark.parametrize(
    "changes",
    [
        {"staff_note": "another"},
        {"message": "It never happened."},
        {"proposal": {"staff_note": ""}},
        {"proposal": {"staff_note": "", "amount": "1.00", "facts": {"refunded": "0 EUR"}}},
        {"proposal": {"staff_note": "more", "amount": "5.00", "facts": {"refunded": "0 EUR"}}},
        {"staff_note": "", "amount": "6.00"},
        {"staff_note": "", "refund_gid": "gid://shopify/Refund/1"},
        {"staff_note": "", "settled_at": timezone.now()},
        {"staff_note": "", "state": ActionState.REJECTED},
        {"steps": []},
    ],
)
def test_nothing_else_of_an_ended_action_changes(
    action: OrderAction, changes: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        update(action, **changes)


def test_every_column_is_guarded_or_may_be_emptied() -> None:
    """A column added later has to be added to the trigger as well (SQLite lists them)."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL compares whole rows")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sql FROM sqlite_master "
            "WHERE type = 'trigger' AND name = 'orders_action_settled'"
        )
        (sql,) = cursor.fetchone()
    for column in OrderAction._meta.concrete_fields:
        is_maskable = column.column in {"staff_note", "message", "proposal", "steps"}
        assert (f"OLD.{column.column} IS NEW.{column.column}" in sql) != is_maskable
