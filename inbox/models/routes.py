"""The ways out that messages share, and who asked for no more advertising."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Route(models.Model):
    """One way out: a channel's callback, the mail server, the SMS provider.

    Its row is locked while a message is claimed, so that the number of messages on their way by
    it can be limited; and it remembers that the other side does not answer, so that the messages
    behind need not find out one by one.
    """

    key = models.CharField(max_length=40, unique=True)
    failures = models.PositiveIntegerField(
        default=0, help_text="How often in a row the other side did not answer."
    )
    rest_until = models.DateTimeField(
        null=True, blank=True, help_text="Until when nothing is sent by it."
    )

    def __str__(self) -> str:
        return self.key


class OptOut(models.Model):
    """An address that gets no marketing from us any more, whatever consent Shopify shows.

    Only a keyed hash of it: it has to outlive the person's other data.
    """

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Opt-out {self.pk}"
