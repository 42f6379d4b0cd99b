"""How a store is reached, and what Shopify told us of it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from orders.models import Store
from shopify_sync.fields import EncryptedTextField, Secret


class ShopConnection(models.Model):
    """The credentials of one store, and what the last checks of them showed (F01)."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="connection")
    access_token = EncryptedTextField(help_text="The Admin API token. Stored encrypted.")
    api_secret = EncryptedTextField(
        help_text="The app's client secret: signs webhooks. Stored encrypted."
    )
    previous_api_secret = EncryptedTextField(
        blank=True, default="", help_text="Still accepted while Shopify rotates the secret."
    )
    scopes = models.JSONField(default=list, blank=True, editable=False)
    credentials_ok_at = models.DateTimeField(null=True, editable=False)
    webhooks_ok_at = models.DateTimeField(null=True, editable=False)
    # The circuit breaker: answers without an outcome, since when, and how long to keep away.
    breaker_count = models.PositiveSmallIntegerField(default=0, editable=False)
    breaker_since = models.DateTimeField(null=True, editable=False)
    breaker_open_until = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.store.domain

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every secret a webhook of this shop may be signed with."""
        both: tuple[Secret, ...] = (self.api_secret, self.previous_api_secret)
        return tuple(secret.reveal().encode() for secret in both if secret)


class EventState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    DEAD = "dead", "Dead"


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self, *, now: datetime) -> Self:
        ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        return self.filter(ready, state=EventState.WAITING)


class WebhookEvent(models.Model):
    """One delivery, as its raw bytes. A hint that something changed, never data."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="webhook_events")
    webhook_id = models.CharField(max_length=100)
    event_id = models.CharField(max_length=100, blank=True)
    topic = models.CharField(max_length=100)
    api_version = models.CharField(max_length=20, blank=True)
    triggered_at = models.CharField(max_length=40, blank=True)
    body = models.BinaryField()
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
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state=EventState.WAITING),
                name="shopify_event_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.webhook_id}"

    @property
    def body_bytes(self) -> bytes:
        return bytes(self.body)


class SyncCursor(models.Model):
    """How far reconciliation has read a store."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="sync_cursor")
    updated_through = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    orders_seen = models.PositiveIntegerField(default=0)
    drift_found = models.PositiveIntegerField(
        default=0, help_text="Orders found changed that no webhook had told of."
    )

    def __str__(self) -> str:
        return f"{self.store} through {self.updated_through}"
