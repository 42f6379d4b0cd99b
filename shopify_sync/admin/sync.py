"""How far each store has been read."""

from __future__ import annotations

from django.contrib import admin

from shopify_sync.admin.pages import LookOnly
from shopify_sync.models import SyncCursor


@admin.register(SyncCursor)
class SyncCursorAdmin(LookOnly):
    list_display = ["store", "updated_through", "finished_at", "orders_seen", "drift_found"]
