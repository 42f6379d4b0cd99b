"""Admin pages of stores, orders, actions, events and the audit log.

Only stores can be edited here; everything else is Shopify's data or history, and read-only. The
docstrings of methods listed in `fieldsets` are their help texts on the page (see DeskAdmin).
"""

from __future__ import annotations

from typing import Final

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import csv_export
from core.dashboard import DESK
from core.email_and_phone import email_key, normal_phone
from orders import (
    audit,
    previews,
    search,
)
from orders.actions import status_texts
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
from orders.statuses.payment_labels import readable

# More results than this need better words.
_FOUND: Final = 100


def _orders_named(words: str) -> list[int]:
    return search.find_by_number(words, among=Order.objects.all(), at_most=_FOUND)


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


_ORDER_TOTAL = sum_column("total", "currency", "Total", "What the customer was charged.")
_ORDER_PAID = sum_column("received", "currency", "Received", "What was paid.")
_ORDER_REFUNDED = sum_column("refunded", "currency", "Refunded", "What was refunded.")
_ORDER_NET = sum_column(
    "net_payment",
    "currency",
    "Still with the shop",
    "Received minus refunded, according to Shopify.",
)
_ORDER_RESERVED = sum_column(
    "reserved", "currency", "Reserved", "Set aside for refunds in progress."
)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders as Shopify last returned them."""

    list_title = "Orders"
    list_intro = "Orders as last read from Shopify. To cancel or refund one, open it in the inbox."
    list_empty = "No matching orders. A new store's orders appear as they're imported."
    list_display = ["name", "store", "placed_at", "paid", "shipped", _ORDER_TOTAL]
    list_filter = [
        "store",
        ("financial_status", StatusFilter),
        ("fulfillment_status", StatusFilter),
        "is_test",
        "placed_at",
    ]
    search_fields = ["name"]
    list_select_related = ["store"]
    fieldsets = [
        ("Order", {"fields": ["name", "store", "at_shopify", "placed_at", "email", "phone"]}),
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
        ("Actions", {"fields": ["its_actions"]}),
        (
            "Sync status",
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
        "name": "The order number customers see.",
        "store": "The store it was placed in.",
        "placed_at": "When the order was placed.",
        "email": "The customer's, from the order. Masked after the retention period.",
        "phone": "The customer's, from the order.",
        "cancelled_at": "Empty if it isn't canceled.",
        "closed_at": "When it was archived in Shopify.",
        "deleted_at": "When we noticed that Shopify no longer has it.",
        "kept_reason": "Why the shop keeps a canceled order's payment.",
        "kept_by": "Who decided this.",
        "shop_updated_at": "When the last change we've read was made, according to Shopify.",
        "fetch_failures": "Failed reads in a row.",
        "gid": "Shopify's ID for it.",
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Search as the inbox does, by indexes."""
        if not search_term.strip():
            return queryset, False
        words = search_term.strip()
        found = search.find(
            words,
            among=Order.objects.all(),
            email=email_key(words) if "@" in words else "",
            phone=normal_phone(words),
            at_most=_FOUND,
        )
        return queryset.filter(pk__in=[order.pk for order in found]), False

    @admin.display(description="Paid", ordering="financial_status")
    def paid(self, order: Order) -> str:
        """Payment status."""
        return badges.payment_word(order.financial_status) or "–"

    @admin.display(description="Shipped", ordering="fulfillment_status")
    def shipped(self, order: Order) -> str:
        """Fulfillment status."""
        return badges.fulfillment_word(order.fulfillment_status) or "–"

    @admin.display(description="Returned")
    def returned(self, order: Order) -> str:
        """Return status."""
        return badges.return_word(order.return_status) or "–"

    @admin.display(description="Cancellation reason")
    def why_canceled(self, order: Order) -> str:
        """As given in Shopify."""
        return previews.reason_words(order.cancel_reason) or "–"

    @admin.display(description="In Shopify")
    def at_shopify(self, order: Order) -> SafeString | str:
        """Opens the order in the Shopify admin."""
        return link(order.admin_url, f"Order {order.legacy_id}")

    @admin.display(description="Cancellations and refunds")
    def its_actions(self, order: Order) -> SafeString | str:
        """Everything requested here, with its outcome."""
        address = f"{reverse('admin:orders_orderaction_changelist')}?order__id__exact={order.pk}"
        return link(address, f"{order.actions.count()} actions")


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
        match = Q(order__in=_orders_named(words)) | Q(requested_by__in=list(people))
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


_EVENT_SUM = sum_column("amount", "currency", "Amount", "If money moved.")


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    """The facts of every order's timeline."""

    list_title = "Order events"
    list_intro = "What happened to orders. Each event is listed once, no matter where it came from."
    list_empty = (
        "No matching events. Events appear when orders are placed, paid, shipped, or refunded."
    )
    list_display = ["order", "kind", "occurred_at", "source", "actor", _EVENT_SUM]
    list_filter = ["kind", "source", "order__store", "occurred_at"]
    search_fields = ["order__name"]
    list_select_related = ["order", "actor"]
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
        "kind": "What happened.",
        "order": "The order.",
        "occurred_at": "When it happened, according to Shopify.",
        "detail": "The reason Shopify gave.",
        "source": "Agent: requested here. Shopify: done in Shopify or by the customer.",
        "actor": "The person, if it was requested here.",
        "action": "The request.",
        "recorded_at": "When we learned of it.",
        "announced_at": "When campaigns had processed it.",
        "key": "Identifies the event so that it's recorded only once.",
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderEvent], search_term: str
    ) -> tuple[QuerySet[OrderEvent], bool]:
        """Search by the order's number."""
        if not (words := search_term.strip()):
            return queryset, False
        return queryset.filter(order__in=_orders_named(words)), False

    @admin.display(description="Reason")
    def why(self, event: OrderEvent) -> str:
        """If one was given."""
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
