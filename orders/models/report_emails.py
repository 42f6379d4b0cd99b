"""Who gets the money report by email every month."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.database.leases import is_due
from orders.models.stores import Store


def last_month_end(now: datetime) -> date:
    """Return the last day of the latest month that is over, in UTC."""
    return now.astimezone(UTC).date().replace(day=1) - timedelta(days=1)


class ReportEmailQuerySet(models.QuerySet["ReportEmail"]):
    """Filters for what is still to be sent."""

    def unsent(self, *, now: datetime) -> Self:
        """Rows whose last month hasn't been reported."""
        return self.filter(reported_until__lt=last_month_end(now))

    def due(self, *, now: datetime) -> Self:
        """Unsent rows whose next try has come, and which no worker is busy with."""
        return self.unsent(now=now).filter(is_due("next_attempt_at", now=now))


class ReportEmail(models.Model):
    """One person's wish for one report: of a store, or, without one, of every store.

    A month is sent once: who sends it moves `reported_until`, from what it was, to its last day.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="report_emails")
    store = models.ForeignKey(Store, models.CASCADE, null=True, related_name="+")
    reported_until = models.DateField(
        help_text="The last day of the last month that was dealt with."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="While a worker is busy with it: when another may take over."
    )

    objects = ReportEmailQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "store"], name="orders_report_email_once"),
            # NULLs are distinct.
            models.UniqueConstraint(
                fields=["user"], condition=Q(store=None), name="orders_report_email_of_all_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Report for {self.user}, until {self.reported_until}"
