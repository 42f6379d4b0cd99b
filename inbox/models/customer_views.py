"""Who opened which customer, and when."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ViewedKind(models.TextChoices):
    """What was opened. An order counts by itself only where no contact is shown with it."""

    CONTACT = "contact", "Contact"
    ORDER = "order", "Order"


class CustomerView(models.Model):
    """One person opened one customer's profile, conversation or order, in one hour.

    Only numbers: what they refer to may be deleted or redacted without touching this. Further views
    in the same hour add nothing, so the table grows with work, not with reloads.
    """

    viewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", help_text="Who opened it."
    )
    kind = models.CharField(
        max_length=10, choices=ViewedKind.choices, help_text="What the number refers to."
    )
    number = models.BigIntegerField(help_text="The ID of the contact or of the order.")
    hour = models.DateTimeField(help_text="The beginning of the hour, in UTC.")
    viewed_at = models.DateTimeField(auto_now_add=True, help_text="The first view in that hour.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "number", "viewer", "hour"], name="inbox_one_view_an_hour"
            )
        ]
        indexes = [models.Index(fields=["hour"], name="inbox_view_hour")]

    def __str__(self) -> str:
        return f"{self.viewer} {self.kind} {self.number} {self.hour:%Y-%m-%d %H}"
