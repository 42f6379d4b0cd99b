"""Addresses that have opted out of marketing."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class OptOut(models.Model):
    """An address that gets no more marketing from us, whatever consent Shopify shows.

    Stored as a keyed hash only, because it has to outlive the person's other data.
    """

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    kept_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was written to the ledger file, which is kept apart from backups.",
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(kept_at=None), name="inbox_optout_to_be_kept"
            )
        ]

    def __str__(self) -> str:
        return f"Opt-out {self.pk}"
