from importlib import import_module

from django.apps import AppConfig


class InboxConfig(AppConfig):
    name = "inbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Tasks register themselves with Celery, listeners with the signals of orders.
        # What it holds of people registers itself with orders.personal.
        import_module("inbox.holdings")
        import_module("inbox.tasks")
        import_module("inbox.listeners")
