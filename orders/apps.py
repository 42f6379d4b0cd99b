from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Register checks, columns with personal data, retention rules, and dashboard tiles."""

    name = "orders"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported for their side effects: they register system checks, columns with personal
        # data, retention rules and dashboard tiles.
        from orders import checks  # noqa: F401
        from orders.privacy import own_columns, retention  # noqa: F401
        from orders.reports import dashboard  # noqa: F401
