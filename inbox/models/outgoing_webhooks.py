"""Webhooks that we send: the endpoints of other programs, and every message to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from core.database.leases import is_due, is_free
from core.encryption import EncryptedTextField
from orders.models import Store

# More than the longest wait between two attempts (inbox.outgoing_webhooks.claiming).
LONGEST_WAIT: Final = timedelta(hours=30)


class WebhookType(models.TextChoices):
    """What a webhook tells. Programs rely on these names."""

    ACTION_REQUESTED = "action.requested", "Action requested"
    ACTION_APPROVED = "action.approved", "Action approved"
    ACTION_DECLINED = "action.declined", "Action declined"
    ACTION_WITHDRAWN = "action.withdrawn", "Action withdrawn"
    ACTION_EXPIRED = "action.expired", "Action expired"
    ACTION_SUCCEEDED = "action.succeeded", "Action done"
    ACTION_AWAITING_BANK = "action.awaiting_bank", "Action done, waiting for the bank"
    ACTION_FAILED = "action.failed", "Action failed, at least in part"
    ACTION_BLOCKED = "action.blocked", "Action waits for an administrator"
    ACTION_NEEDS_REVIEW = "action.needs_review", "Action needs review"
    DECISION_OPENED = "decision.opened", "Decision waits for a person"
    DECISION_UPDATED = "decision.updated", "First of two approvals given"
    DECISION_CLOSED = "decision.closed", "Decision no longer waits"
    ORDER_PLACED = "order.placed", "Order placed"
    ORDER_PAID = "order.paid", "Payment received"
    ORDER_FULFILLED = "order.fulfilled", "Order shipped"
    ORDER_DELIVERED = "order.delivered", "Order delivered"
    ORDER_CANCELED = "order.canceled", "Order canceled"
    ORDER_REFUNDED = "order.refunded", "Order refunded"
    ORDER_CHANGED = "order.changed", "Order changed in any way"
    TEST = "webhook.test", "Test event"


# What an endpoint can subscribe to; a test event goes to the endpoint it is sent to.
SUBSCRIBABLE: Final = tuple(kind for kind in WebhookType if kind != WebhookType.TEST)


def validate_types(value: Any) -> None:
    """Raise ValidationError unless the value is a list of types that can be subscribed to."""
    if not isinstance(value, list) or not value or not set(value) <= set(SUBSCRIBABLE):
        raise ValidationError("Choose at least one event type.")


class OffReason(models.TextChoices):
    """Why an endpoint was turned off by us."""

    GONE = "gone", "The endpoint answered that it is gone (410)"
    FAILING = "failing", "Nothing has been accepted for days"


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    """Filters for those that get messages."""

    def active(self) -> Self:
        """Endpoints that are turned on."""
        return self.filter(is_active=True)


class WebhookEndpoint(models.Model):
    """Where another program receives webhooks, and what it wants to be told."""

    name = models.CharField(max_length=100, unique=True)
    url = models.URLField("URL", max_length=500)
    event_types: models.JSONField[Any] = models.JSONField(
        "events", default=list, validators=[validate_types]
    )
    stores = models.ManyToManyField(Store, blank=True, related_name="webhook_endpoints")
    is_active = models.BooleanField("turned on", default=True)
    off_reason = models.CharField(
        "turned off because", max_length=10, choices=OffReason.choices, blank=True, editable=False
    )
    off_since = models.DateTimeField("turned off", null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    secret = EncryptedTextField(blank=True, editable=False)
    # Signs along with the new one for a while, so that the receiver can change over.
    old_secret = EncryptedTextField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(off_reason__in=["", *OffReason.values])
                & (Q(off_reason="") | Q(is_active=False)),
                name="inbox_webhook_off_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True, off_since=None)
                | Q(is_active=False, off_since__isnull=False),
                name="inbox_webhook_off_since",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WebhookState(models.TextChoices):
    """What became of a message."""

    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Not delivered"


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    """Filters for what is still to be sent."""

    def pending(self) -> Self:
        """Messages that are neither delivered nor given up."""
        return self.filter(state=WebhookState.PENDING)

    def due(self, *, now: datetime) -> Self:
        """Pending messages whose next attempt has come, and which no worker holds."""
        ready = is_due("next_attempt_at", now=now, longest=LONGEST_WAIT)
        return self.pending().filter(ready, is_free("lease_until", now=now))


class WebhookDelivery(models.Model):
    """One message to one endpoint, written in the transaction that made what it tells.

    `payload` is the body as it is sent, the same on every attempt, and so is `message_id`.
    """

    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="deliveries")
    message_id = models.CharField(max_length=40)
    event_type = models.CharField("event", max_length=30, choices=WebhookType.choices)
    payload = models.TextField()
    state = models.CharField(
        max_length=10, choices=WebhookState.choices, default=WebhookState.PENDING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField("next attempt", null=True)
    lease_until = models.DateTimeField(null=True)
    # Of the last attempt that ended.
    tried_at = models.DateTimeField("last attempt", null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField("written", auto_now_add=True)
    delivered_at = models.DateTimeField("delivered", null=True)
    # When its time to be delivered began: when it was written or sent again by hand.
    queued_at = models.DateTimeField()

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["message_id", "endpoint"], name="inbox_webhook_message_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=WebhookState.values), name="inbox_webhook_state_known"
            ),
            models.CheckConstraint(
                condition=Q(event_type__in=WebhookType.values), name="inbox_webhook_type_known"
            ),
            models.CheckConstraint(
                condition=Q(state=WebhookState.PENDING) | Q(next_attempt_at=None, lease_until=None),
                name="inbox_webhook_ended_rests",
            ),
        ]
        indexes = [
            # Sending: what waits for each endpoint, by when its turn is.
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                condition=Q(state=WebhookState.PENDING),
                name="inbox_webhook_due",
            ),
            # How many are being sent, and which have waited too long.
            models.Index(
                fields=["lease_until"],
                condition=Q(state=WebhookState.PENDING, lease_until__isnull=False),
                name="inbox_webhook_leased",
            ),
            models.Index(
                fields=["queued_at"],
                condition=Q(state=WebhookState.PENDING),
                name="inbox_webhook_waiting",
            ),
            # The log of one endpoint, newest first.
            models.Index(fields=["endpoint", "-id"], name="inbox_webhook_log"),
            # Retention.
            models.Index(fields=["created_at", "id"], name="inbox_webhook_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.message_id}"
