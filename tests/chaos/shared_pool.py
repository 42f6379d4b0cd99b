"""Celery as it was: one pool for everything, and no limit to what one host may hold of it."""

from celery import signals

from settings.celery import app

__all__ = ["app"]


@signals.worker_init.connect
def _without_limits(**_: object) -> None:
    from inbox.outbox import claiming, routes

    routes.FAILURES = 10**9  # type: ignore[misc]
    routes.LANES.update(dict.fromkeys(routes.Way, 10**6))
    claiming.LANES_A_CHANNEL = 10**6  # type: ignore[misc]
