"""Stored webhook deliveries, and hourly counts of how requests were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from core.database.leases import is_due
from orders.models import Store


class EventState(models.TextChoices):
    """DEAD: failed too often; an administrator has to look and replay it."""

    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    DEAD = "dead", "Dead"


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    """Filters for the task that processes stored events."""

    def due(self, *, now: datetime) -> Self:
        """Waiting events whose next attempt is due."""
        return self.filter(is_due("next_attempt_at", now=now), state=EventState.WAITING)


class WebhookEvent(models.Model):
    """One delivery, with its raw body: a hint that something changed, never a source of data."""

    # No index of its own: the unique constraint's index begins with this column.
    store = models.ForeignKey(Store, models.CASCADE, related_name="webhook_events", db_index=False)
    webhook_id = models.CharField(max_length=100)
    event_id = models.CharField(max_length=100, blank=True)
    topic = models.CharField(max_length=100)
    api_version = models.CharField(max_length=20, blank=True)
    triggered_at = models.CharField(max_length=40, blank=True)
    body = models.BinaryField()
    body_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="Kept when the body is deleted after its retention period.",
    )
    order_id = models.BigIntegerField(
        null=True, help_text="The ID here of the order it was about, by which redaction finds it."
    )
    customer_number = models.BigIntegerField(
        null=True, help_text="Shopify's ID of the customer it was about, if it named no order."
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
            # The same delivery may come twice, hours apart. Its webhook ID identifies it; all
            # deliveries caused by one merchant action share an event ID.
            models.UniqueConstraint(
                fields=["store", "webhook_id"], name="shopify_one_row_per_delivery"
            ),
            models.CheckConstraint(
                condition=Q(state__in=EventState.values), name="shopify_event_state_known"
            ),
        ]
        indexes = [
            # Both for redaction: the bodies about a person's orders, and processed bodies about
            # the person or about no known one. A new row enters neither, which keeps inserts fast.
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
            # processing.work_off: the oldest waiting events.
            models.Index(
                fields=["id"], condition=Q(state=EventState.WAITING), name="shopify_event_waiting"
            ),
            # The admin's list of dead events and their count on the balance page.
            models.Index(
                fields=["topic"], condition=Q(state=EventState.DEAD), name="shopify_event_dead"
            ),
            # Retention: processed events that still have a body. A new row doesn't enter it.
            models.Index(
                fields=["received_at", "id"],
                condition=~Q(state=EventState.WAITING) & ~Q(body=b"", error=""),
                name="shopify_event_age",
            ),
            # The balance page: events per hour.
            models.Index(fields=["received_at"], name="shopify_event_received"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.webhook_id}"

    @property
    def body_bytes(self) -> bytes:
        """The body as bytes: on PostgreSQL, the field itself is a memoryview."""
        return bytes(self.body)


class WebhookTally(models.Model):
    """Webhook requests of one hour, counted by how they were answered.

    Each process adds to its own row (`slot`), so that processes don't wait for each other. The
    balance page shows the sum of an hour's rows.
    """

    # Null for requests that named no connected store.
    store = models.ForeignKey(Store, models.CASCADE, null=True, related_name="webhook_tallies")
    hour = models.DateTimeField()
    slot = models.PositiveSmallIntegerField()
    requests = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    unauthorized = models.PositiveIntegerField(
        default=0, help_text="401: the shop's signature was missing or wrong."
    )
    malformed = models.PositiveIntegerField(
        default=0, help_text="400 or 413: malformed or too large."
    )
    unavailable = models.PositiveIntegerField(
        default=0, help_text="503: unavailable; Shopify sends it again."
    )

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
