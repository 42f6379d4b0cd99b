"""Tokens for programs that use the REST API on a person's behalf."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orders.models import Store


class TokenScope(models.TextChoices):
    """What a token allows; each includes those before it."""

    READ = "read", _("Read orders, contacts, decisions and reports")
    PROPOSE = "propose", _("Also request actions, which another person then has to approve")
    ACT = "act", _("Everything its owner may do")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def live(self, *, now: datetime) -> Self:
        """Tokens that are neither revoked nor expired. Their owner may still have lost the role."""
        return self.filter(revoked_at=None, expires_at__gt=now)


class ApiToken(models.Model):
    """A token for the REST API. Requests made with it count as its owner's.

    The token itself is shown once and never stored (inbox.api_tokens).
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=TokenScope.choices)
    # None: every store its owner may see.
    stores = models.ManyToManyField(Store, blank=True, related_name="api_tokens")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # The first characters of the token, to tell tokens apart.
    hint = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(
                condition=Q(scope__in=TokenScope.values), name="inbox_token_scope_known"
            ),
            # Also keeps a form that is submitted twice from making two tokens.
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(revoked_at=None),
                name="inbox_one_token_per_name",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def allows(self, scope: TokenScope) -> bool:
        """Return whether the token's scope includes this one."""
        known = list(TokenScope)
        return known.index(scope) <= known.index(TokenScope(self.scope))
