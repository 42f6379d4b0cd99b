"""Stores are configured here; everything else is Shopify's word or history, and read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from orders import audit, spreadsheets
from orders.models import (
    AuditEntry,
    AuditKind,
    Order,
    OrderAction,
    OrderEvent,
    Policy,
    Store,
)

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


def _note_change(
    kind: AuditKind, request: HttpRequest, pk: int, form: Any, change: bool, **detail: Any
) -> None:
    """Who changed which settings, from what to what. These forms hold no secrets."""
    values = {
        name: [str(form.initial.get(name)), str(form.cleaned_data.get(name))]
        for name in form.changed_data
    }
    actor = request.user if isinstance(request.user, User) else None
    word = "changed" if change else "added"
    audit.record(kind, actor=actor, after=word, row=pk, values=values, **detail)


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
                        "undo_seconds", "allow_store_credit", "notify_by_default"]},
        ),
        ("History", {"fields": ["connected_at"]}),
    ]  # fmt: skip

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _note_change(AuditKind.STORE, request, obj.pk, form, change)

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


@admin.register(Policy)
class PolicyAdmin(ModelAdmin):
    list_display = ["role", "store", "refund_up_to", "refund_per_day", "approval_up_to", "cancel",
                    "may_approve_up_to"]  # fmt: skip
    list_filter = ["role", "store"]
    list_select_related = ["role", "store"]
    fieldsets = [
        (None, {"fields": ["role", "store"]}),
        (
            "Without asking anyone",
            {"fields": ["refund_up_to", "refund_per_day", "note_above", "cancel"],
             "description": "Sums are in the shop's currency and are checked when an agent "
             "confirms, together with everything that is still under way."},
        ),
        ("With approval", {"fields": ["approval_up_to", "two_approvers_above"]}),
        ("Approving others", {"fields": ["may_approve_up_to"]}),
    ]  # fmt: skip

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _note_change(AuditKind.POLICY, request, obj.pk, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actor = request.user if isinstance(request.user, User) else None
        audit.record(AuditKind.POLICY, actor=actor, after="deleted", row=obj.pk)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for policy in queryset:
            self.delete_model(request, policy)


_EXPORTED = ["id", "at", "kind", "actor", "roles", "store_id", "order_id", "action_id", "before",
             "after", "amount", "currency", "request_id", "ip", "detail"]  # fmt: skip


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "kind", "actor", "order_id", "before", "after", "amount", "currency"]
    list_filter = ["kind"]
    search_fields = ["actor", "request_id", "=order_id", "=action_id"]
    date_hierarchy = "at"
    actions = ["download_csv"]

    @admin.action(description="Download as CSV")
    def download_csv(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry]
    ) -> StreamingHttpResponse:
        actor = request.user if isinstance(request.user, User) else None
        with transaction.atomic():
            audit.record(AuditKind.EXPORT, actor=actor, what="audit", rows=queryset.count())
        lines = queryset.order_by("pk").values_list(*_EXPORTED).iterator()
        return StreamingHttpResponse(
            spreadsheets.rows(_EXPORTED, lines),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
        )
