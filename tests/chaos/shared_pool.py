"""Celery as it was before: one pool for all tasks, without limits per host."""

from celery import signals

from settings.celery import app

__all__ = ["app"]


@signals.worker_init.connect
def _without_limits(**_: object) -> None:
    from inbox.outbox import (
        claiming,
        lanes,
    )

    lanes.FAILURES = 10**9  # type: ignore[misc]
    lanes.LANES.update(dict.fromkeys(lanes.Way, 10**6))
    claiming.LANES_PER_CHANNEL = 10**6  # type: ignore[misc]
