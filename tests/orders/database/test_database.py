"""The database itself refuses what the code would never do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from orders.models import (
    SETTLED_STATES,
    TRANSITIONS,
    ActionState,
    AuditEntry,
    AuditKind,
    AuditSeal,
    Order,
    OrderAction,
    OrderEvent,
    OrderVersion,
    Store,
)
from tests.support.database.copies import without_triggers

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    store = Store.objects.create(domain="demo.myshopify.com")
    return Order.objects.create(store=store, gid="gid://shopify/Order/1", legacy_id=1)


def action(order: Order, by: User, **changes: Any) -> OrderAction:
    values: dict[str, Any] = {
        "order": order,
        "requested_by": by,
        "kind": "refund",
        "nonce": str(OrderAction.objects.count()),
        "digest": "d",
        "proposal": {},
        "steps": [],
        "amount": "5.00",
        "currency": "EUR",
    }
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
        {"state": ActionState.REJECTED, "settled_at": timezone.now(), "maybe_applied": True},
        {"state": ActionState.AWAITING_BANK, "settled_at": timezone.now()},
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
    OrderAction.objects.update(state=ActionState.WITHDRAWN, settled_at=timezone.now())
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
    settled = {"state": ActionState.WITHDRAWN, "settled_at": timezone.now()}
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


MOVES = [(old, new) for old in ActionState for new in ActionState if old != new]


def placed_in(state: ActionState, order: Order, by: User) -> OrderAction:
    """An action as it would stand in this state, whatever way led there."""
    made = action(order, by)
    with without_triggers(connection):
        OrderAction.objects.filter(pk=made.pk).update(**columns_of(state))
    return made


def columns_of(state: ActionState) -> dict[str, Any]:
    now = timezone.now()
    return {
        "state": state,
        "settled_at": now if state in SETTLED_STATES else None,
        "evidence_at": now if state in {ActionState.SUCCEEDED, ActionState.AWAITING_BANK} else None,
    }


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_the_database_allows_exactly_the_moves_of_the_table(
    old: ActionState, new: ActionState, order: Order, alice: User
) -> None:
    made = placed_in(old, order, alice)
    rows = OrderAction.objects.filter(pk=made.pk)
    if new in TRANSITIONS.get(old, ()):
        assert rows.update(**columns_of(new)) == 1
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(**columns_of(new))
    # The control: it is the trigger that refuses, nothing else.
    with without_triggers(connection):
        assert rows.update(**columns_of(new)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": [{"goal": "refund"}]},
        {"proposal": {"amount": "999"}},
        {"amount": "6.00"},
        {"idempotency_key": "00000000-0000-4000-8000-000000000000"},
        {"digest": "other"},
    ],
)
def test_what_was_confirmed_never_changes(
    order: Order, alice: User, changes: dict[str, Any]
) -> None:
    made = action(order, alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderAction.objects.filter(pk=made.pk).update(**changes)


def test_a_settled_action_is_history(order: Order, alice: User) -> None:
    made = placed_in(ActionState.REJECTED, order, alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderAction.objects.filter(pk=made.pk).update(message="It never happened.")


@pytest.mark.parametrize(
    "changes",
    [
        {"approvals_needed": 1},
        {"approvals_needed": 2, "approved_by": "bob"},
        {"approved_by": "alice"},
        {"approved_by": "bob", "co_approved_by": "bob"},
        {"state": ActionState.WITHDRAWN, "settled_at": timezone.now(), "reserved": "5.00"},
    ],
)
def test_the_database_refuses_an_approval_by_one_person_alone(
    order: Order, alice: User, bob: User, changes: dict[str, Any]
) -> None:
    people = {"alice": alice, "bob": bob}
    values = {
        name: people[value] if isinstance(value, str) and value in people else value
        for name, value in changes.items()
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        action(order, alice, **values)


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_the_audit_log_is_only_added_to(verb: str) -> None:
    entry = AuditEntry.objects.create(kind=AuditKind.STORE)
    seal = AuditSeal.objects.create(seq=1, entry_id=entry.pk, prev_hash="0" * 64, hash="1" * 64)
    for row, change in ((entry, {"after": "x"}), (seal, {"hash": "2" * 64})):
        rows = type(row).objects.filter(pk=row.pk)
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change) if verb == "update" else rows.delete()
    with without_triggers(connection):
        assert AuditEntry.objects.filter(pk=entry.pk).update(after="x") == 1


def _columns(row: Model) -> tuple[str, list[Any]]:
    """The row's INSERT OR REPLACE, as another program could send it."""
    fields = row._meta.concrete_fields
    names = ", ".join(str(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection=connection)
        for field in fields
    ]
    table = row._meta.db_table
    return f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values  # noqa: S608


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("pragma", ["ON", "OFF"])
def test_nothing_recorded_is_replaced(pragma: str, order: Order, alice: User) -> None:
    """With the setting that our own connections use, and with another program's default."""
    made = placed_in(ActionState.REJECTED, order, alice)
    entry = AuditEntry.objects.create(kind=AuditKind.STORE)
    seal = AuditSeal.objects.create(seq=1, entry_id=entry.pk, prev_hash="0" * 64, hash="1" * 64)
    entry.after, seal.hash, seal.seq, made.message = "x", "2" * 64, 2, "It never happened."
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA recursive_triggers = {pragma}")
        try:
            for row in (entry, seal, made):
                with pytest.raises(IntegrityError), transaction.atomic():
                    cursor.execute(*_columns(row))
            # The control: it is the triggers that refuse, nothing else.
            with without_triggers(connection):
                for row in (entry, seal, made):
                    cursor.execute(*_columns(row))
        finally:
            cursor.execute("PRAGMA recursive_triggers = ON")
    assert AuditEntry.objects.get(pk=entry.pk).after == "x"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
def test_our_connections_run_delete_triggers_when_they_replace() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers")
        assert cursor.fetchone() == (1,)


def test_an_action_is_neither_deleted_nor_given_another_number(order: Order, alice: User) -> None:
    made = placed_in(ActionState.REJECTED, order, alice)
    rows = OrderAction.objects.filter(pk=made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(id=made.pk + 1)
    with without_triggers(connection):
        assert rows.delete()[0] == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
@pytest.mark.parametrize("model", [AuditEntry, AuditSeal, OrderAction])
def test_no_record_is_emptied_at_once(model: type[Model]) -> None:
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")
        with without_triggers(connection):
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")


def test_a_kept_state_never_changes_but_may_go(order: Order) -> None:
    now = timezone.now()
    OrderVersion.objects.create(order=order, number=1, since=now, until=now, document=b"x")
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderVersion.objects.update(document=b"y")
    # The control: it is the trigger that refuses, nothing else.
    with without_triggers(connection):
        assert OrderVersion.objects.update(document=b"y") == 1
    OrderVersion.objects.all().delete()


def test_a_version_number_is_unique_and_no_version_ends_before_it_began(order: Order) -> None:
    now = timezone.now()
    values = {"order": order, "until": now, "document": b"x"}
    OrderVersion.objects.create(number=1, since=now, **values)
    for number, since in ((1, now), (2, now + timedelta(seconds=1))):
        with pytest.raises(IntegrityError), transaction.atomic():
            OrderVersion.objects.create(number=number, since=since, **values)
