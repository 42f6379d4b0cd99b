"""Participants of a conversation, and each agent's read mark and draft in it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inbox import normalization
from inbox.models.contacts import Contact
from inbox.models.conversations import Conversation


class Participant(models.Model):
    """A person who has written in a conversation; every inbound message points to its sender.

    People other than the conversation's contact may write in it (a copied colleague, a group
    chat). Each has a contact of their own, but the conversation shows only the orders of its own
    contact.
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="participations")
    external_id = models.CharField(max_length=200, help_text="The channel's own ID for them.")
    name = models.CharField(max_length=255, blank=True, help_text="The name the channel gives.")
    address = models.CharField(
        max_length=255,
        blank=True,
        help_text="The address they last wrote from, which replies go to.",
    )
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "external_id"], name="inbox_one_participant_per_sender"
            ),
        ]

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """The name to display: never empty and never made of invisible characters."""
        return normalization.name(self.name) or self.address or self.contact.shown_name


class ReadMark(models.Model):
    """How far an agent has read a conversation: up to and including this message."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="read_marks")
    last_message_id = models.PositiveBigIntegerField(default=0)
    read_at = models.DateTimeField(
        default=timezone.now, help_text="When something new in it was last shown to them."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "conversation"], name="inbox_one_read_mark_per_agent"
            ),
        ]

    def __str__(self) -> str:
        return f"Read up to {self.last_message_id}"


class DraftMode(models.TextChoices):
    """Whether a draft goes to the customer or stays with the team."""

    REPLY = "reply", _("Reply")
    NOTE = "note", _("Note")


class Draft(models.Model):
    """An agent's unsent text in a conversation. No one else sees it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="drafts")
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="drafts")
    mode = models.CharField(max_length=5, choices=DraftMode.choices, default=DraftMode.REPLY)
    text = models.TextField(
        help_text="Empty: it was cleared, and saves from before that are ignored."
    )
    client_id = models.UUIDField(
        default=uuid.uuid4, help_text="The composer's ID, which the message will carry."
    )
    version = models.UUIDField(
        default=uuid.uuid4, help_text="The browser's ID for the save that wrote this."
    )
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "conversation"], name="inbox_one_draft_per_agent"
            ),
            models.CheckConstraint(
                condition=Q(mode__in=DraftMode.values), name="inbox_draft_mode_known"
            ),
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk}"
