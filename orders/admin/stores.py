"""Admin page of stores, the only one of these that can be edited. The docstrings of methods listed in
`fieldsets` are their help texts on the page (see DeskAdmin).
"""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders.admin.base import (
    DeskAdmin,
    note_change,
)
from orders.models import AuditKind, Store


@admin.register(Store)
class StoreAdmin(DeskAdmin):
    """Edit a store's settings. Stores can be switched off but not deleted."""

    list_title = "Stores"
    list_intro = "The stores whose orders agents see, and what agents can do there."
    list_empty = "No stores yet. Add one under Shop connections; that creates its store."
    list_display = ["domain", "name", "currency", "is_active", "is_frozen", "connected_at"]
    list_filter = ["is_active", "is_frozen"]
    search_fields = ["domain", "name"]
    readonly_fields = ["connected_at", "its_pages"]
    help_texts = {
        "domain": "The shop's permanent domain, such as demo.myshopify.com.",
        "time_zone": "Arrival dates are shown in this time zone. Filled in from Shopify.",
        "country": (
            "A two-letter code such as DE, used for phone numbers without a country code. "
            "Filled in from Shopify."
        ),
        "is_active": "If off, its orders disappear from conversations. Nothing is deleted.",
        "assume_delivered_after_days": (
            "For carriers that don't report delivery: count a parcel as delivered this "
            "many days after it shipped. Empty: never assume delivery."
        ),
        "notify_by_default": (
            "Whether Shopify's own email to the customer is selected by default in the dialogs."
        ),
        "allow_store_credit": (
            "If on, agents can refund to store credit instead of the original payment. "
            "First turn on store credit in Shopify; it requires Shopify’s new customer "
            "accounts. Orders without a customer are always refunded to the original "
            "payment."
        ),
        "is_frozen": "If on, cancellations and refunds wait, and nothing is sent to Shopify.",
        "undo_seconds": (
            "How long a confirmed action waits before it's sent, so that it can be undone. "
            "0: sent right away."
        ),
        "hidden_cancel_reasons": 'Cancellation reasons to hide from agents, such as ["FRAUD"].',
        "currency": "The currency used for limits. Filled in from Shopify.",
    }
    fieldsets = [
        (
            "Store",
            {
                "fields": [
                    "domain",
                    "name",
                    "currency",
                    "time_zone",
                    "country",
                    "is_active",
                    "its_pages",
                ]
            },
        ),
        (
            "What agents can do",
            {
                "fields": [
                    "is_frozen",
                    "assume_delivered_after_days",
                    "hidden_cancel_reasons",
                    "undo_seconds",
                    "allow_store_credit",
                    "notify_by_default",
                ]
            },
        ),
        ("History", {"fields": ["connected_at"]}),
    ]

    @admin.display(description="Open")
    def its_pages(self, store: Store) -> SafeString | str:
        """Links to the store's Shopify admin and its orders here."""
        if not store.pk:
            return "–"
        orders = f"{reverse('admin:orders_order_changelist')}?store__id__exact={store.pk}"
        theirs = f"https://admin.shopify.com/store/{store.handle}"
        return format_html(
            '<a href="{}" rel="noreferrer">Shopify’s admin</a> · <a href="{}">Its orders</a>',
            theirs,
            orders,
        )

    def save_model(
        self, request: HttpRequest, obj: Store, form: forms.BaseForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        note_change(AuditKind.STORE, request, obj.pk, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # Deleting it would take its orders and their history along; switch it off instead.
        return False
