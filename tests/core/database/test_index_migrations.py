"""Indexes of large tables are built while the tables are in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, migrations, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from core.database.index_migrations import AddIndexWhileInUse, RemoveIndexWhileInUse
from orders import audit
from orders.models import AuditEntry, AuditKind

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time"
)
INDEXES = [
    ("inbox", "inbox_list_team"),
    ("inbox", "inbox_without_team"),
    ("orders", "orders_audit_action"),
    ("orders", "orders_dirty_of_store"),
]


def adding(app: str, index: str) -> tuple[migrations.Migration, migrations.AddIndex]:
    found = [
        (step, operation)
        for (label, _), step in MigrationLoader(None).disk_migrations.items()
        if label == app
        for operation in step.operations
        if isinstance(operation, migrations.AddIndex) and operation.index.name == index
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("app", "index"), INDEXES)
def test_the_index_is_built_outside_a_transaction(app: str, index: str) -> None:
    step, operation = adding(app, index)
    assert isinstance(operation, AddIndexWhileInUse)
    assert step.atomic is False, "a transaction would keep its lock until the index is built"


class Log:
    """The audit log and the migration that gives it its index."""

    index = "orders_audit_action"

    def __init__(self) -> None:
        self.step, operation = adding("orders", self.index)
        loader = MigrationLoader(connection)
        self.state = loader.project_state(self.step.dependencies[0])
        self.plain = migrations.AddIndex(operation.model_name, operation.index)

    def build(self) -> list[str]:
        return self._run(lambda editor: self.step.apply(self.state.clone(), editor))

    def build_in_the_plain_way(self) -> None:
        after = self.step.mutate_state(self.state)
        self._run(lambda editor: self.plain.database_forwards("orders", editor, self.state, after))

    def drop(self) -> list[str]:
        return self._run(lambda editor: self.step.unapply(self.state.clone(), editor))

    def remove(self) -> list[str]:
        """As a later migration would."""
        after = self.step.mutate_state(self.state)
        operation = RemoveIndexWhileInUse("auditentry", self.index)
        return self._run(
            lambda editor: operation.database_forwards("orders", editor, after, self.state)
        )

    def _run(self, what: Callable[[Any], object]) -> list[str]:
        with (
            CaptureQueriesContext(connection) as asked,
            connection.schema_editor(atomic=self.step.atomic) as editor,
        ):
            what(editor)
        return [
            " ".join(sql.split()[:3]) for sql in (row["sql"] for row in asked) if "INDEX" in sql
        ]

    def has_index(self) -> bool:
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, AuditEntry._meta.db_table)
        return self.index in found


@pytest.fixture
def log(transactional_db: None) -> Iterator[Log]:
    """The log as it was before this migration."""
    found = Log()
    found.drop()
    assert not found.has_index()
    yield found
    found.build()


def test_it_is_built_once(log: Log) -> None:
    """An earlier version of the migrations may have made it already."""
    assert len(log.build()) == 1
    assert log.has_index()
    assert log.build() == []


@pytest.mark.parametrize("how", [Log.drop, Log.remove])
def test_it_can_be_removed_twice(log: Log, how: Callable[[Log], list[str]]) -> None:
    log.build()
    assert len(how(log)) == 1
    assert not log.has_index()
    how(log)


@on_postgresql
def test_what_an_interrupted_build_left_is_built_again(log: Log) -> None:
    assert log.build() == ["CREATE INDEX CONCURRENTLY"]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [log.index]
        )
    assert log.build() == ["DROP INDEX CONCURRENTLY", "CREATE INDEX CONCURRENTLY"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [log.index]
        )
        assert cursor.fetchone() == (True,)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("3s",)


@pytest.fixture
def writing_goes_on() -> Callable[[Callable[[], object]], None]:
    """Build while one transaction has written to the log and another one wants to.

    Raises OperationalError if the build keeps the second one waiting.
    """

    def run(build: Callable[[], object]) -> None:
        failed: list[OperationalError] = []

        def work() -> None:
            try:
                with connection.cursor() as cursor:
                    # Less than it has to wait; lifted for a build that nobody queues behind.
                    cursor.execute("SET lock_timeout = 300")
                build()
            except OperationalError as error:
                failed.append(error)
            finally:
                connection.close()

        building = threading.Thread(target=work)
        other = connection.copy()
        try:
            with transaction.atomic():
                audit.record(AuditKind.STORE, actor=None)
                building.start()
                _wait_for_the_build(other)
                with other.cursor() as cursor:
                    cursor.execute("SET lock_timeout = 100")
                    cursor.execute(
                        "INSERT INTO orders_auditentry SELECT (jsonb_populate_record(e, "
                        "jsonb_build_object('id', e.id + 1000000))).* FROM orders_auditentry e"
                    )
                time.sleep(0.4)
        finally:
            building.join()
            other.close()
        if failed:
            raise failed[0]

    return run


def _wait_for_the_build(other: BaseDatabaseWrapper) -> None:
    """Asks outside the transaction, in which the answer would stay the same."""
    for _ in range(200):
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' "
                "AND state = 'active' AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone():
                return
        time.sleep(0.02)
    raise AssertionError("The index is not being built.")


@on_postgresql
def test_the_log_is_written_to_during_the_build(
    log: Log, writing_goes_on: Callable[[Callable[[], object]], None]
) -> None:
    audit.record(AuditKind.STORE, actor=None)
    writing_goes_on(log.build)
    assert log.has_index()
    assert AuditEntry.objects.count() == 3


@on_postgresql
def test_a_plain_build_would_stop_it(
    log: Log, writing_goes_on: Callable[[Callable[[], object]], None]
) -> None:
    """Negative control."""
    audit.record(AuditKind.STORE, actor=None)
    with pytest.raises(OperationalError):
        writing_goes_on(log.build_in_the_plain_way)
