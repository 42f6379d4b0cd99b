"""What Shopify pushed to us."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from core.leases import is_due
from orders.models import Store


class EventState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    DEAD = "dead", "Dead"


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self, *, now: datetime) -> Self:
        return self.filter(is_due("next_attempt_at", now=now), state=EventState.WAITING)


class WebhookEvent(models.Model):
    """One delivery, as its raw bytes. A hint that something changed, never data."""

    # No index of its own: the one that keeps a delivery once begins with it.
    store = models.ForeignKey(Store, models.CASCADE, related_name="webhook_events", db_index=False)
    webhook_id = models.CharField(max_length=100)
    event_id = models.CharField(max_length=100, blank=True)
    topic = models.CharField(max_length=100)
    api_version = models.CharField(max_length=20, blank=True)
    triggered_at = models.CharField(max_length=40, blank=True)
    body = models.BinaryField()
    body_sha256 = models.CharField(
        max_length=64, blank=True, help_text="Stays when the body goes (retention)."
    )
    order_id = models.BigIntegerField(
        null=True, help_text="Our number of the order it told of: redaction finds it by that."
    )
    customer_number = models.BigIntegerField(
        null=True, help_text="Shopify's number of the customer it told of, where it named no order."
    )
    received_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=8, choices=EventState.choices, default=EventState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # Deliveries come twice, hours apart. The webhook id is the delivery's own; the
            # event id is shared by all deliveries of one merchant action.
            models.UniqueConstraint(
                fields=["store", "webhook_id"], name="shopify_one_row_per_delivery"
            ),
            models.CheckConstraint(
                condition=Q(state__in=EventState.values), name="shopify_event_state_known"
            ),
        ]
        indexes = [
            # Redaction: the bodies of a person's orders; their own, and those of nobody known,
            # once they were looked at: a row that comes in enters neither.
            models.Index(
                fields=["order_id"],
                condition=Q(order_id__isnull=False),
                name="shopify_event_of_order",
            ),
            models.Index(
                fields=["store", "customer_number"],
                condition=Q(order_id=None) & ~Q(state=EventState.WAITING),
                name="shopify_event_of_person",
            ),
            # backlog.work_off: the oldest that wait.
            models.Index(
                fields=["id"], condition=Q(state=EventState.WAITING), name="shopify_event_waiting"
            ),
            # The admin's list of dead ones, and the balance's count of them.
            models.Index(
                fields=["topic"], condition=Q(state=EventState.DEAD), name="shopify_event_dead"
            ),
            # The balance: what came in an hour.
            models.Index(fields=["received_at"], name="shopify_event_received"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.webhook_id}"

    @property
    def body_bytes(self) -> bytes:
        return bytes(self.body)


class WebhookTally(models.Model):
    """What came to the webhook door in an hour, as it was answered. Each process adds to a row
    of its own (`slot`); the sum of an hour's rows is what is shown."""

    # None: no store of ours was named.
    store = models.ForeignKey(Store, models.CASCADE, null=True, related_name="webhook_tallies")
    hour = models.DateTimeField()
    slot = models.PositiveSmallIntegerField()
    requests = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    unauthorized = models.PositiveIntegerField(default=0, help_text="401: not signed by the shop.")
    malformed = models.PositiveIntegerField(default=0, help_text="400 and 413.")
    unavailable = models.PositiveIntegerField(default=0, help_text="503: Shopify sends it again.")

    class Meta:
        verbose_name = "hour of the balance"
        verbose_name_plural = "balance"
        constraints = [
            models.UniqueConstraint(
                fields=["store", "hour", "slot"], name="shopify_one_tally_per_slot"
            ),
            models.UniqueConstraint(
                fields=["hour", "slot"], condition=Q(store=None), name="shopify_one_strangers_tally"
            ),
        ]
        indexes = [models.Index(fields=["hour"], name="shopify_tally_hour")]

    def __str__(self) -> str:
        return f"{self.store_id} {self.hour:%Y-%m-%d %H:00}"
