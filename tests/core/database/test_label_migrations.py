"""Migrations of labels leave the database alone and render the models once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from core.database.label_migrations import LabelsOnly


def changes() -> list[Operation]:
    return [
        migrations.AlterField("thing", name, models.CharField(max_length=9, help_text="New."))
        for name in ("one", "two")
    ]


@pytest.fixture
def state() -> ProjectState:
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        (name, models.CharField(max_length=9)) for name in ("one", "two")
    ]
    found = ProjectState({("toy", "thing"): ModelState("toy", "Thing", fields)})
    assert found.apps.get_model("toy", "Thing")
    return found


def test_the_state_knows_the_new_labels(state: ProjectState) -> None:
    LabelsOnly(state_operations=changes()).state_forwards("toy", state)
    rendered = state.apps.get_model("toy", "Thing")
    assert [rendered._meta.get_field(n).help_text for n in ("one", "two")] == ["New.", "New."]


def test_models_are_not_rendered_for_each_field(state: ProjectState) -> None:
    LabelsOnly(state_operations=changes()).state_forwards("toy", state)
    assert "apps" not in state.__dict__


def test_plain_changes_would_render_them_each_time(state: ProjectState) -> None:
    """Negative control."""
    for change in changes():
        change.state_forwards("toy", state)
    assert "apps" in state.__dict__


def test_no_statement_reaches_the_database() -> None:
    assert LabelsOnly(state_operations=changes()).database_operations == []
