"""The audit log: append-only entries, and the hash chain that seals them.

It holds no names, addresses or texts of customers, so it never has to be redacted. It uses plain
ids instead of foreign keys, so that no deletion elsewhere can take an entry with it.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from orders.models.orders import money_field


class AuditKind(models.TextChoices):
    """What an entry records. Values are part of the hash chain and never change."""

    ACTION = "action", "Action updated"
    APPROVAL = "approval", "Approval given"
    SETTLED_BY_HAND = "settled_by_hand", "Resolved manually"
    MONEY_KEPT = "money_kept", "Payment kept on purpose"
    LOG_IN = "log_in", "Logged in"
    LOG_OUT = "log_out", "Logged out"
    LOG_IN_FAILED = "log_in_failed", "Login failed"
    PERMISSIONS = "permissions", "Permissions changed"
    POLICY = "policy", "Policy changed"
    STORE = "store", "Store changed"
    EXPORT = "export", "Data exported"
    PRIVACY = "privacy", "Privacy request"
    IDENTITY = "identity", "Identity confirmed without proof"
    RESTORE = "restore", "Backup restored"


class AuditEntry(models.Model):
    """One recorded fact: who did what, when and from where. Written by orders.audit.record."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=20, choices=AuditKind.choices)
    actor_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=150, blank=True, help_text="Username. Empty: the system.")
    roles = models.CharField(max_length=255, blank=True)
    store_id = models.BigIntegerField(null=True)
    order_id = models.BigIntegerField(null=True)
    action_id = models.BigIntegerField(null=True)
    before = models.CharField(max_length=40, blank=True)
    after = models.CharField(max_length=40, blank=True)
    amount = money_field(null=True)
    currency = models.CharField(max_length=3, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    ip = models.GenericIPAddressField(null=True)
    detail: models.JSONField[Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["at"], name="orders_audit_at"),
            models.Index(fields=["order_id"], name="orders_audit_order"),
            models.Index(fields=["action_id"], name="orders_audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind} {self.before}→{self.after}"


class AuditSeal(models.Model):
    """A link of the chain: a hash of the previous one and an entry (orders.audit.chain).

    A single job seals entries, so writers never wait for each other; an entry that commits late is
    simply sealed later.
    """

    seq = models.BigIntegerField(primary_key=True)
    entry_id = models.BigIntegerField(unique=True)
    # If two jobs seal at once, one of them collides here and starts over.
    prev_hash = models.CharField(max_length=64, unique=True)
    hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=timezone.now)
    version = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        help_text="The format: 1 is hashed without a key, 2 with one.",
    )
    key_id = models.CharField(
        max_length=16,
        blank=True,
        db_default="",
        help_text="Which key; the key itself is in the settings.",
    )

    class Meta:
        ordering = ["seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.hash[:12]}"


class AuditScan(models.Model):
    """A single row: how far the daily scan for entries without a seal has come.

    Only a position to go on from. Moving it delays the scan; `audit_verify` doesn't rely on it.
    """

    next_id = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"from {self.next_id} on"
