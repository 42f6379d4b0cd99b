"""Admin for reconciliation, back-fills, drift and nightly comparisons. Mostly read-only."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import queue
from core.json_types import JsonObject
from orders.admin.base import ReadOnlyAdmin
from shopify_sync.models import Backfill, BackfillState, Comparison, Drift, SyncCursor
from shopify_sync.sync import backfill


@admin.register(SyncCursor)
class SyncCursorAdmin(ReadOnlyAdmin):
    """How far each store's five-minute check has come."""

    list_title = "Reconciliation"
    list_intro = (
        "Every five minutes, each store is checked for changes, so that lost webhooks are "
        "noticed. There's nothing to do here."
    )
    list_empty = "Nothing yet. Reconciliation starts when you connect a store."
    help_texts = {
        "store": "The store.",
        "updated_through": "All Shopify changes up to this time have been checked.",
        "lease_until": "A worker holds this until then.",
        "finished_at": "When the last run finished.",
        "orders_seen": "Orders checked in the last run.",
    }
    list_display = ["store", "updated_through", "finished_at", "orders_seen", "drift_found"]
    list_select_related = ["store"]


@admin.register(Backfill)
class BackfillAdmin(ReadOnlyAdmin):
    """Back-fills, each with a progress bar that progress.js keeps up to date."""

    list_title = "Order imports"
    list_intro = (
        "Imports of each store's past orders. They resume automatically after a restart. "
        "To start over, select a row and choose “Import these stores' orders again”."
    )
    list_empty = "No imports yet. One starts when you connect a store."
    help_texts = {
        "store": "The store.",
        "state": "Current status.",
        "started_at": "When it started.",
        "first_order_at": "When the first order arrived.",
        "finished_at": "When it finished.",
        "operation_gid": "Shopify's ID for the bulk operation.",
        "url": "Where Shopify stores the file; cleared once it's read.",
        "orders_expected": "Shopify's count before the import.",
        "orders_prepared": "Written to Shopify's file so far.",
        "orders_done": "Imported so far.",
        "file_size": "In bytes.",
        "bytes_done": "Bytes imported so far; the import resumes from here.",
        "tries": "Failed steps in a row.",
        "error": "The last error.",
        "next_step_at": "When it's due to run again.",
        "fence": "Stops an outdated worker from writing.",
    }
    list_display = ["store", "progress", "state", "orders_done", "since", "started_at", "error"]
    list_filter = ["state", "store"]
    list_select_related = ["store"]
    actions = ["read_again"]

    class Media:
        js = ["shopify_sync/progress.js"]
        css = {"all": ["shopify_sync/progress.css"]}

    def get_urls(self) -> list[URLPattern]:
        address = path(
            "<int:pk>/progress/",
            self.admin_site.admin_view(self.progress_of),
            name="shopify_sync_backfill_progress",
        )
        return [address, *super().get_urls()]

    def progress_of(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: the back-fill's progress as JSON, polled by the progress bar."""
        if not self.has_view_permission(request):
            return JsonResponse({}, status=403)
        return JsonResponse(progress_data(get_object_or_404(self.get_queryset(request), pk=pk)))

    @admin.display(description="Progress")
    def progress(self, row: Backfill) -> SafeString:
        """A bar that progress.js keeps up to date."""
        return progress_bar(row)

    @admin.action(description="Import these stores' orders again", permissions=["view"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        """Begin a back-fill for each store of the selected rows, unless one is open."""
        for row in queryset.select_related("store").order_by("store").distinct():
            begun = backfill.begin(row.store)
            queue.enqueue("shopify_sync.tasks.advance_backfill", begun.pk)
            self.message_user(request, f"{row.store}: importing its orders.", messages.SUCCESS)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    """Changes that no webhook reported: evidence that webhooks are lost."""

    list_title = "Sync differences"
    list_intro = (
        "Orders that changed in Shopify without a webhook. A few are normal. More than "
        "three an hour means webhooks are being lost: check the shop connection."
    )
    list_empty = "No differences. Every change arrived with a webhook."
    help_texts = {
        "store": "The store.",
        "order_gid": "Shopify's ID of the order.",
        "found_at": "When reconciliation found it. The order was reread right away.",
        "shop_updated_at": "When it changed in Shopify.",
        "stored_updated_at": "The last change we knew of; empty if we didn't have the order.",
    }
    list_display = ["order_gid", "store", "found_at", "shop_updated_at", "stored_updated_at"]
    list_filter = ["store"]
    list_select_related = ["store"]
    date_hierarchy = "found_at"


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    """The nightly comparison of every order with Shopify, one row per store and night."""

    list_title = "Nightly comparisons"
    list_intro = (
        "Every night, all orders and refunds are compared with Shopify. Differences are "
        "reread automatically. If two nights in a row don't match, look into it."
    )
    list_empty = "The first comparison runs tonight."
    help_texts = {
        "store": "The store.",
        "since": "Orders changed since then were compared.",
        "started_at": "When it started.",
        "finished_at": "When it finished.",
        "orders_at_shop": "Shopify's count.",
        "refunds": "Totals by currency, in Shopify and here.",
    }
    list_display = [
        "store",
        "started_at",
        "agreement",
        "orders_at_shop",
        "missing",
        "differing",
        "vanished",
        "refund_sums",
        "markers_twice",
    ]
    list_filter = ["store"]
    list_select_related = ["store"]

    @admin.display(description="Matches", boolean=True)
    def agreement(self, row: Comparison) -> bool | None:
        """Unknown (None) until the comparison has finished."""
        return row.agrees if row.finished_at else None

    @admin.display(description="Refunds in Shopify / here")
    def refund_sums(self, row: Comparison) -> str:
        """Each currency's sums, Shopify's first: “120.00 / 120.00 EUR”."""
        sums = [f"{theirs} / {ours} {code}" for code, (theirs, ours) in row.refunds.items()]
        return ", ".join(sums) or "–"


def progress_data(row: Backfill) -> JsonObject:
    """Return the JSON that progress.js reads."""
    return {"percent": row.percent, "text": progress_text(row), "is_open": row.is_open}


def progress_text(row: Backfill) -> str:
    """Return one sentence that says what is happening and how far it has come."""
    if row.state == BackfillState.PREPARING:
        of = f" of about {row.orders_expected:,}" if row.orders_expected else ""
        return f"Shopify is preparing the file: {row.orders_prepared:,}{of} orders."
    if row.state == BackfillState.IMPORTING:
        of = f" of {row.orders_prepared:,}" if row.orders_prepared else ""
        return f"Importing: {row.orders_done:,}{of} orders."
    if row.state == BackfillState.DONE:
        return f"{row.orders_done:,} orders read."
    if row.state == BackfillState.FAILED:
        return f"Stopped: {row.error} After fixing it, choose “Import these stores' orders again”."
    return "Requesting orders from Shopify."


def progress_bar(row: Backfill) -> SafeString:
    """Return the bar's HTML; while the back-fill is open, progress.js keeps it up to date."""
    return format_html(
        '<span class="backfill" data-progress="{}"><progress max="100" value="{}">{} %</progress>'
        "<span>{}</span></span>",
        f"/admin/shopify_sync/backfill/{row.pk}/progress/" if row.is_open else "",
        row.percent,
        row.percent,
        progress_text(row),
    )
