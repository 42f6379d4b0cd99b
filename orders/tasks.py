"""This app's Celery tasks: performing actions, and scheduled work."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F
from django.utils import timezone

from core.database import sweeps
from core.failpoints import failpoint
from orders import (
    audit,
    perform,
    privacy,
    services,
)
from orders.models import ActionState, OrderAction
from orders.privacy import retention

# Well below a task's time limit; the next run picks up where this one stopped.
SLICE_S: Final = 15.0
SWEEP_ROWS: Final = 100


@shared_task
def perform_action(action_id: int) -> None:
    """Take an action (refund, cancellation) as far as it goes now, if it's due."""
    perform.perform(action_id)


@shared_task
def sweep_actions() -> None:
    """Perform actions that a dead worker or a lost message left behind."""
    now = timezone.now()
    # Never-tried actions come first: a click whose wake-up was lost must not wait for retries.
    due = OrderAction.objects.due(now=now).order_by(
        F("next_attempt_at").asc(nulls_first=True), "pk"
    )
    sweeps.each(
        list(due.values_list("pk", flat=True)[:SWEEP_ROWS]),
        _perform_swept,
        put_off=_put_off_action,
        seconds=SLICE_S,
        stops=(SoftTimeLimitExceeded,),
    )


def _perform_swept(action_id: int) -> None:
    failpoint("swept")
    perform.perform(action_id)


def _put_off_action(action_id: int) -> None:
    """Postpone an action whose processing raised an unexpected error, in any state.

    Compare-and-set: if a worker or an agent has moved the action since, it stays as it is. One
    that failed while being sent is postponed through its lease, and when that ends, it counts as
    a crash.
    """
    now = timezone.now()
    again_at = now + sweeps.AGAIN_AFTER
    left = OrderAction.objects.due(now=now).filter(pk=action_id)
    left.filter(state=ActionState.SENDING).update(lease_until=again_at)
    left.exclude(state=ActionState.SENDING).update(next_attempt_at=again_at)


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
