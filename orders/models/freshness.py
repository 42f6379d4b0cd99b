"""What Order and Customer share about how fresh they are."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


def dirty_column() -> models.GeneratedField:
    """Whether `dirty_seq` is ahead of `clean_seq`; only the database sets it.

    As a column of its own, because PostgreSQL knows how many rows of it are true. On PostgreSQL a
    trigger keeps it (migration 0025).
    """
    return models.GeneratedField(
        expression=Q(dirty_seq__gt=F("clean_seq")),  # type: ignore[arg-type]
        output_field=models.BooleanField(),
        db_persist=True,
    )
