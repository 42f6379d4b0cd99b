"""This app's Celery tasks: scheduled work that needs no answer from Shopify."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from core import sweeps
from orders import (
    audit,
    privacy,
    services,
)
from orders.privacy import retention

# Well below a task's time limit; the next run picks up where this one stopped.
SLICE_S: Final = 15.0


@shared_task
def end_overdue_actions() -> None:
    """End expired approvals and actions past their deadline, or hand them to a person."""
    now = timezone.now()
    sweeps.each(
        [services.expire_approvals, services.end_overdue, services.hand_over_uninstalled],
        lambda end: end(now=now),
        seconds=SLICE_S,
        stops=(SoftTimeLimitExceeded,),
    )


@shared_task
def seal_audit() -> None:
    """Chain the audit entries written since the last run."""
    audit.seal_for(SLICE_S)


@shared_task
def seal_whole_audit() -> None:
    """Once a day, seal entries that became visible too late for the per-minute runs."""
    audit.seal_for(SLICE_S, whole=True)


@shared_task
def sweep_privacy() -> None:
    """Work on open privacy requests for a few seconds each minute."""
    privacy.work_off(now=timezone.now(), seconds=SLICE_S)


@shared_task
def apply_retention() -> None:
    """Delete or mask personal data past its retention period, in hourly slices."""
    retention.apply(now=timezone.now(), seconds=SLICE_S)
