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
    list_title = "Reconciliation"
    list_intro = (
        "Every five minutes each store is asked what changed, so that a lost webhook is noticed. "
        "Nothing has to be done here."
    )
    list_empty = "No store has been reconciled yet: it begins when a store is connected."
    help_texts = {
        "store": "Whose orders.",
        "updated_through": "Everything Shopify changed up to then has been looked at.",
        "lease_until": "A worker is at it until then.",
        "finished_at": "When the last round ended.",
        "orders_seen": "Orders looked at in the last round.",
    }
    list_display = ["store", "updated_through", "finished_at", "orders_seen", "drift_found"]
    list_select_related = ["store"]


@admin.register(Backfill)
class BackfillAdmin(ReadOnlyAdmin):
    """Back-fills, each with a progress bar that progress.js keeps up to date."""

    list_title = "Back-fills"
    list_intro = (
        "Each reading of a store's past orders. It goes on by itself after a restart; to begin "
        "again, choose a row and “Read these stores' orders again”."
    )
    list_empty = "No store's past has been read yet: it begins when a store is connected."
    help_texts = {
        "store": "Whose orders.",
        "state": "How far it is.",
        "started_at": "When it began.",
        "first_order_at": "When the first order was there.",
        "finished_at": "When it ended.",
        "operation_gid": "Shopify's bulk operation.",
        "url": "Where Shopify keeps the file; emptied when it is read.",
        "orders_expected": "As Shopify counted them before.",
        "orders_prepared": "Written into Shopify's file so far.",
        "orders_done": "Imported so far.",
        "file_size": "In bytes.",
        "bytes_done": "Imported so far, in bytes; it goes on from here.",
        "tries": "Failed steps, one after the other.",
        "error": "What went wrong last.",
        "next_step_at": "When a worker takes it up again.",
        "fence": "Keeps a worker that slept from writing.",
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
        return JsonResponse(progress_data(get_object_or_404(Backfill, pk=pk)))

    @admin.display(description="Progress")
    def progress(self, row: Backfill) -> SafeString:
        return progress_bar(row)

    @admin.action(description="Read these stores' orders again", permissions=["view"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Backfill]) -> None:
        """Begin a back-fill for each store of the selected rows, unless one is open."""
        for row in queryset.select_related("store").order_by("store").distinct():
            begun = backfill.begin(row.store)
            queue.enqueue("shopify_sync.tasks.advance_backfill", begun.pk)
            self.message_user(request, f"{row.store}: reading its orders.", messages.SUCCESS)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_title = "Drift"
    list_intro = (
        "Orders found changed at Shopify that no webhook had told of. A few are normal; more than "
        "three an hour mean that webhooks are lost: open the shop connection and check it."
    )
    list_empty = "No drift: every change came with its webhook."
    help_texts = {
        "store": "In which store.",
        "order_gid": "Shopify's id of the order.",
        "found_at": "When reconciliation found it. It was read again at once.",
        "shop_updated_at": "When it changed at Shopify.",
        "stored_updated_at": "The change we knew of; empty: we did not hold the order.",
    }
    list_display = ["order_gid", "store", "found_at", "shop_updated_at", "stored_updated_at"]
    list_filter = ["store"]
    list_select_related = ["store"]
    date_hierarchy = "found_at"


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    list_title = "Nightly comparisons"
    list_intro = (
        "Each night every order and every refund is compared with Shopify. What differs is read "
        "again by itself; a night that does not agree twice in a row deserves a look."
    )
    list_empty = "The first comparison runs tonight."
    help_texts = {
        "store": "Whose orders.",
        "since": "Orders changed since then were compared.",
        "started_at": "When it began.",
        "finished_at": "When it ended.",
        "orders_at_shop": "As many as Shopify has.",
        "refunds": "Sums by currency: at Shopify, and here.",
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

    @admin.display(description="Agrees", boolean=True)
    def agreement(self, row: Comparison) -> bool | None:
        """Unknown (None) until the comparison has finished."""
        return row.agrees if row.finished_at else None

    @admin.display(description="Refunds at Shopify / here")
    def refund_sums(self, row: Comparison) -> str:
        sums = [f"{theirs} / {ours} {code}" for code, (theirs, ours) in row.refunds.items()]
        return ", ".join(sums) or "–"


def progress_data(row: Backfill) -> JsonObject:
    """Return the JSON that progress.js reads."""
    return {"percent": row.percent, "text": progress_text(row), "is_open": row.is_open}


def progress_text(row: Backfill) -> str:
    """Return one sentence that says what is happening and how far it has come."""
    if row.state == BackfillState.PREPARING:
        of = f" of about {row.orders_expected:,}" if row.orders_expected else ""
        return f"Shopify prepares the file: {row.orders_prepared:,}{of} orders."
    if row.state == BackfillState.IMPORTING:
        of = f" of {row.orders_prepared:,}" if row.orders_prepared else ""
        return f"Importing: {row.orders_done:,}{of} orders."
    if row.state == BackfillState.DONE:
        return f"{row.orders_done:,} orders read."
    if row.state == BackfillState.FAILED:
        return f"Stopped: {row.error} Choose “Read these stores' orders again” when it is mended."
    return "Asking Shopify for its orders."


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
