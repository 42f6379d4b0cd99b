"""Upgrading to teams doesn't keep conversations locked while an index of them is built."""

from __future__ import annotations

import pytest
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

INDEX = "inbox_list_team"
INDEXES = (INDEX, "inbox_without_team")


@pytest.mark.parametrize("name", INDEXES)
def test_the_indexes_of_teams_have_migrations_of_their_own(name: str) -> None:
    adding = [
        (found, operation)
        for (app, _name), found in MigrationLoader(None).disk_migrations.items()
        if app == "inbox"
        for operation in found.operations
        if isinstance(operation, migrations.AddIndex) and operation.index.name == name
    ]
    assert len(adding) == 1
    found, operation = adding[0]
    assert found.operations == [operation]
    assert found.atomic is False, "a transaction would keep its lock until the index is built"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_it_is_built_while_messages_arrive_and_can_be_built_again() -> None:
    loader = MigrationLoader(connection)
    key = next(key for key in loader.disk_migrations if key[1].endswith("_team_list_index"))
    found = loader.disk_migrations[key]
    state = loader.project_state(key)
    with (
        CaptureQueriesContext(connection) as asked,
        connection.schema_editor(atomic=False) as editor,
    ):
        # An interrupted build has left the index behind.
        found.operations[0].database_forwards("inbox", editor, state, state)
    made = [query["sql"] for query in asked if "CREATE INDEX" in query["sql"]]
    assert len(made) == 1
    assert "CONCURRENTLY" in made[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [INDEX])
        assert cursor.fetchone() == (True,)
