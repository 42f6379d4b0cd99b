"""What happened to an order, once each: the rows of the activity timeline (F46)."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Substr
from django.utils.translation import gettext_lazy as _

from core.leases import is_due
from orders.models.actions import OrderAction
from orders.models.orders import Order, OrderRefund, money_field
from orders.money import Money


class EventKind(models.TextChoices):
    PLACED = "placed", _("Order placed")
    PAID = "paid", _("Payment received")
    FULFILLED = "fulfilled", _("Shipped")
    DELIVERED = "delivered", _("Delivered")
    CANCELED = "canceled", _("Order canceled")
    REFUNDED = "refunded", _("Refunded")
    ACTION_FAILED = "action_failed", _("Not carried out")


class EventSource(models.TextChoices):
    AGENT = "agent", _("Agent")
    SHOPIFY = "shopify", _("Shopify")
    AUTOMATION = "automation", _("Automation")


# What the key of a refund's event begins with; Shopify's id of the refund follows.
REFUNDED_KEY: Final = "refunded:"


class OrderEventQuerySet(models.QuerySet["OrderEvent"]):
    def unannounced(self) -> Self:
        """Events whose listeners (campaigns) have not taken note of them yet."""
        return self.filter(announced_at=None)

    def with_moved(self) -> Self:
        """Each with `moved` and `waiting`: what became of a refund's money by today.

        An event says what was booked when it was first seen; banks answer later. Where Shopify
        does not list the refund any more, what it booked counts as moved. None for other kinds.
        """
        refund = OrderRefund.objects.filter(
            order=OuterRef("order"), gid=Substr(OuterRef("key"), len(REFUNDED_KEY) + 1)
        )
        return self.annotate(
            moved=Coalesce(Subquery(refund.values("moved")), F("amount")),
            waiting=Subquery(refund.values("waiting")),
        )

    def to_announce(self, *, now: datetime) -> Self:
        """Those of them whose turn it is: the last try did not just fail."""
        return self.unannounced().filter(is_due("announce_after", now=now))


class OrderEvent(models.Model):
    """`key` names the fact in Shopify's terms, so that one fact is one row however often,
    and by whichever way, it is heard of."""

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
        null=True, help_text="Telling of it failed; it is tried again then."
    )

    unsettled_at = models.DateTimeField(
        null=True, help_text="When its bank was last seen not to have answered yet."
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
            # Campaigns: what nobody has been told of yet.
            models.Index(
                fields=["id"], condition=Q(announced_at=None), name="orders_event_unannounced"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.order}"

    @property
    def money(self) -> Money | None:
        return Money(self.amount, self.currency) if self.amount is not None else None
