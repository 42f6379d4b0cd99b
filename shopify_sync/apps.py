from django.apps import AppConfig


class ShopifySyncConfig(AppConfig):
    """Register the system checks, dashboard tiles, and columns with personal data."""

    name = "shopify_sync"
    verbose_name = "Shopify"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from shopify_sync import (  # noqa: F401  importing them registers them
            checks,
            dashboard,
            personal_data,
        )
