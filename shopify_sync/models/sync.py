"""How far each store has been read."""

from __future__ import annotations

from django.db import models

from orders.models import Store


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
