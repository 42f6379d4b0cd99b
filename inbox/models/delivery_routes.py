"""Delivery routes that outgoing messages share."""

from __future__ import annotations

from django.db import models


class Route(models.Model):
    """One delivery route: a channel's callback, the mail server, the SMS provider.

    Its row is locked while a message is claimed, which limits the number of concurrent sends. It
    also remembers that the other side is not responding, so that queued messages need not find
    that out one by one.
    """

    key = models.CharField(max_length=40, unique=True)
    failures = models.PositiveIntegerField(
        default=0, help_text="How many times in a row the other side failed to respond."
    )
    rest_until = models.DateTimeField(
        null=True, blank=True, help_text="Nothing is sent through it until then."
    )

    def __str__(self) -> str:
        return self.key
