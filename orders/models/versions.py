"""What an order looked like before: the states that newer ones replaced."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from orders.models.orders import Order
from orders.snapshot import OrderSnapshot, decode


class OrderVersionQuerySet(models.QuerySet["OrderVersion"]):
    """Looks states up by the time they were shown."""

    def at(self, moment: datetime) -> Self:
        """The past states that were shown at `moment`."""
        return self.filter(since__lte=moment, until__gt=moment)


class OrderVersion(models.Model):
    """A past state of an order, shown from `since` until just before `until`.

    The current state is the order itself. Rows are added, and deleted along with a customer's
    other data, but never updated: a database trigger refuses that.
    """

    order = models.ForeignKey(Order, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(
        help_text="The order's `version` while it looked like this."
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    document = models.BinaryField(help_text="The snapshot as JSON, compressed with zlib.")

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
        """The decoded state, as it was shown then."""
        return decode(self.text)


def packed(document: str) -> bytes:
    """Compress a snapshot's JSON for `OrderVersion.document`."""
    return zlib.compress(document.encode())
