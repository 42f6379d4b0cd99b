"""How a store is reached, and what the last checks of it showed."""

from __future__ import annotations

from django.db import models

from orders.models import Store
from shopify_sync.fields import EncryptedTextField, Secret


class ShopConnection(models.Model):
    """The credentials of one store, and what the last checks of them showed (F01)."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="connection")
    access_token = EncryptedTextField(help_text="The Admin API token. Stored encrypted.")
    api_secret = EncryptedTextField(
        help_text="The app's client secret: signs webhooks. Stored encrypted."
    )
    previous_api_secret = EncryptedTextField(
        blank=True, default="", help_text="Still accepted while Shopify rotates the secret."
    )
    scopes = models.JSONField(default=list, blank=True, editable=False)
    credentials_ok_at = models.DateTimeField(null=True, editable=False)
    webhooks_ok_at = models.DateTimeField(null=True, editable=False)
    # The circuit breaker: answers without an outcome, since when, and how long to keep away.
    breaker_count = models.PositiveSmallIntegerField(default=0, editable=False)
    breaker_since = models.DateTimeField(null=True, editable=False)
    breaker_open_until = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.store.domain

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every secret a webhook of this shop may be signed with."""
        both: tuple[Secret, ...] = (self.api_secret, self.previous_api_secret)
        return tuple(secret.reveal().encode() for secret in both if secret)
