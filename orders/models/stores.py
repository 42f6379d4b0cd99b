"""Shops whose orders we show. How to connect to them is the business of shopify_sync."""

from __future__ import annotations

import logging
from typing import Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

logger = logging.getLogger(__name__)

# A shop's permanent domain.
DOMAIN_PATTERN: Final = r"\A[a-z0-9][a-z0-9-]{0,60}\.myshopify\.com\Z"


class StoreQuerySet(models.QuerySet["Store"]):
    """Filters by whether a store is switched on."""

    def active(self) -> Self:
        """Stores that are switched on, so that agents see their orders."""
        return self.filter(is_active=True)


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless this machine's time zone database knows the name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValidationError(
            f"{name} isn't a time zone. Use a name such as Europe/Berlin."
        ) from error


class Store(models.Model):
    """A Shopify shop, and the settings for what agents may do with its orders."""

    domain = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(DOMAIN_PATTERN)],
        help_text="The shop's permanent domain, such as demo.myshopify.com.",
    )
    name = models.CharField(max_length=255, blank=True, help_text="Shown to agents.")
    currency = models.CharField(max_length=3, blank=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="Arrival dates are shown in this time zone. Filled in from Shopify.",
    )
    order_prefix = models.CharField(
        max_length=50,
        default="#",
        blank=True,
        editable=False,
        help_text="Comes before the number in an order’s name. Filled in from Shopify.",
    )
    order_suffix = models.CharField(
        max_length=50,
        blank=True,
        editable=False,
        help_text="Comes after the number in an order’s name. Filled in from Shopify.",
    )
    country = models.CharField(
        max_length=2,
        blank=True,
        validators=[RegexValidator(r"\A[A-Z]{2}\Z", "Enter a country code such as DE.")],
        help_text="A two-letter code such as DE, used for phone numbers without a country code. "
        "Filled in from Shopify.",
    )
    is_active = models.BooleanField(
        default=True,
        help_text="If off, its orders disappear from conversations. Nothing is deleted.",
    )
    assume_delivered_after_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="For carriers that don't report delivery: count a parcel as delivered this many "
        "days after it shipped. Empty: never assume delivery.",
    )
    notify_by_default = models.BooleanField(
        default=True,
        help_text="Whether Shopify's own email to the customer is selected by default in the "
        "dialogs.",
    )
    allow_store_credit = models.BooleanField(
        "Allow refunds as store credit",
        default=False,
        help_text="If on, agents can refund to store credit instead of the original payment. First "
        "turn on store credit in Shopify; it requires Shopify’s new customer accounts. "
        "Orders without a customer are always refunded to the original payment.",
    )
    is_frozen = models.BooleanField(
        "Freeze all actions",
        default=False,
        help_text="If on, cancellations and refunds wait, and nothing is sent to Shopify.",
    )
    undo_seconds = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(300)],
        help_text="How long a confirmed action waits before it's sent, so that it can be undone. 0: "
        "sent right away.",
    )
    hidden_cancel_reasons = models.JSONField(
        default=list,
        blank=True,
        help_text='Cancellation reasons to hide from agents, such as ["FRAUD"].',
    )
    connected_at = models.DateTimeField(
        default=timezone.now, help_text="Order events before this time don't send messages."
    )

    uninstalled_at = models.DateTimeField(
        null=True, editable=False, help_text="When Shopify first denied us access for good."
    )

    objects = StoreQuerySet.as_manager()

    class Meta:
        ordering = ["domain"]

    def __str__(self) -> str:
        return self.name or self.domain

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Reset `connected_at` when a store is switched back on.

        As after an installation, what happened before is history and triggers no messages.
        """
        if self.pk and self.is_active:
            was_off = Store.objects.filter(pk=self.pk, is_active=False)
            if was_off.exists():
                self.connected_at = timezone.now()
                if kwargs.get("update_fields") is not None:
                    kwargs["update_fields"] = {*kwargs["update_fields"], "connected_at"}
        super().save(*args, **kwargs)

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone; UTC if this machine does not know it, which is logged."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            logger.warning("%s: the time zone %r is not known here", self.domain, self.time_zone)
            return ZoneInfo("UTC")

    @property
    def has_known_zone(self) -> bool:
        """Whether `zone` is the shop's own, not the fallback to UTC."""
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return False
        return True

    @property
    def handle(self) -> str:
        """The shop's handle, as in admin.shopify.com/store/<handle>."""
        return self.domain.removesuffix(".myshopify.com")
