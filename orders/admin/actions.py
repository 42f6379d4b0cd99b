"""Admin pages of actions and of the audit log: history, read-only. The docstrings of methods
listed in `fieldsets` are their help texts on the page (see DeskAdmin).
"""

from __future__ import annotations

from typing import Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from core import csv_export
from core.dashboard import DESK
from orders import (
    audit,
    previews,
)
from orders.actions import status_texts
from orders.admin.base import (
    ReadOnlyAdmin,
    link,
    sum_column,
)
from orders.admin.orders import orders_named
from orders.models import ActionState, AuditEntry, AuditKind, OrderAction
from orders.statuses.payment_labels import readable

_ACTION_SUM = sum_column("amount", "currency", "Amount", "The amount refunded to the customer.")


_ACTION_RESERVED = sum_column(
    "reserved", "currency", "Reserved amount", "Set aside until this finishes."
)


@admin.register(OrderAction)
class OrderActionAdmin(ReadOnlyAdmin):
    """Cancellations and refunds requested here; they are decided in the inbox."""

    list_title = "Cancellations and refunds"
    list_intro = (
        "Every cancellation and refund requested here, with its outcome. To decide the "
        "ones that are waiting, go to Decisions in the inbox."
    )
    list_empty = "No matching actions. Agents cancel and refund from a conversation."
    list_display = ["order", "kind", "what_came_of_it", _ACTION_SUM, "requested_by", "requested_at"]
    list_filter = ["state", "outcome", "kind", "order__store", "requested_at"]
    search_fields = ["marker"]
    list_select_related = ["order__store", "requested_by"]
    fieldsets = [
        (
            "Request",
            {
                "fields": [
                    "kind",
                    "its_order",
                    _ACTION_SUM,
                    "why",
                    "staff_note",
                    "notify",
                    "returned",
                    "requested_by",
                    "requested_at",
                    "asked_from",
                ]
            },
        ),
        (
            "Approval",
            {
                "fields": [
                    "approvals_needed",
                    "why_approval",
                    "approved_by",
                    "co_approved_by",
                    "expires_at",
                ]
            },
        ),
        (
            "Outcome",
            {
                "fields": [
                    "what_came_of_it",
                    "what_was_said",
                    "state",
                    "settled_at",
                    "evidence_at",
                    "refund_gid",
                    _ACTION_RESERVED,
                ]
            },
        ),
        (
            "Progress",
            {
                "classes": ["collapse"],
                "fields": [
                    "attempts",
                    "next_attempt_at",
                    "maybe_applied",
                    "is_doubtful",
                    "step",
                    "step_first_sent_at",
                    "crashes",
                    "marker",
                    "idempotency_key",
                    "job_gid",
                ],
            },
        ),
    ]
    help_texts = {
        "kind": "What Shopify is asked to do.",
        "staff_note": "The note for colleagues.",
        "returned": "The answer to “Has the item come back?”",
        "requested_by": "Who confirmed it.",
        "requested_at": "When.",
        "approvals_needed": "How many other people had to approve it.",
        "why_approval": "The rule that required approval.",
        "approved_by": "Who approved it.",
        "co_approved_by": "The second approver.",
        "state": "“Done” means Shopify shows it as done.",
        "settled_at": "When it finished.",
        "refund_gid": "Shopify's ID of the refund.",
        "attempts": "How often it was sent or checked.",
        "next_attempt_at": "When it's due to run again.",
        "marker": "Written into Shopify's notes so that it can be found again there.",
        "idempotency_key": "Sent with the request so that Shopify carries it out only once.",
        "job_gid": "The Shopify job, if Shopify cancels in the background.",
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderAction], search_term: str
    ) -> tuple[QuerySet[OrderAction], bool]:
        """Search by indexes: the order's number, who requested it, or the marker."""
        if not (words := search_term.strip()):
            return queryset, False
        people = User.objects.filter(username__icontains=words).values_list("pk", flat=True)
        match = Q(order__in=orders_named(words)) | Q(requested_by__in=list(people))
        return queryset.filter(match | Q(marker=words)), False

    @admin.display(description="Outcome", ordering="outcome")
    def what_came_of_it(self, action: OrderAction) -> str:
        """The outcome as agents see it."""
        return status_texts.words(action).label

    @admin.display(description="Message")
    def what_was_said(self, action: OrderAction) -> str:
        """Shopify's message, or other details."""
        return status_texts.words(action).text or "–"

    @admin.display(description="Reason")
    def why(self, action: OrderAction) -> str:
        """The reason the person chose."""
        return previews.reason_words(action.reason) or "–"

    @admin.display(description="Order")
    def its_order(self, action: OrderAction) -> SafeString | str:
        """The order this is about."""
        address = reverse("admin:orders_order_change", args=[action.order_id])
        return link(address, str(action.order))

    @admin.display(description="Requested from")
    def asked_from(self, action: OrderAction) -> SafeString | str:
        """The conversation it was requested from, the order's own page, or another source."""
        if not action.origin:
            return "–"
        urls = (url for find in DESK.origin_urls if (url := find(action.origin)))
        name = action.origin.replace(":", " ").capitalize()
        is_own_page = action.origin.startswith("order:")
        return link(next(urls, ""), "The order’s page" if is_own_page else name)


_STATE_LABELS: Final = {str(value): str(label) for value, label in ActionState.choices}


_EXPORT_COLUMNS = [
    "id",
    "at",
    "kind",
    "actor",
    "roles",
    "store_id",
    "order_id",
    "action_id",
    "before",
    "after",
    "amount",
    "currency",
    "request_id",
    "ip",
    "detail",
]


_AUDIT_SUM = sum_column("amount", "currency", "Amount", "If money was involved.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, which can be exported as CSV."""

    list_title = "Audit log"
    list_intro = (
        "Who did what, when, and from where. Entries can only be added and are sealed in a "
        "chain; they never name customers. To export entries, select them and choose "
        "“Download as CSV”."
    )
    list_empty = "Nothing matches."
    list_display = ["at", "kind", "actor", "order_id", "was", "became", _AUDIT_SUM]
    list_filter = ["kind", "at"]
    search_fields = ["actor", "request_id", "=order_id", "=action_id"]
    actions = ["download_csv"]
    fieldsets = [
        ("What", {"fields": ["kind", "was", "became", _AUDIT_SUM, "detail"]}),
        (
            "Who and where",
            {"fields": ["at", "actor", "actor_id", "roles", "ip", "request_id"]},
        ),
        ("Of what", {"fields": ["store_id", "order_id", "action_id"]}),
    ]
    help_texts = {
        "kind": "What was done.",
        "detail": "Settings and counts; never customer names or messages.",
        "at": "In UTC, from the server's clock.",
        "actor_id": "The user's ID, which doesn't change when the name does.",
        "roles": "Their roles at the time.",
        "ip": "The address the request came from.",
        "request_id": "Matches the server log and the response's X-Request-ID header.",
        "store_id": "The store's ID in Agent Inbox.",
        "order_id": "The order's ID in Agent Inbox.",
        "action_id": "The action's ID in Agent Inbox.",
    }

    @admin.display(description="Before", ordering="before")
    def was(self, entry: AuditEntry) -> str:
        """The state before."""
        return _STATE_LABELS.get(entry.before, readable(entry.before)) or "–"

    @admin.display(description="After", ordering="after")
    def became(self, entry: AuditEntry) -> str:
        """The state after."""
        return _STATE_LABELS.get(entry.after, readable(entry.after)) or "–"

    @admin.action(description="Download as CSV")
    def download_csv(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry]
    ) -> StreamingHttpResponse:
        """Stream the selected entries as CSV; the export itself is audited first."""
        actor = request.user if isinstance(request.user, User) else None
        with transaction.atomic():
            audit.record(AuditKind.EXPORT, actor=actor, what="audit", rows=queryset.count())
        lines = queryset.order_by("pk").values_list(*_EXPORT_COLUMNS).iterator()
        return StreamingHttpResponse(
            csv_export.rows(_EXPORT_COLUMNS, lines),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
        )
