"""Admin pages of stores, orders, actions, events and the audit log.

Only stores can be edited here; everything else is Shopify's data or history, and read-only. The
docstrings of methods listed in `fieldsets` are their help texts on the page (see DeskAdmin).
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import csv_export
from core.dashboard import DESK
from orders import (
    audit,
    previews,
)
from orders.actions import outcomes
from orders.admin.base import (
    DeskAdmin,
    ReadOnlyAdmin,
    StatusFilter,
    link,
    note_change,
    sum_column,
)
from orders.models import ActionState, AuditEntry, AuditKind, Order, OrderAction, OrderEvent, Store
from orders.statuses import badges
from orders.statuses.payment_methods import readable


@admin.register(Store)
class StoreAdmin(DeskAdmin):
    """Edit a store's settings. Stores can be switched off but not deleted."""

    list_title = "Stores"
    list_intro = "The shops whose orders agents see, and what agents may do there."
    list_empty = "No store yet. Add one under Shop connections: its store is made with it."
    list_display = ["domain", "name", "currency", "is_active", "is_frozen", "connected_at"]
    list_filter = ["is_active", "is_frozen"]
    search_fields = ["domain", "name"]
    readonly_fields = ["connected_at", "its_pages"]
    help_texts = {
        "currency": "The currency limits are set in. Filled in from Shopify.",
    }
    fieldsets = [
        (
            "The shop",
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
            "What agents may do",
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
        """Where the shop itself is, and what we hold of it."""
        if not store.pk:
            return "–"
        orders = f"{reverse('admin:orders_order_changelist')}?store__id__exact={store.pk}"
        theirs = f"https://admin.shopify.com/store/{store.handle}"
        return format_html(
            '<a href="{}" rel="noreferrer">Shopify’s admin</a> · <a href="{}">Its orders</a>',
            theirs,
            orders,
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        note_change(AuditKind.STORE, request, obj.pk, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting it would take its orders and their history along; switch it off instead.
        return False


_ORDER_TOTAL = sum_column("total", "currency", "Total", "As the customer was charged.")
_ORDER_PAID = sum_column("received", "currency", "Received", "What was paid.")
_ORDER_REFUNDED = sum_column("refunded", "currency", "Refunded", "What went back.")
_ORDER_NET = sum_column(
    "net_payment", "currency", "Still with the shop", "Received less refunded, as Shopify says."
)
_ORDER_RESERVED = sum_column(
    "reserved", "currency", "Reserved", "Promised to refunds that are under way."
)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders as Shopify last returned them."""

    list_title = "Orders"
    list_intro = (
        "Orders as Shopify last showed them. To cancel or refund one, open it in the inbox."
    )
    list_empty = "No order matches. A new store's orders appear while its past is being read."
    list_display = ["name", "store", "placed_at", "paid", "shipped", _ORDER_TOTAL]
    list_filter = [
        "store",
        ("financial_status", StatusFilter),
        ("fulfillment_status", StatusFilter),
        "is_test",
    ]
    search_fields = ["name", "name_key", "=number", "legacy_id", "email", "trackings__number"]
    list_select_related = ["store"]
    date_hierarchy = "placed_at"
    fieldsets = [
        ("The order", {"fields": ["name", "store", "at_shopify", "placed_at", "email", "phone"]}),
        (
            "Status",
            {
                "fields": [
                    "paid",
                    "shipped",
                    "returned",
                    "cancelled_at",
                    "why_canceled",
                    "closed_at",
                    "deleted_at",
                    "is_test",
                ]
            },
        ),
        (
            "Money",
            {
                "fields": [
                    _ORDER_TOTAL,
                    _ORDER_PAID,
                    _ORDER_REFUNDED,
                    _ORDER_NET,
                    _ORDER_RESERVED,
                    "kept_reason",
                    "kept_by",
                ]
            },
        ),
        ("What was done", {"fields": ["its_actions"]}),
        (
            "How fresh it is",
            {
                "classes": ["collapse"],
                "fields": [
                    "read_started_at",
                    "shop_updated_at",
                    "version",
                    "state_since",
                    "is_partial",
                    "is_incomplete",
                    "fetch_failures",
                    "missing_since",
                    "masked_at",
                    "legacy_id",
                    "gid",
                ],
            },
        ),
    ]
    help_texts = {
        "name": "The number customers know.",
        "store": "The shop it was placed in.",
        "placed_at": "When the customer ordered.",
        "email": "The customer's, as the order has it. Masked after the retention time.",
        "phone": "The customer's, as the order has it.",
        "cancelled_at": "Empty: it is not canceled.",
        "closed_at": "When it was archived at Shopify.",
        "deleted_at": "When we noticed that Shopify no longer has it.",
        "kept_reason": "Why money of a canceled order stays with the shop.",
        "kept_by": "Who decided that.",
        "shop_updated_at": "Shopify's own time of the last change we have read.",
        "fetch_failures": "Reads that failed, one after the other.",
        "gid": "Shopify's technical id.",
    }

    @admin.display(description="Paid", ordering="financial_status")
    def paid(self, order: Order) -> str:
        """How far it is paid, as its badge says it."""
        return badges.payment_word(order.financial_status) or "–"

    @admin.display(description="Shipped", ordering="fulfillment_status")
    def shipped(self, order: Order) -> str:
        """How far it is shipped, as its badge says it."""
        return badges.fulfillment_word(order.fulfillment_status) or "–"

    @admin.display(description="Returned")
    def returned(self, order: Order) -> str:
        """How far goods are on their way back."""
        return badges.return_word(order.return_status) or "–"

    @admin.display(description="Canceled because")
    def why_canceled(self, order: Order) -> str:
        """As it was given at Shopify."""
        return previews.reason_words(order.cancel_reason) or "–"

    @admin.display(description="In Shopify")
    def at_shopify(self, order: Order) -> SafeString | str:
        """Opens the order in the shop's own admin."""
        return link(order.admin_url, f"Order {order.legacy_id}")

    @admin.display(description="Cancellations and refunds")
    def its_actions(self, order: Order) -> SafeString | str:
        """Everything people asked for here, with its outcome."""
        address = f"{reverse('admin:orders_orderaction_changelist')}?order__id__exact={order.pk}"
        return link(address, f"{order.actions.count()} actions")


_ACTION_SUM = sum_column("amount", "currency", "Sum", "What the customer gets back.")
_ACTION_RESERVED = sum_column(
    "reserved", "currency", "Held of the order's money", "Until this has ended."
)


@admin.register(OrderAction)
class OrderActionAdmin(ReadOnlyAdmin):
    """Cancellations and refunds requested here; they are decided in the inbox."""

    list_title = "Cancellations and refunds"
    list_intro = (
        "Everything anybody asked Shopify to do, with its outcome. What waits for a decision is "
        "decided in the inbox, under Decisions."
    )
    list_empty = "Nothing matches. Agents cancel and refund beside a conversation."
    list_display = ["order", "kind", "what_came_of_it", _ACTION_SUM, "requested_by", "requested_at"]
    list_filter = ["state", "outcome", "kind", "order__store"]
    search_fields = ["order__name", "requested_by__username", "marker"]
    list_select_related = ["order__store", "requested_by"]
    date_hierarchy = "requested_at"
    fieldsets = [
        (
            "What was asked",
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
            "How it is going",
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
        "kind": "What Shopify is to do.",
        "staff_note": "What they wrote for colleagues.",
        "returned": "Their answer to “Has the item come back?”.",
        "requested_by": "Who clicked.",
        "requested_at": "When.",
        "approvals_needed": "How many other people had to agree.",
        "why_approval": "The rule that asked for it.",
        "approved_by": "Who agreed.",
        "co_approved_by": "Who agreed as the second.",
        "state": "Done means Shopify showed it done.",
        "settled_at": "When it ended.",
        "refund_gid": "Shopify's id of the refund that was booked.",
        "attempts": "How often it was sent or asked about.",
        "next_attempt_at": "When a worker takes it up again.",
        "marker": "Stands in Shopify's notes, so that it is found again there.",
        "idempotency_key": "Sent with the request, so that Shopify does it once.",
        "job_gid": "Shopify's job, where it cancels in the background.",
    }

    @admin.display(description="Outcome", ordering="outcome")
    def what_came_of_it(self, action: OrderAction) -> str:
        """In the words agents read."""
        return outcomes.words(action).label

    @admin.display(description="Message")
    def what_was_said(self, action: OrderAction) -> str:
        """Shopify's own words, or what else there is to say."""
        return outcomes.words(action).text or "–"

    @admin.display(description="Reason")
    def why(self, action: OrderAction) -> str:
        """As the person chose it."""
        return previews.reason_words(action.reason) or "–"

    @admin.display(description="Order")
    def its_order(self, action: OrderAction) -> SafeString | str:
        """The order it was done to."""
        address = reverse("admin:orders_order_change", args=[action.order_id])
        return link(address, str(action.order))

    @admin.display(description="Asked for in")
    def asked_from(self, action: OrderAction) -> SafeString | str:
        """The conversation it was asked for in, or another way in."""
        if not action.origin:
            return "–"
        urls = (url for find in DESK.origin_urls if (url := find(action.origin)))
        return link(next(urls, ""), action.origin.replace(":", " ").capitalize())


_EVENT_SUM = sum_column("amount", "currency", "Sum", "Where money moved.")


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    """The facts of every order's timeline."""

    list_title = "Order events"
    list_intro = "What happened to orders, each fact once, whoever it came from."
    list_empty = "Nothing matches. Events appear when orders are placed, paid, shipped or refunded."
    list_display = ["order", "kind", "occurred_at", "source", "actor", _EVENT_SUM]
    list_filter = ["kind", "source", "order__store"]
    search_fields = ["order__name"]
    list_select_related = ["order", "actor"]
    date_hierarchy = "occurred_at"
    fieldsets = [
        (
            "What happened",
            {"fields": ["kind", "order", "occurred_at", _EVENT_SUM, "why", "detail"]},
        ),
        ("Who", {"fields": ["source", "actor", "action"]}),
        (
            "Book-keeping",
            {"classes": ["collapse"], "fields": ["recorded_at", "announced_at", "key"]},
        ),
    ]
    help_texts = {
        "kind": "The fact.",
        "order": "Of which order.",
        "occurred_at": "When, by Shopify's clock.",
        "detail": "Shopify's own words.",
        "source": "Agent: asked for here. Shopify: done in the shop or by the customer.",
        "actor": "The person, where it was asked for here.",
        "action": "What was asked for.",
        "recorded_at": "When we heard of it.",
        "announced_at": "When campaigns had taken note of it.",
        "key": "Names the fact, so that it is recorded once.",
    }

    @admin.display(description="Reason")
    def why(self, event: OrderEvent) -> str:
        """Where one was given."""
        return previews.reason_words(event.reason) or "–"


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
_AUDIT_SUM = sum_column("amount", "currency", "Sum", "Where money was concerned.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, which can be exported as CSV."""

    list_title = "Audit log"
    list_intro = (
        "Who did what, when and from where. Rows are only ever added and are sealed in a chain; "
        "no customer is named. Choose rows and “Download as CSV” to take them along."
    )
    list_empty = "Nothing matches."
    list_display = ["at", "kind", "actor", "order_id", "was", "became", _AUDIT_SUM]
    list_filter = ["kind"]
    search_fields = ["actor", "request_id", "=order_id", "=action_id"]
    date_hierarchy = "at"
    actions = ["download_csv"]
    fieldsets = [
        ("What", {"fields": ["kind", "was", "became", _AUDIT_SUM, "detail"]}),
        (
            "Who and from where",
            {"fields": ["at", "actor", "actor_id", "roles", "ip", "request_id"]},
        ),
        ("Of what", {"fields": ["store_id", "order_id", "action_id"]}),
    ]
    help_texts = {
        "kind": "What was done.",
        "detail": "Settings and counts; never names or texts of customers.",
        "at": "In UTC, by the server's clock.",
        "actor_id": "Their number, which stays when a name changes.",
        "roles": "What they were then.",
        "ip": "The address the request came from.",
        "request_id": "The same as in the log and in the answer's X-Request-ID.",
        "store_id": "The store's number here.",
        "order_id": "The order's number here.",
        "action_id": "The cancellation's or refund's number here.",
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
