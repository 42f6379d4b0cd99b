from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register themselves.
        from orders import (  # noqa: F401
            checks,
            figures,
            holdings,
            listeners,
            policy_admin,
            privacy_admin,
            reports_admin,
            retention,
        )
