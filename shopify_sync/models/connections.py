"""A store's credentials and the results of the last connection check."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import models

from core.encryption import (
    EncryptedTextField,
    Secret,
    UndecryptableSecret,
)
from orders.models import Store

logger = logging.getLogger(__name__)


class ConnectionMethod(models.TextChoices):
    """How the app gets its access token: by consent, by client credentials, or from the admin."""

    OAUTH = "oauth", "Install an app (OAuth)"
    CLIENT_CREDENTIALS = "client", "App of your own organization (client credentials)"
    ADMIN_TOKEN = "token", "Existing access token"


def is_staging() -> bool:
    """Return whether this process may use practice shops only."""
    return bool(settings.PRACTICE_SHOPS)


class ShopConnection(models.Model):
    """One store's credentials and the results of the last check.

    OAuth tokens expire after an hour and are renewed with a rotating refresh token. Tokens from
    client credentials expire after a day and are simply requested again. An admin token doesn't
    expire.
    """

    store = models.OneToOneField(Store, models.CASCADE, related_name="connection")
    method = models.CharField(
        max_length=6, choices=ConnectionMethod.choices, default=ConnectionMethod.ADMIN_TOKEN
    )
    client_id = models.CharField(
        "Client ID",
        max_length=100,
        blank=True,
        help_text="The app's client ID, from its settings page.",
    )
    access_token = EncryptedTextField(
        blank=True, default="", help_text="The Admin API token, shpat_…"
    )
    api_secret = EncryptedTextField(
        "Client secret", help_text="The app's client secret, shpss_…, which signs webhooks."
    )
    refresh_token = EncryptedTextField(blank=True, default="", editable=False)
    # Shopify accepts the old one until the new one is first used.
    previous_refresh_token = EncryptedTextField(blank=True, default="", editable=False)
    access_token_expires_at = models.DateTimeField(null=True, editable=False)
    refresh_token_expires_at = models.DateTimeField(null=True, editable=False)
    # One worker renews at a time. The fence keeps one that overslept its lease from storing an
    # older pair of tokens.
    renewal_lease_until = models.DateTimeField(null=True, editable=False)
    renewal_fence = models.PositiveIntegerField(default=0, editable=False)
    findings = models.JSONField(default=list, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    previous_api_secret = EncryptedTextField(
        "Previous client secret",
        blank=True,
        default="",
        help_text="Still accepted while the secret is being rotated.",
    )
    scopes = models.JSONField(default=list, blank=True, editable=False)
    sees_customer_pages = models.BooleanField(
        default=False,
        editable=False,
        help_text="Shopify gives this app customers' order status pages (protected data, level 2).",
    )
    credentials_ok_at = models.DateTimeField(null=True, editable=False)
    webhooks_ok_at = models.DateTimeField(null=True, editable=False)
    # Circuit breaker: requests without an outcome, since when, and until when to stay away.
    breaker_count = models.PositiveIntegerField(default=0, editable=False)
    breaker_since = models.DateTimeField(null=True, editable=False)
    breaker_open_until = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    # Connected in staging, where this domain is a practice shop. Elsewhere it's someone's real one.
    is_practice = models.BooleanField(default=is_staging, db_default=False, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(method__in=ConnectionMethod.values),
                name="shopify_method_known",
            ),
            models.CheckConstraint(
                condition=models.Q(method=ConnectionMethod.ADMIN_TOKEN) | ~models.Q(client_id=""),
                name="shopify_app_has_client_id",
            ),
        ]

    def __str__(self) -> str:
        return self.store.domain

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every secret that may have signed a webhook of this shop.

        Raises UndecryptableSecret if the current one cannot be decrypted. If the previous one
        can't, it's merely no longer accepted.
        """
        current: Secret = self.api_secret
        previous: Secret = self.previous_api_secret
        found = [current.reveal().encode()] if current else []
        try:
            if previous:
                found.append(previous.reveal().encode())
        except UndecryptableSecret:
            logger.warning("can't decrypt the previous secret of %s", self)
        return tuple(found)
