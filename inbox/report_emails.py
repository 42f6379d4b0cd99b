"""Emailing the money report of the month that is over, once to each person who asked for it.

The rows (orders.models.ReportEmail) say what is still to be sent, and a sweep finds them; a Celery
message only makes that start sooner.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from django.utils import timezone

from core import queue
from inbox.accounts import roles
from inbox.channels import email
from inbox.channels.errors import NotSent
from inbox.outbox.claiming import take
from orders.models import ReportEmail
from orders.reports import monthly

logger = logging.getLogger(__name__)

_TASK: Final = "inbox.tasks.deliver_report_email"


def wake(row_id: int) -> None:
    """Have a worker send a row soon."""
    queue.enqueue(_TASK, row_id)


def deliver(row_id: int) -> None:
    """Email last month's report to the row's person, unless that was done.

    Does nothing if another worker has it. Who may no longer open the report's page gets none, and
    the month counts as dealt with. Opens its own transactions.
    """
    now = timezone.now()
    row = _claim(row_id, now=now)
    if row is None:
        return
    period = monthly.last_month(row, now=now)
    if not (roles.may_administer(row.user) and monthly.may_get(row.user, period)):
        monthly.done(row, period, is_sent=False)
        return
    try:
        email.send_mail(
            to=row.user.email,
            subject=monthly.subject(period),
            text=monthly.text(row, period),
            # The same on every attempt, so that mail programs drop a repeat.
            message_id=f"report-{row.pk}-{period.until}",
        )
    except NotSent as error:
        # Anything else passes, such as a mail server that is down: it is tried hourly until the
        # next month is over.
        if error.is_final:
            # Not the error's text, which quotes the address.
            logger.warning("report email %s failed after %s attempts", row.pk, row.attempts)
            monthly.done(row, period, is_sent=False)
    else:
        monthly.done(row, period, is_sent=True)


def _claim(row_id: int, *, now: datetime) -> ReportEmail | None:
    """Take a row; None if it isn't due or another worker has it."""
    if not take(ReportEmail.objects.due(now=now).filter(pk=row_id), now=now):
        return None
    return ReportEmail.objects.select_related("user", "store").get(pk=row_id)
