"""The admin page of who opened which customer, for auditors and administrators."""

from __future__ import annotations

from django.contrib import admin

from inbox.models import CustomerView
from orders.admin.base import ReadOnlyAdmin


@admin.register(CustomerView)
class CustomerViewAdmin(ReadOnlyAdmin):
    """Read-only; kept for RETENTION_VIEWS_DAYS."""

    list_title = "Viewed customers"
    list_intro = (
        "Who opened which customer's profile, conversation or order. One row per person, customer "
        "and hour; customers are shown by number only. To see who opened one customer, search for "
        "the number of the contact or order."
    )
    list_empty = "No one has opened a customer yet."
    list_display = ["viewed_at", "viewer", "kind", "number"]
    list_filter = ["kind", "viewer", "hour"]
    list_select_related = ["viewer"]
    search_fields = ["=number"]
