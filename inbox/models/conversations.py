"""Conversations and their messages.

A conversation denormalizes its last message, so that the list is a single index scan no matter
how many messages there are.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.database.keyset import rows_before
from inbox.models.channels import Channel
from inbox.models.contacts import Contact
from inbox.models.teams import Team

PREVIEW_LENGTH = 140


def preview_of(text: str) -> str:
    """The start of a message on one line, for the conversation list."""
    return " ".join(text[: PREVIEW_LENGTH * 4].split())[:PREVIEW_LENGTH]


class ConversationState(models.TextChoices):
    """Where a conversation stands. Snoozed ones reopen by themselves."""

    OPEN = "open", _("Open")
    SNOOZED = "snoozed", _("Snoozed")
    RESOLVED = "resolved", _("Resolved")


class ConversationQuerySet(models.QuerySet["Conversation"]):
    """Filters and order of the conversation list."""

    def in_place(self) -> Self:
        """Conversations that are where they belong: with their channel's team, or where someone moved
        them. While a channel moves, the others are on their way to its new team, and no one sees
        them until they are there."""
        here = Q(team=F("channel__team")) | Q(channel__moving_since=None)
        return self.filter(Q(was_moved=True) | here)

    def of_teams(self, teams: Collection[int]) -> Self:
        """The conversations that members of these teams see."""
        return self.filter(team__in=teams).in_place()

    def of_team(self, team: int) -> Self:
        """The conversations that members of this team see: as `of_teams`, in a form that doesn't keep
        the database from reading them in the order of the team's index."""
        moving = Channel.objects.filter(moving_since__isnull=False).exclude(team=team).values("pk")
        return self.filter(Q(was_moved=True) | ~Q(channel__in=moving), team=team)

    def in_state(self, state: str) -> Self:
        """Conversations in one state, as the list shows them."""
        return self.filter(state=state)

    def before(self, at: datetime, pk: int) -> Self:
        """Rows that follow this position when sorted newest first (keyset pagination)."""
        return self.filter(rows_before(("last_message_at", "pk"), (at, pk)))

    def newest_first(self) -> Self:
        """The order of the list, with the ID as tie-breaker, as `before` expects it."""
        return self.order_by("-last_message_at", "-pk")

    def due(self, *, now: datetime) -> Self:
        """Snoozed conversations whose snooze has ended."""
        return self.filter(state=ConversationState.SNOOZED, snoozed_until__lte=now)


class Conversation(models.Model):
    """A thread on one channel, with the contact whose orders are shown beside it."""

    contact = models.ForeignKey(Contact, models.PROTECT, related_name="conversations")
    channel = models.ForeignKey(Channel, models.PROTECT, related_name="conversations")
    team = models.ForeignKey(
        Team,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="conversations",
        # The index on the list's columns serves it.
        db_index=False,
        help_text="Who sees it: the team of its channel, or the one it was moved to.",
    )
    was_moved = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Someone moved it to another team than its channel's, so it doesn't follow the channel.",
    )
    external_id = models.CharField(max_length=200, help_text="The channel's own ID for it.")
    subject = models.CharField(max_length=255, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
    )
    state = models.CharField(
        max_length=10, choices=ConversationState.choices, default=ConversationState.OPEN
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    # Shown to agents who act on an outdated page: who changed the conversation, and when.
    assigned_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When its assignee last changed."
    )
    state_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    state_changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="Who last opened, snoozed, or resolved it. Empty: it reopened automatically.",
    )
    last_press = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        help_text="The browser's ID for the click that last changed it, so that a repeat is "
        "recognized.",
    )
    last_message_at = models.DateTimeField(
        default=timezone.now,
        help_text="When the last message arrived or was written here, or when a snooze ended.",
    )
    last_message_preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True)
    last_message_is_inbound = models.BooleanField(default=True)
    is_unread = models.BooleanField(
        default=False,
        help_text="The customer wrote something that the assignee hasn't read, or, if it is "
        "unassigned, that no agent has.",
    )
    has_undelivered = models.BooleanField(
        default=False, help_text="A reply failed for good and hasn't been sent again."
    )
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="When the customer began waiting for a reply."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "external_id"], name="inbox_one_conversation_per_external_id"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ConversationState.values),
                name="inbox_conversation_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state=ConversationState.SNOOZED, snoozed_until__isnull=False)
                | (~Q(state=ConversationState.SNOOZED) & Q(snoozed_until=None)),
                name="inbox_snoozed_has_end",
            ),
        ]
        indexes = [
            # The lists, newest first: all, mine, a team's, unassigned.
            models.Index(fields=["state", "-last_message_at", "-id"], name="inbox_list_all"),
            models.Index(
                fields=["assignee", "state", "-last_message_at", "-id"],
                condition=Q(assignee__isnull=False),
                name="inbox_list_mine",
            ),
            models.Index(
                fields=["team", "state", "-last_message_at", "-id"],
                condition=Q(team__isnull=False),
                name="inbox_list_team",
            ),
            models.Index(
                fields=["-last_message_at", "-id"],
                condition=Q(assignee=None, state=ConversationState.OPEN),
                name="inbox_list_unassigned",
            ),
            # Counting what no one sees.
            models.Index(
                fields=["channel"], condition=Q(team__isnull=True), name="inbox_without_team"
            ),
            # Searches, the admin's list and retention, whatever the state.
            models.Index(fields=["-last_message_at", "-id"], name="inbox_newest"),
            # sweep_snoozed.
            models.Index(
                fields=["snoozed_until"],
                condition=Q(state=ConversationState.SNOOZED),
                name="inbox_snoozed_due",
            ),
            # The contact page, and choosing the conversation for a confirmation.
            models.Index(fields=["contact", "-last_message_at"], name="inbox_of_contact"),
        ]

    def __str__(self) -> str:
        return self.subject or f"Conversation {self.pk}"

    @property
    def seen_by_team(self) -> int | None:
        """The ID of the team that sees it; None while it is on its way to another (`in_place`)."""
        channel = self.channel
        is_there = self.was_moved or self.team_id == channel.team_id or not channel.moving_since
        return self.team_id if is_there else None

    @property
    def state_mark(self) -> str:
        """Identify the last state change; a page sends it back to say which state it shows."""
        return self.state_changed_at.isoformat() if self.state_changed_at else ""

    @property
    def origin(self) -> str:
        """The value of OrderAction.origin for actions taken in this conversation."""
        return f"conversation:{self.pk}"


def conversation_id(origin: str) -> int | None:
    """Return the ID of the conversation an action came from; None if it came from elsewhere."""
    return _id_in(origin, "conversation")


def _id_in(origin: str, wanted: str) -> int | None:
    kind, _sep, pk = origin.partition(":")
    # At most 18 digits: a longer number is no ID that a database column holds.
    is_ours = kind == wanted and pk.isascii() and pk.isdecimal() and len(pk) < 19
    return int(pk) if is_ours else None


def order_page_origin(order_id: int) -> str:
    """Return the value of OrderAction.origin for actions taken on an order's own page."""
    return f"order:{order_id}"


def order_page_id(origin: str) -> int | None:
    """Return the ID of the order on whose own page an action was taken; None if elsewhere."""
    return _id_in(origin, "order")


class MessageKind(models.TextChoices):
    """Who a message is from and who sees it. Only the team sees notes."""

    INBOUND = "inbound", _("From the customer")
    REPLY = "reply", _("Reply")
    NOTE = "note", _("Note")
    CONFIRMATION = "confirmation", _("Confirmation")
    SYSTEM = "system", _("System")


# Kinds that the list previews: what was last said between the customer and us.
LISTED_KINDS = (MessageKind.INBOUND, MessageKind.REPLY)
# Kinds that are delivered through the channel.
OUTGOING_KINDS = (MessageKind.REPLY, MessageKind.CONFIRMATION)


class DeliveryState(models.TextChoices):
    """How far an outgoing row has come. KEPT rows never leave the database."""

    KEPT = "kept", _("Nothing to send")
    PENDING = "pending", _("Sending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Not delivered")


class Outbox(models.Model):
    """A row that a channel delivers (abstract): the row is the truth, a task only makes it quick.

    `lease_until` belongs to the worker that is sending it. `next_attempt_at`, the back-off, is
    written together with the lease, so an attempt whose worker died counts and backs off like any
    other.
    """

    delivery_state = models.CharField(
        max_length=8, choices=DeliveryState.choices, default=DeliveryState.KEPT
    )
    error = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text="A worker may be sending it until then."
    )
    queued_at = models.DateTimeField(
        null=True, blank=True, help_text="When an agent sent it again after it had failed."
    )
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When the channel accepted it.")
    failed_at = models.DateTimeField(
        null=True, blank=True, help_text="When sending was given up after the last attempt."
    )

    class Meta:
        abstract = True


class MessageQuerySet(models.QuerySet["Message"]):
    """Filters for the list, for delivery, and for failures."""

    def listed(self) -> Self:
        """Messages of the kinds that the conversation list previews."""
        return self.filter(kind__in=LISTED_KINDS)

    def undelivered(self) -> Self:
        """Failed messages that no agent has sent again or dismissed. Rows that failed before
        `failed_at` existed are left out."""
        return self.filter(
            delivery_state=DeliveryState.FAILED, failed_at__isnull=False, handled_at=None
        )


class Message(Outbox):
    """One entry of a thread: inbound, a reply, a note, a confirmation or a system line."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    channel = models.ForeignKey(Channel, models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=12, choices=MessageKind.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="inbox_messages",
    )
    sender = models.ForeignKey(
        "Participant",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="messages",
        help_text="Who wrote an inbound message.",
    )
    recipient = models.CharField(
        max_length=255,
        blank=True,
        help_text="Where a reply goes, fixed when it was written: an email address, or the "
        "messenger's own ID for the person.",
    )
    text = models.TextField(
        blank=True, help_text="Empty: only files, or content that can't be shown."
    )
    cut_from = models.PositiveIntegerField(
        null=True, blank=True, help_text="The message's full length in characters, if it was cut."
    )
    attachments: models.JSONField[Any] = models.JSONField(
        default=list,
        blank=True,
        help_text="Files stored by the messenger: name, url, content_type.",
    )
    external_id = models.CharField(
        max_length=200,
        blank=True,
        help_text="The channel's own ID, so that a repeat finds this row.",
    )
    client_id = models.UUIDField(
        null=True,
        blank=True,
        help_text="The browser's ID for one click on Send, so that a repeat finds this row.",
    )
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who sent it again or dismissed the failed delivery.",
    )
    handled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, help_text="When its author wrote it.")
    arrived_at = models.DateTimeField(default=timezone.now, help_text="When we received it.")

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "external_id"],
                condition=~Q(external_id=""),
                name="inbox_one_message_per_external_id",
            ),
            models.UniqueConstraint(
                fields=["author", "client_id"],
                condition=Q(client_id__isnull=False),
                name="inbox_one_message_per_press",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=MessageKind.values), name="inbox_message_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(delivery_state__in=DeliveryState.values),
                name="inbox_message_delivery_known",
            ),
            # A note must never reach the customer.
            models.CheckConstraint(
                condition=Q(kind__in=OUTGOING_KINDS) | Q(delivery_state=DeliveryState.KEPT),
                name="inbox_only_replies_leave",
            ),
        ]
        indexes = [
            # The thread, newest first.
            models.Index(fields=["conversation", "-created_at", "-id"], name="inbox_thread"),
            # Retention.
            models.Index(fields=["created_at", "id"], name="inbox_message_age"),
            # Unread messages of an agent (inbox.read_marks).
            models.Index(
                fields=["conversation", "id"],
                condition=Q(kind=MessageKind.INBOUND),
                name="inbox_inbound",
            ),
            # sweep_outbox.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(delivery_state=DeliveryState.PENDING),
                name="inbox_message_due",
            ),
            # Counting the sends in progress.
            models.Index(
                fields=["lease_until"],
                condition=Q(lease_until__isnull=False),
                name="inbox_message_leased",
            ),
            # Replies of one conversation are sent in order.
            models.Index(
                fields=["conversation", "id"],
                condition=Q(delivery_state=DeliveryState.PENDING),
                name="inbox_message_in_order",
            ),
            # Failures that an agent still has to deal with: the thread and /metrics.
            models.Index(
                fields=["conversation"],
                condition=Q(delivery_state=DeliveryState.FAILED, handled_at=None),
                name="inbox_message_undelivered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"
