"""Privacy requests with their evidence, and the ledger of redacted people.

Neither holds personal data in the clear: identifiers are keyed hashes, and what a running request
needs to know is encrypted and deleted when the request ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.encryption import SealedTextField
from orders.models.stores import Store


class RetentionPosition(models.Model):
    """Where the hourly run of one retention rule stopped, and the next one goes on.

    Losing it only makes that run begin again.
    """

    rule = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField(null=True, help_text="How old the last row was.")
    key = models.BigIntegerField(help_text="The ID of the last row.")

    def __str__(self) -> str:
        return f"{self.rule} from {self.key} on"


class PrivacyKind(models.TextChoices):
    """Shopify's three mandatory compliance webhooks."""

    DATA_REQUEST = "data_request", "Customer data export"
    CUSTOMER_REDACT = "customer_redact", "Customer data deletion"
    SHOP_REDACT = "shop_redact", "Shop data deletion"


class PrivacyState(models.TextChoices):
    """Where a request is. GRACE is for shops only: their deletion can still be stopped."""

    WAITING = "waiting", "Waiting"
    GRACE = "grace", "Deletion scheduled"
    WORKING = "working", "In progress"
    READY = "ready", "Ready to download"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"
    REFUSED = "refused", "Refused"
    EXPIRED = "expired", "Not downloaded in time"


OPEN_STATES = (
    PrivacyState.WAITING,
    PrivacyState.GRACE,
    PrivacyState.WORKING,
    PrivacyState.READY,
)


class PrivacyRequestQuerySet(models.QuerySet["PrivacyRequest"]):
    """Filters for the task that works on requests."""

    def open(self) -> Self:
        """Requests that have not ended."""
        return self.filter(state__in=OPEN_STATES)

    def due(self, *, now: datetime) -> Self:
        """Open requests that can be worked on now."""
        ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        return self.open().filter(ready)


class PrivacyRequest(models.Model):
    """A data request or deletion that Shopify passed on, and the proof that it was carried out."""

    store = models.ForeignKey(Store, models.PROTECT, related_name="privacy_requests")
    kind = models.CharField(max_length=20, choices=PrivacyKind.choices)
    state = models.CharField(
        max_length=10, choices=PrivacyState.choices, default=PrivacyState.WAITING
    )
    fingerprint = models.CharField(
        max_length=64,
        editable=False,
        help_text="Keyed hash of the request, so that the same one is handled only once.",
    )
    received_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="The legal deadline.")
    next_attempt_at = models.DateTimeField(null=True)
    grace_until = models.DateTimeField(null=True, help_text="It can be stopped until then.")
    done_at = models.DateTimeField(null=True)
    note = models.CharField(
        max_length=255, blank=True, help_text="Why it's waiting or how it ended."
    )
    sealed_scope = SealedTextField(
        blank=True,
        editable=False,
        help_text="Whose data it concerns, encrypted; cleared at the end.",
    )
    progress: models.JSONField[Any] = models.JSONField(default=dict, editable=False)
    evidence: models.JSONField[Any] = models.JSONField(
        default=dict, help_text="Rows for each kind of data, and keyed hashes of the identifiers."
    )

    objects = PrivacyRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-pk"]
        permissions = [("work_on_privacyrequest", "Can export, run and stop privacy requests")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=PrivacyKind.values), name="orders_privacy_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=PrivacyState.values), name="orders_privacy_state_known"
            ),
            # A webhook that is redelivered, or replayed a year later, requests nothing new. Every
            # shop/redact of a shop has the same body, so those are limited to one open at a time.
            models.UniqueConstraint(
                fields=["store", "kind", "fingerprint"],
                condition=~Q(kind=PrivacyKind.SHOP_REDACT),
                name="orders_one_privacy_request",
            ),
            models.UniqueConstraint(
                fields=["store"],
                condition=Q(kind=PrivacyKind.SHOP_REDACT, state__in=OPEN_STATES),
                name="orders_one_shop_redact",
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN_STATES) | Q(sealed_scope=""),
                name="orders_ended_privacy_knows_nobody",
            ),
        ]
        indexes = [
            # sweep_privacy.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=OPEN_STATES),
                name="orders_privacy_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} for {self.store}"


class RedactedKind(models.TextChoices):
    """What kind of identifier a hash was made of."""

    CUSTOMER = "customer", "Shopify customer"
    EMAIL = "email", "Email"
    PHONE = "phone", "Phone"
    ORDER = "order", "Order"


class RedactedIdentity(models.Model):
    """A person or an order whose data from before `redacted_at` must not come back.

    Neither a later read of Shopify nor a restored backup may bring it back.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="redacted_identities")
    kind = models.CharField(max_length=10, choices=RedactedKind.choices)
    digest = models.CharField(max_length=64, help_text="Keyed hash of the identifier.")
    redacted_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "redacted identities"
        constraints = [
            models.UniqueConstraint(
                fields=["store", "kind", "digest"], name="orders_redacted_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=RedactedKind.values), name="orders_redacted_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:12]}"
