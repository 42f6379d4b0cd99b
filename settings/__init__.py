"""Project wiring: settings, URLs, ASGI and Celery."""

# Every process must load the Celery app, or tasks go to Celery's default broker, which doesn't
# exist.
from settings.celery import app as celery_app

__all__ = ["celery_app"]
