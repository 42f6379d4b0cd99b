"""Imports done once by the fork server, so that a worker starts in milliseconds and its first
action isn't ten times slower."""

import encodings.idna  # noqa: F401  the first address a socket resolves
from importlib import import_module

import django

django.setup()

from django.utils import timezone  # noqa: E402

from orders.models import OrderAction  # noqa: E402
from tests.chaos.settings import CELERY_BROKER_URL  # noqa: E402

for name in (
    "orders.services",
    "orders.perform",
    "shopify_sync.gateway",
    "orders.tasks",
    "shopify_sync.tasks",
    "tests.chaos.mutants",
    "django.db.models.sql.compiler",
):
    import_module(name)
# Queries are compiled and messages built without a database or a broker being asked.
str(OrderAction.objects.due(now=timezone.now()).query)
if CELERY_BROKER_URL.startswith("memory:"):
    import_module("orders.tasks").perform_action.delay(0)
