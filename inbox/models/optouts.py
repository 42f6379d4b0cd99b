"""Who asked for no more advertising."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class OptOut(models.Model):
    """An address that gets no marketing from us any more, whatever consent Shopify shows.

    Only a keyed hash of it: it has to outlive the person's other data.
    """

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Opt-out {self.pk}"
