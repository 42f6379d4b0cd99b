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
        self._guard_orders()
        import_module("inbox.staff_roles")
        # After Django's own, whose pages of people and roles it replaces.
        import_module("inbox.people_admin")

    def _guard_orders(self) -> None:
        """Whose order it is, asked before anything leaves for Shopify."""
        rule = import_module("inbox.access").sending_refusal
        rules = import_module("orders.guards").RULES
        if rule not in rules:
            rules.append(rule)
