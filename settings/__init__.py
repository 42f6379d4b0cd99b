"""The project: wiring only."""

# Every process must know the Celery app, or its tasks ring at a broker that does not exist.
from settings.celery import app as celery_app

__all__ = ["celery_app"]
