"""Admin pages of orders and their events: Shopify's data, read-only. The docstrings of methods
listed in `fieldsets` are their help texts on the page (see DeskAdmin).
"""

from __future__ import annotations

from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from core.email_and_phone import email_key, normal_phone
from orders import (
    previews,
    search,
)
from orders.admin.base import (
    ReadOnlyAdmin,
    StatusFilter,
    link,
    sum_column,
)
from orders.models import Order, OrderEvent
from orders.statuses import badges

# More results than this need better words.
_FOUND: Final = 100


def orders_named(words: str) -> list[int]:
    """Return the IDs of orders whose number these words could be, at most 100."""
    return search.find_by_number(words, among=Order.objects.all(), at_most=_FOUND)


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
        return queryset.filter(order__in=orders_named(words)), False

    @admin.display(description="Reason")
    def why(self, event: OrderEvent) -> str:
        """If one was given."""
        return previews.reason_words(event.reason) or "–"
