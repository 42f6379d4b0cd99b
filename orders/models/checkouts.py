"""Checkouts that customers started, for abandoned-checkout campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from orders.models.stores import Store


class CheckoutQuerySet(models.QuerySet["Checkout"]):
    """Filters for reading checkouts and for the campaigns about them."""

    def open(self) -> Self:
        """Neither completed nor removed, as far as we know."""
        return self.filter(completed_at=None, deleted_at=None)

    def calm_since(self, moment: datetime) -> Self:
        """Without any activity since `moment`."""
        return self.filter(active_at__lte=moment)


class Checkout(models.Model):
    """A checkout at a store.

    Webhooks only create the row and update its times. Who started it and whether it was completed
    is read from Shopify, once a campaign needs to know.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="checkouts")
    gid = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)
    active_at = models.DateTimeField(default=timezone.now, help_text="When it last changed.")
    completed_at = models.DateTimeField(null=True, help_text="When its order was placed.")
    deleted_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True, help_text="When Shopify was last asked about it.")
    next_read_at = models.DateTimeField(
        null=True, help_text="Until when a reader's lease or its back-off lasts."
    )
    customer_gid = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=255, blank=True)
    email = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=40, blank=True)

    objects = CheckoutQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "gid"], name="orders_one_checkout_per_gid")
        ]
        indexes = [
            # Campaigns: open checkouts by their last activity.
            models.Index(
                fields=["active_at"],
                condition=Q(completed_at=None, deleted_at=None),
                name="orders_checkout_open",
            ),
            # Checkouts that were never read from Shopify.
            models.Index(fields=["id"], condition=Q(read_at=None), name="orders_checkout_unread"),
            # Retention: checkouts that aren't masked yet.
            models.Index(
                fields=["active_at", "id"],
                condition=~Q(name="", email="", phone=""),
                name="orders_checkout_age",
            ),
            # Audiences: how many checkouts a customer started.
            models.Index(
                fields=["store", "customer_gid", "started_at"],
                condition=~Q(customer_gid=""),
                name="orders_checkout_of_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"Checkout {self.gid.rsplit('/', 1)[-1]}"
