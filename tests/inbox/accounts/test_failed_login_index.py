"""Attempts find a name's failures by an index, which an upgrade builds without a lock."""

from __future__ import annotations

import pytest
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.accounts.login import throttling

NAME = "inbox_failed_login_once"
KEY = ("inbox", "0028_failed_login_index")


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="others plan by what is in the table")
def test_a_names_failures_are_found_by_its_digest() -> None:
    tried = throttling.attempt(RequestFactory().post("/login/"), "kim")
    with CaptureQueriesContext(connection) as asked:
        throttling.wait_s(tried, now=timezone.now())
    by_name = [query["sql"] for query in asked if '"name_digest"' in query["sql"]]
    assert len(by_name) == 2
    for sql in by_name:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = str(cursor.fetchall())
        assert "(name_digest=?" in plan, plan


def test_the_index_has_a_migration_of_its_own() -> None:
    found = MigrationLoader(None).disk_migrations[KEY]
    [operation] = found.operations
    assert isinstance(operation, migrations.AddConstraint)
    assert operation.constraint.name == NAME
    assert found.atomic is False, "a transaction would keep its lock until the index is built"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_it_is_built_while_people_log_in_and_can_be_built_again() -> None:
    loader = MigrationLoader(connection)
    state = loader.project_state(KEY)
    with (
        CaptureQueriesContext(connection) as asked,
        connection.schema_editor(atomic=False) as editor,
    ):
        # An interrupted upgrade has left the constraint behind.
        loader.disk_migrations[KEY].operations[0].database_forwards("inbox", editor, state, state)
    made = [query["sql"] for query in asked if "CREATE UNIQUE INDEX" in query["sql"]]
    assert len(made) == 1
    assert "CONCURRENTLY" in made[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contype::text, convalidated FROM pg_constraint WHERE conname = %s", [NAME]
        )
        assert cursor.fetchone() == ("u", True)
