from django.apps import AppConfig


class ShopifySyncConfig(AppConfig):
    name = "shopify_sync"
    verbose_name = "Shopify"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from shopify_sync import (  # noqa: F401  they register themselves
            checks,
            dashboard,
            personal_data,
        )
