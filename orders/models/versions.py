"""What an order looked like before (row G10): the states that newer ones took the place of."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from orders.models.orders import Order
from orders.snapshot import OrderSnapshot, decode


class OrderVersionQuerySet(models.QuerySet["OrderVersion"]):
    def at(self, moment: datetime) -> Self:
        """The states that were shown at a moment and are shown no more."""
        return self.filter(since__lte=moment, until__gt=moment)


class OrderVersion(models.Model):
    """A past state, shown from `since` until just before `until`. The present one is the order.

    Rows are added and deleted (with what else names a person), never changed: the database
    refuses it.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(help_text="Order.version while it was shown.")
    since = models.DateTimeField()
    until = models.DateTimeField()
    document = models.BinaryField(help_text="The snapshot as JSON, compressed by zlib.")

    objects = OrderVersionQuerySet.as_manager()

    class Meta:
        ordering = ["order", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "number"], name="orders_one_version_per_number"
            ),
            models.CheckConstraint(
                condition=Q(since__lte=F("until")), name="orders_version_ends_after_it_began"
            ),
        ]

    def __str__(self) -> str:
        return f"Version {self.number}"

    @property
    def text(self) -> str:
        """The snapshot as JSON."""
        return zlib.decompress(bytes(self.document)).decode()

    @property
    def snapshot(self) -> OrderSnapshot:
        return decode(self.text)


def packed(document: str) -> bytes:
    """A document as `OrderVersion.document` holds it."""
    return zlib.compress(document.encode())
