"""Channels through which customers reach us."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.encryption import SealedTextField
from inbox.models.teams import Team


class ChannelKind(models.TextChoices):
    """How a channel delivers: through its API, or as email."""

    API = "api", _("Messenger (API)")
    EMAIL = "email", _("Email")


class Channel(models.Model):
    """A messenger or a mailbox. Its key authenticates inbound calls; its secret signs what we
    send to its callback."""

    kind = models.CharField(max_length=10, choices=ChannelKind.choices, default=ChannelKind.API)
    name = models.CharField(max_length=100, unique=True, help_text="Shown to agents.")
    is_active = models.BooleanField(
        default=True, help_text="If off, its messages are rejected and nothing is sent through it."
    )
    callback_url = models.URLField(
        max_length=500,
        blank=True,
        help_text="Replies are posted to this URL, signed according to Standard Webhooks. If empty, "
        "replies stay in the conversation.",
    )
    proves_addresses = models.BooleanField(
        "always verifies its senders' addresses",
        default=False,
        help_text="Select this only if no one can write under an address that isn't theirs, as in a "
        "messenger that knows users by phone number or a chat behind your own login. If "
        "off, an address counts as verified only if the message says so "
        "(sender.verified); any other address only suggests a customer.",
    )
    team = models.ForeignKey(
        Team,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="channels",
        help_text="Who sees its conversations. Empty: everyone while there are no teams, and no one "
        "once there are.",
    )
    moving_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Since when its conversations have been following it to another team. Empty: all of "
        "them have.",
    )
    # The API key itself is shown once and never stored (inbox.channels.keys).
    key_prefix = models.CharField(max_length=20, blank=True, editable=False)
    key_hash = models.CharField(max_length=64, blank=True, editable=False)
    sealed_secret = SealedTextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=ChannelKind.values), name="inbox_channel_kind_known"
            ),
            models.UniqueConstraint(
                fields=["key_prefix"],
                condition=~Q(key_prefix=""),
                name="inbox_one_channel_per_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name
