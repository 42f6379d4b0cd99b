"""Shopify customers, mirrored one way from Shopify.

Two stores never share a row, even for the same person. Only orders.projection writes Shopify's
facts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Self

from django.db import models
from django.db.models import F, Q

from core.database.leases import (
    is_due,
    is_free,
)
from orders.models.freshness import dirty_column
from orders.models.stores import Store
from orders.money import Money

# A customer whose row still holds personal data.
IS_NAMED: Final = ~Q(name="", email="", phone="", locale="", tags=[], note="")


class CustomerQuerySet(models.QuerySet["Customer"]):
    """Filters for showing customers and for reading them from Shopify."""

    def of_active_stores(self) -> Self:
        """Customers of stores that are switched on."""
        return self.filter(store__is_active=True)

    def living(self) -> Self:
        """Customers neither deleted in Shopify nor merged into another."""
        return self.filter(deleted_at=None)

    def dirty(self) -> Self:
        """Customers with a change that has not been read yet."""
        return self.filter(is_dirty=True)

    def due_for_reading(self, *, now: datetime) -> Self:
        """Dirty customers that no worker is reading and whose back-off is over."""
        free = is_free("fetch_lease_until", now=now)
        return self.dirty().filter(free, is_due("fetch_after", now=now))


class Customer(models.Model):
    """Values are stored as Shopify sends them; empty text and null mean it sent none."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="customers")
    gid = models.CharField(max_length=100)
    name = models.CharField(max_length=255, blank=True)
    email = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    locale = models.CharField(max_length=20, blank=True)
    order_count = models.PositiveBigIntegerField(null=True, blank=True)
    # Shopify's "amount spent", in the shop's currency: net of refunds, over all time.
    spent = models.DecimalField(max_digits=19, decimal_places=4, null=True, blank=True)
    spent_currency = models.CharField(max_length=3, blank=True)
    account_state = models.CharField(max_length=40, blank=True)
    tax_exempt = models.BooleanField(null=True, blank=True)
    email_consent = models.CharField(max_length=40, blank=True)
    sms_consent = models.CharField(max_length=40, blank=True)
    tags = models.JSONField(default=list, blank=True)
    note = models.TextField(blank=True)
    customer_since = models.DateTimeField(null=True, blank=True)
    shop_updated_at = models.DateTimeField(null=True, blank=True)
    # Set by a read that did not find the customer; cleared by a later one that does.
    deleted_at = models.DateTimeField(null=True, blank=True)
    merged_into = models.CharField(
        max_length=100,
        blank=True,
        help_text="The gid of the customer that this one was merged into.",
    )
    # Freshness, as for Order.
    dirty_seq = models.PositiveIntegerField(default=0)
    clean_seq = models.PositiveIntegerField(default=0)
    is_dirty = dirty_column()
    fetch_after = models.DateTimeField(null=True, blank=True)
    fetch_lease_until = models.DateTimeField(null=True, blank=True)
    fetch_failures = models.PositiveIntegerField(default=0)
    read_started_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the read that is stored began. Empty: known only from orders.",
    )

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "gid"], name="orders_one_customer_per_gid"),
            models.CheckConstraint(
                condition=Q(clean_seq__lte=F("dirty_seq")), name="orders_customer_never_ahead"
            ),
        ]
        indexes = [
            # Matching a contact: by email (stored in lower case) or phone.
            models.Index(fields=["email"], condition=~Q(email=""), name="orders_customer_email"),
            models.Index(fields=["phone"], condition=~Q(phone=""), name="orders_customer_phone"),
            # Retention: customers who aren't masked yet.
            models.Index(
                fields=["shop_updated_at", "id"], condition=IS_NAMED, name="orders_customer_age"
            ),
            # sweep_dirty_customers: customers to be read again.
            models.Index(
                fields=["store", "fetch_after", "id"],
                condition=Q(is_dirty=True),
                name="orders_customer_dirty",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.gid

    @property
    def legacy_id(self) -> str:
        """Shopify's numeric ID, as shown in its admin."""
        return self.gid.rsplit("/", 1)[-1]

    @property
    def admin_url(self) -> str:
        """The customer's page in the shop's Shopify admin."""
        handle = self.store.handle
        return f"https://admin.shopify.com/store/{handle}/customers/{self.legacy_id}"

    @property
    def amount_spent(self) -> Money | None:
        """What Shopify reports as spent, net of refunds; None if it reports nothing."""
        if self.spent is None or not self.spent_currency:
            return None
        return Money(self.spent, self.spent_currency)
