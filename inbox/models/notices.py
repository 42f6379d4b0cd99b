"""Telling people about requests that wait for their approval: how they want it, and the emails."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.database.leases import is_due
from orders.models import OrderAction


class NoticeChoice(models.Model):
    """One person's choice; without a row, the defaults apply."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notice_choice"
    )
    on_page = models.BooleanField(default=True, help_text="On any page that is open.")
    on_desktop = models.BooleanField(
        default=False, help_text="By browsers in which they have allowed notifications."
    )
    by_email = models.BooleanField(
        null=True, help_text="Empty: as APPROVAL_EMAILS in the settings says."
    )

    def __str__(self) -> str:
        return f"Notices of {self.user}"

    @property
    def wants_email(self) -> bool:
        """Whether to email them."""
        found: bool = settings.APPROVAL_EMAILS if self.by_email is None else self.by_email
        return found


class NoticeState(models.TextChoices):
    """What became of the email."""

    PENDING = "pending", "Pending"
    SENT = "sent", "Sent"
    # Decided or lapsed, or this person may no longer decide or wants no email.
    NOT_NEEDED = "not_needed", "Not needed anymore"
    FAILED = "failed", "Failed"


class RequestNoticeQuerySet(models.QuerySet["RequestNotice"]):
    """Filters for what is still to be done."""

    def pending(self) -> Self:
        """Rows that haven't ended."""
        return self.filter(state=NoticeState.PENDING)

    def due(self, *, now: datetime) -> Self:
        """Pending rows whose next try has come, and which no worker is busy with."""
        return self.pending().filter(is_due("next_attempt_at", now=now))


class RequestNotice(models.Model):
    """An email about a new request to one person who may decide; at most one row each.

    The request's transaction writes a row without a person. Whoever may decide is found later, and
    gets a row of their own, so that one address that fails doesn't hold up the others.
    """

    action = models.ForeignKey(OrderAction, models.CASCADE, related_name="notices")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    state = models.CharField(
        max_length=10, choices=NoticeState.choices, default=NoticeState.PENDING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="While a worker is busy with it: when another may take over."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RequestNoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["action", "user"], name="inbox_request_notice_once"),
            models.UniqueConstraint(
                fields=["action"], condition=Q(user=None), name="inbox_request_noted_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=NoticeState.values), name="inbox_notice_state_known"
            ),
        ]
        indexes = [
            # sweep_request_notices.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state=NoticeState.PENDING),
                name="inbox_notice_due",
            ),
            # Retention.
            models.Index(fields=["created_at", "id"], name="inbox_notice_age"),
        ]

    def __str__(self) -> str:
        return f"Request {self.action_id}: {self.state}"
