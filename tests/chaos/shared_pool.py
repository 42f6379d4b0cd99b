"""Celery as it was: one pool for everything, and no limit to what one host may hold of it."""

from inbox.outbox import claiming, routes
from settings.celery import app

__all__ = ["app"]


@app.on_after_finalize.connect
def _without_limits(**_: object) -> None:
    routes.FAILURES = 10**9  # type: ignore[misc]
    routes.LANES.update(dict.fromkeys(routes.Way, 10**6))
    claiming.LANES_A_CHANNEL = 10**6  # type: ignore[misc]
