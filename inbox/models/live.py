"""Live-update events for browsers: one short-lived row per announcement."""

from __future__ import annotations

from django.db import models
from django.db.models import Func
from django.utils import timezone


class CurrentTransaction(Func):
    """The number of the writing transaction, for `LiveEvent.at`.

    PostgreSQL has transaction IDs. SQLite has a single writer, so a plain counter gives the
    commit order; the newest row is never pruned, so that no number is assigned twice.
    """

    output_field = models.BigIntegerField()

    def as_sql(
        self, compiler: object, connection: object, *_: object, **__: object
    ) -> tuple[str, tuple[()]]:
        return "pg_current_xact_id()::text::bigint", ()

    def as_sqlite(
        self, compiler: object, connection: object, **__: object
    ) -> tuple[str, tuple[()]]:
        return "(SELECT COALESCE(MAX(at), 0) + 1 FROM inbox_liveevent)", ()


class LiveEvent(models.Model):
    """A change that browsers should show; written in the transaction that made it
    (inbox.live.events)."""

    topics = models.TextField(help_text="Topics of the screens that changed, separated by spaces.")
    # Not the id: concurrent transactions may commit in a different order than they inserted, and
    # a reader that had already seen the higher id would never look at the lower one.
    at = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            # inbox.live.events.read: what was written since.
            models.Index(fields=["at"], name="inbox_live_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at}: {self.topics}"
