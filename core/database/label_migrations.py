"""Migrations of labels and help texts, which the database never sees."""

from __future__ import annotations

from django.db.migrations import SeparateDatabaseAndState
from django.db.migrations.state import ProjectState


class LabelsOnly(SeparateDatabaseAndState):
    """Change what models say about their fields: state operations without any SQL.

    Each AlterField would render the models of the whole project again. Dropping the rendered models
    first makes it once for all of them, which saves seconds in every new database.
    """

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Apply all changes to the state; the next user of `state.apps` renders them."""
        state.__dict__.pop("apps", None)
        super().state_forwards(app_label, state)
