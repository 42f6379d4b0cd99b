"""Celery as it was before: one pool for all tasks, without limits per host."""

from unittest.mock import patch

from celery import signals

from settings.celery import app

__all__ = ["app"]


@signals.worker_init.connect
def _without_limits(**_: object) -> None:
    from inbox.outbox import claiming, delivery_lanes

    patch.object(delivery_lanes, "FAILURES", 10**9).start()
    delivery_lanes.LANES.update(dict.fromkeys(delivery_lanes.Way, 10**6))
    patch.object(claiming, "LANES_PER_CHANNEL", 10**6).start()
