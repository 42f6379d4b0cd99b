"""What changed, for the browsers that look at it: one short-lived row for each announcement."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Func
from django.utils import timezone


class CurrentTransaction(Func):
    """The number of the writing transaction, as `LiveEvent.at` keeps it.

    PostgreSQL has one. SQLite has a single writer, so that counting on gives the order of the
    commits; the newest row is never pruned, so that a number is not given twice.
    """

    output_field = models.BigIntegerField()

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[()]]:
        return "pg_current_xact_id()::text::bigint", ()

    def as_sqlite(self, compiler: Any, connection: Any, **__: Any) -> tuple[str, tuple[()]]:
        return "(SELECT COALESCE(MAX(at), 0) + 1 FROM inbox_liveevent)", ()


class LiveEvent(models.Model):
    """Something looks different. Written in the transaction that changed it (inbox.live.events)."""

    topics = models.TextField(help_text="What looks different, separated by spaces.")
    # Not the id: two transactions that run at once may commit in another order than they
    # wrote, and whoever had read the higher id would never look at the lower one.
    at = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            # live.read: what was written since.
            models.Index(fields=["at"], name="inbox_live_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at}: {self.topics}"
