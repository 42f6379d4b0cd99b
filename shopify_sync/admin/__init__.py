"""Django admin for the Shopify models; importing a module registers its pages."""

from shopify_sync.admin import connections, sync, webhooks

__all__ = ["connections", "sync", "webhooks"]
