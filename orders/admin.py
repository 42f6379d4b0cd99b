"""Stores are configured here; everything else is Shopify's word or history, and read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from orders.models import Order, OrderAction, OrderEvent, Store

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """A look, and no back door: no adding, changing or deleting."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Store)
class StoreAdmin(ModelAdmin):
    list_display = ["domain", "name", "currency", "is_active", "is_frozen", "connected_at"]
    list_filter = ["is_active", "is_frozen"]
    search_fields = ["domain", "name"]
    readonly_fields = ["connected_at"]
    fieldsets = [
        (None, {"fields": ["domain", "name", "currency", "time_zone", "is_active"]}),
        (
            "What agents may do",
            {"fields": ["is_frozen", "assume_delivered_after_days", "hidden_cancel_reasons",
                        "allow_store_credit", "notify_by_default"]},
        ),
        ("History", {"fields": ["connected_at"]}),
    ]  # fmt: skip

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its orders and what was done to them would go with it: switch it off instead.
        return False


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["name", "store", "placed_at", "financial_status", "fulfillment_status", "total"]
    list_filter = ["store", "financial_status", "fulfillment_status"]
    search_fields = ["name", "legacy_id", "email", "trackings__number"]
    list_select_related = ["store"]
    exclude = ["document"]
    date_hierarchy = "placed_at"


@admin.register(OrderAction)
class OrderActionAdmin(ReadOnlyAdmin):
    list_display = ["order", "kind", "state", "amount", "currency", "requested_by", "requested_at"]
    list_filter = ["state", "kind"]
    search_fields = ["order__name", "requested_by__username", "marker"]
    list_select_related = ["order", "requested_by"]
    date_hierarchy = "requested_at"


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    list_display = ["order", "kind", "occurred_at", "source", "actor", "amount", "currency"]
    list_filter = ["kind", "source"]
    search_fields = ["order__name"]
    list_select_related = ["order", "actor"]
