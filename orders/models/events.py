"""What happened to an order, each fact once: the rows of the activity timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Substr
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.database.leases import is_due
from orders.models.actions import OrderAction
from orders.models.orders import Order, OrderRefund, money_field
from orders.money import Money


class EventKind(models.TextChoices):
    """What can happen to an order. Campaigns are triggered by the first six."""

    PLACED = "placed", _("Order placed")
    PAID = "paid", _("Payment received")
    FULFILLED = "fulfilled", _("Shipped")
    DELIVERED = "delivered", _("Delivered")
    CANCELED = "canceled", _("Order canceled")
    REFUNDED = "refunded", _("Refunded")
    ACTION_FAILED = "action_failed", _("Not carried out")
    RETURN = "return", _("Return")
    EDITED = "edited", _("Order edited")
    HOLD = "hold", _("On hold")
    DISPUTE = "dispute", _("Payment dispute")
    NOTE = "note", _("Note on the order changed")


class EventSource(models.TextChoices):
    """Where an event was caused: by an agent here, in Shopify, or by an automation."""

    AGENT = "agent", _("Agent")
    SHOPIFY = "shopify", _("Shopify")
    AUTOMATION = "automation", _("Automation")


# Our own reasons: goods of a return that came back, and a hold that ended.
RECEIVED: Final = "RECEIVED"
RELEASED: Final = "RELEASED"
# Prefix of a refund event's key; Shopify's ID of the refund follows.
REFUNDED_KEY: Final = "refunded:"


def _refund_of_event() -> models.QuerySet[OrderRefund]:
    """The refund that an outer query's event is about."""
    return OrderRefund.objects.filter(
        order=OuterRef("order"), gid=Substr(OuterRef("key"), len(REFUNDED_KEY) + 1)
    )


def moved_in_shop() -> Subquery:
    """Return what has moved of a refund event, in the shop's currency.

    NULL if Shopify no longer lists the refund: an event only knows the customer's currency.
    """
    return Subquery(_refund_of_event().values("moved_shop"))


class OrderEventQuerySet(models.QuerySet["OrderEvent"]):
    """Filters for campaigns and for reports of money."""

    def unannounced(self) -> Self:
        """Events that their listeners (campaigns) have not processed yet."""
        return self.filter(announced_at=None)

    def with_moved(self) -> Self:
        """Annotate refund events with `moved` and `waiting`: where the money is today.

        An event holds what was booked when it was first seen; banks answer later. If Shopify no
        longer lists the refund, the booked amount counts as moved. For other kinds, `moved` is the
        event's own amount.
        """
        refund = _refund_of_event()
        return self.annotate(
            moved=Coalesce(Subquery(refund.values("moved")), F("amount")),
            waiting=Subquery(refund.values("waiting")),
        )

    def to_announce(self, *, now: datetime) -> Self:
        """Unannounced events that are due: new ones, and failed ones whose back-off is over."""
        return self.unannounced().filter(is_due("announce_after", now=now))


class OrderEvent(models.Model):
    """One fact about an order.

    `key` names the fact in Shopify's terms, so it stays one row however often it is reported, be
    it by webhook, poll or response.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    key = models.CharField(max_length=150)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    source = models.CharField(max_length=12, choices=EventSource.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="order_events"
    )
    action = models.ForeignKey(OrderAction, models.SET_NULL, null=True, related_name="events")
    amount = money_field(null=True)
    currency = models.CharField(max_length=3, blank=True)
    reason = models.CharField(max_length=100, blank=True)
    detail = models.TextField(blank=True)
    announced_at = models.DateTimeField(null=True)
    announce_after = models.DateTimeField(
        null=True, help_text="Campaigns failed to process it and will try again then."
    )

    unsettled_at = models.DateTimeField(
        null=True, help_text="When we last saw that the bank hadn't confirmed it yet."
    )

    objects = OrderEventQuerySet.as_manager()

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["order", "key"], name="orders_one_event_per_fact"),
            models.CheckConstraint(
                condition=Q(kind__in=EventKind.values), name="orders_event_kind_known"
            ),
        ]
        indexes = [
            models.Index(fields=["order", "-occurred_at"], name="orders_event_timeline"),
            # The admin's list, newest first.
            models.Index(fields=["-occurred_at", "-id"], name="orders_event_newest"),
            # Reports of money.
            models.Index(
                fields=["occurred_at"],
                condition=Q(kind__in=[EventKind.REFUNDED, EventKind.CANCELED]),
                name="orders_event_money",
            ),
            # Campaigns: events still to be processed.
            models.Index(
                fields=["id"], condition=Q(announced_at=None), name="orders_event_unannounced"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.order}"

    @property
    def label(self) -> str:
        """What happened, in words; a kind of a newer release is shown as it is stored."""
        is_known = self.kind in EventKind.values
        unknown = gettext("Unknown (%(word)s)") % {"word": self.kind}
        return str(self.get_kind_display()) if is_known else unknown

    @property
    def money(self) -> Money | None:
        """The event's amount, in the customer's currency; None if it has none."""
        return Money(self.amount, self.currency) if self.amount is not None else None
