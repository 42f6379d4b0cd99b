"""Indexes of tables that are in use while an upgrade builds them."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddIndex
from django.db.migrations.state import ProjectState


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
