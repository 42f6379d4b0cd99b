"""Teams: who sees which conversations and which stores' orders."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from orders.models import Store


class Team(models.Model):
    """People who share channels and stores.

    Without any team there are no boundaries. Once there is one, people see only what belongs to a
    team of theirs (inbox.visibility): the conversations of its channels, those moved to it, and the
    orders of its stores.
    """

    name = models.CharField(max_length=100, unique=True, help_text="Shown to agents.")
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        related_name="teams",
        help_text="Agents and supervisors; a person may be in several teams.",
    )
    stores = models.ManyToManyField(
        Store, blank=True, related_name="teams", help_text="Whose orders the team sees."
    )
    members_changed_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Since when conversations of people who left may still be assigned to them. Empty: "
        "none are.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
