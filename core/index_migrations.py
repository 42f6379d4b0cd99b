"""Indexes and columns of large tables that are in use while an upgrade builds and fills them.

The migrations aren't atomic and can simply be run again after an interruption. SQLite has one writer
at a time and gets the plain statements.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddIndex, RemoveIndex
from django.db.migrations.state import ProjectState

_BATCH: Final = 5_000


class AddIndexWhileInUse(AddIndex):
    """Build an index without locking its table, where the database can.

    A build that was interrupted leaves an invalid index of that name behind, so it is removed first
    and the migration can simply be run again. Needs a migration that isn't atomic.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Build it. Raises NotSupportedError within a transaction on PostgreSQL."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        name = schema_editor.quote_name(self.index.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        # Only the editor of PostgreSQL has this parameter.
        schema_editor.add_index(model, self.index, concurrently=True)  # type: ignore[call-arg]


class RemoveIndexWhileInUse(RemoveIndex):
    """Remove an index without locking its table, where the database can."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Remove the index."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        name = schema_editor.quote_name(self.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


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
