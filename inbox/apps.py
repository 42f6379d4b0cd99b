from importlib import import_module

from django.apps import AppConfig


class InboxConfig(AppConfig):
    name = "inbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Tasks register themselves with Celery, listeners with the signals of orders.
        # What it holds of people registers itself with orders.personal.
        import_module("inbox.checks")
        import_module("inbox.holdings")
        # What it shows on the admin's front page, with orders.desk.
        import_module("inbox.figures")
        import_module("inbox.tasks")
        import_module("inbox.listeners")
        import_module("inbox.staff_roles")
        # After Django's own, whose pages of people and roles it replaces.
        import_module("inbox.people_admin")
