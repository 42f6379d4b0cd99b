"""Indexes and columns of large tables that are in use while an upgrade builds and fills them.

The migrations aren't atomic and can simply be run again after an interruption. SQLite has one writer
at a time and gets the plain statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.contrib.postgres.operations import TrigramExtension
from django.core.management import CommandError
from django.db import ProgrammingError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.migrations import AddIndex, RemoveIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model

_BATCH: Final = 5_000


class AddIndexWhileInUse(AddIndex):
    """AddIndex that holds up neither readers nor writers. The migration needs `atomic = False`.

    On PostgreSQL the index is built concurrently. Such a build waits for every transaction that is
    open, but no query queues behind it, so the lock timeout, which would end it, is lifted.

    It can simply be run again: an index that an interrupted build left invalid is built again, and
    a complete one, made by an earlier version of the migrations, is kept.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Build the index if there is no complete one."""
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor == "postgresql":
            statement = self.index.create_sql(model, schema_editor, concurrently=True)
            _build(schema_editor, self.index.name, statement)
        elif self.index.name not in _names(connection, model):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index, if there is one."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, self.index.name)


class RemoveIndexWhileInUse(RemoveIndex):
    """RemoveIndex that holds up neither readers nor writers, and can be run again."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index, if there is one."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _drop(schema_editor, self.name)


def fill(schema_editor: BaseDatabaseSchemaEditor, table: str, change: str, where: str) -> None:
    """UPDATE the rows of a table that match `where`, a few thousand per transaction.

    `change` must make a row stop matching `where`, which is how a run that was interrupted goes on.
    `where` should be served by an index.
    """
    here = schema_editor.connection
    # By ID, as everything locks that locks several rows.
    lock = " FOR UPDATE" if here.vendor == "postgresql" else ""
    some = f"SELECT id FROM {table} WHERE {where} ORDER BY id LIMIT {_BATCH}{lock}"  # noqa: S608
    while True:
        with transaction.atomic(using=here.alias), here.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {change} WHERE id IN ({some})")  # noqa: S608
            if not cursor.rowcount:
                return


class CreateTrigrams(TrigramExtension):
    """Create PostgreSQL's extension pg_trgm, by whose indexes parts of words are found."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create it unless it exists. Raises CommandError, with what to do, without the right."""
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except ProgrammingError as error:
            name = schema_editor.connection.settings_dict["NAME"]
            raise CommandError(
                f"This role may not create the extension pg_trgm ({error}). As an administrator "
                f'of PostgreSQL, run CREATE EXTENSION pg_trgm; in the database "{name}", then '
                "migrate again. On Debian and Ubuntu it comes with the package postgresql-contrib."
            ) from error

    def database_backwards(self, *args: object) -> None:
        """Keep it: it may have been there before."""


class AddTrigramIndex(Operation):
    """Build an index for LIKE '%part%' without locking the table; nothing on other databases.

    `expression` is the SQL of what is searched, as Django writes it for `icontains`. The index isn't
    part of the models, since other databases have no such thing.
    """

    reduces_to_sql = False

    def __init__(self, name: str, table: str, expression: str, where: str = "") -> None:
        self.name, self.table, self.expression, self.where = name, table, expression, where

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing in the models."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Build it, in place of what an interrupted build left behind."""
        if schema_editor.connection.vendor != "postgresql":
            return
        # fastupdate would keep new rows in a list that every search reads through.
        statement = (
            f"CREATE INDEX CONCURRENTLY {self.name} ON {self.table} "
            f"USING gin ({self.expression} gin_trgm_ops) WITH (fastupdate = off)"
        )
        where = f" WHERE {self.where}" if self.where else ""
        _build(schema_editor, self.name, statement + where)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Remove it."""
        if schema_editor.connection.vendor == "postgresql":
            _drop(schema_editor, self.name)

    def describe(self) -> str:
        """Describe the operation, for the output of `migrate`."""
        return f"Create trigram index {self.name} on {self.table}"


@contextmanager
def without_lock_timeout(editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """Let PostgreSQL wait for other transactions as long as it takes; nothing on other databases.

    For statements that no query queues behind while they wait. A backup's transaction may be open
    for hours.
    """
    if editor.connection.vendor != "postgresql":
        yield
        return
    editor.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        editor.execute("RESET lock_timeout")


def _build(editor: BaseDatabaseSchemaEditor, name: str, statement: Statement | str) -> None:
    """Build an index of PostgreSQL, in place of what an interrupted build left behind."""
    valid = _is_valid(editor.connection, name)
    if valid:
        return
    if valid is False:
        _drop(editor, name)
    with without_lock_timeout(editor):
        editor.execute(statement, params=None)


def _drop(editor: BaseDatabaseSchemaEditor, name: str) -> None:
    how = "CONCURRENTLY IF EXISTS" if editor.connection.vendor == "postgresql" else "IF EXISTS"
    with without_lock_timeout(editor):
        editor.execute(f"DROP INDEX {how} {editor.quote_name(name)}", params=None)


def _is_valid(connection: BaseDatabaseWrapper, name: str) -> bool | None:
    """Say whether the index is complete; None if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE relname = %s AND relnamespace = current_schema()::regnamespace",
            [name],
        )
        row = cursor.fetchone()
    return bool(row[0]) if row else None


def _names(connection: BaseDatabaseWrapper, model: type[Model]) -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, model._meta.db_table))
