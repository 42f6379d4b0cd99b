"""Rows about signing in: failed attempts, counted, and roles that wait for a second administrator."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils import timezone


class FailedLogIn(models.Model):
    """Wrong passwords for one name from one place within one hour (inbox.accounts.login.throttling).

    A counter, so that guessing makes it grow and not the table.
    """

    hour = models.DateTimeField(help_text="The hour it counts, by its beginning.")
    # A keyed hash: what was typed may be a password in the wrong field.
    name_digest = models.CharField(max_length=64)
    place = models.CharField(
        max_length=64, help_text="The address or network, or “device” for one that is known."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The account of that name; empty if there is none.",
    )
    count = models.PositiveIntegerField(default=0, help_text="Wrong passwords in that hour.")
    last_at = models.DateTimeField(default=timezone.now, help_text="The last of them.")

    class Meta:
        ordering = ["-hour", "-count"]
        verbose_name = "failed login"
        constraints = [
            # Every attempt sums up its name's rows, so the name comes first and the range last.
            models.UniqueConstraint(
                fields=["name_digest", "place", "hour"], name="inbox_failed_login_once"
            )
        ]
        indexes = [models.Index(fields=["hour", "place"], name="inbox_failed_by_place")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00 {self.place} × {self.count}"


class GrantState(models.TextChoices):
    WAITING = "waiting", "Waiting for a second administrator"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"


class RoleGrant(models.Model):
    """A role that moves or approves money, on its way to a person (inbox.accounts.grants)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="role_grants",
        help_text="Who would get the role.",
    )
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, related_name="+", help_text="The role."
    )
    state = models.CharField(
        max_length=10,
        choices=GrantState.choices,
        default=GrantState.WAITING,
        help_text="Where it is.",
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The first administrator.",
    )
    requested_at = models.DateTimeField(default=timezone.now, help_text="When they asked.")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The second administrator.",
    )
    decided_at = models.DateTimeField(null=True, blank=True, help_text="When they decided.")

    class Meta:
        ordering = ["-requested_at"]
        verbose_name = "role request"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "group"],
                condition=Q(state="waiting"),
                name="inbox_one_waiting_grant",
            )
        ]

    def __str__(self) -> str:
        return f"{self.group.name} for {self.user.get_username()}"
