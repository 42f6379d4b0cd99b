"""How far each store has been read, and whether our copy matches Shopify's."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from core.database.leases import is_due
from orders.models import Store


class SyncCursor(models.Model):
    """How far reconciliation has read a store, by Shopify's clock, because ours may be wrong."""

    store = models.OneToOneField(Store, models.CASCADE, related_name="sync_cursor")
    updated_through = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    reader_lease_until = models.DateTimeField(
        null=True, help_text="Lets one worker at a time read the store's waiting orders."
    )
    finished_at = models.DateTimeField(null=True)
    # Where an interrupted run resumes: {"since": …, "after": …, "newest": …}.
    progress = models.JSONField(default=dict, blank=True, editable=False)
    orders_seen = models.PositiveIntegerField(default=0)
    drift_found = models.PositiveIntegerField(
        default=0, help_text="Changed orders that no webhook had reported."
    )

    def __str__(self) -> str:
        return f"{self.store} through {self.updated_through}"


class BackfillState(models.TextChoices):
    """An import asks for a bulk operation, waits for its file, then reads the file."""

    ASKING = "asking", "Requesting"
    PREPARING = "preparing", "Shopify is preparing the file"
    IMPORTING = "importing", "Importing"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


OPEN_BACKFILLS = (BackfillState.ASKING, BackfillState.PREPARING, BackfillState.IMPORTING)


class BackfillQuerySet(models.QuerySet["Backfill"]):
    """Filters for the task that advances imports."""

    def open(self) -> Self:
        """Back-fills that have neither finished nor failed."""
        return self.filter(state__in=OPEN_BACKFILLS)

    def due(self, *, now: datetime) -> Self:
        """Open back-fills that no worker has claimed and whose next step is due."""
        return self.open().filter(is_due("next_step_at", now=now))


class Backfill(models.Model):
    """One import of a store's past orders through a bulk operation.

    After a crash it resumes from `bytes_done`, which is saved in one transaction with the orders
    up to there.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="backfills")
    state = models.CharField(
        max_length=10, choices=BackfillState.choices, default=BackfillState.ASKING
    )
    since = models.DateTimeField(help_text="Orders changed after this time are imported.")
    started_at = models.DateTimeField(auto_now_add=True)
    first_order_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    operation_gid = models.CharField(max_length=100, blank=True)
    url = models.TextField(blank=True)
    orders_expected = models.PositiveIntegerField(null=True)
    orders_prepared = models.PositiveIntegerField(default=0)
    orders_done = models.PositiveIntegerField(default=0)
    orders_skipped = models.PositiveIntegerField(
        default=0,
        help_text="Lines of the file that couldn't be imported; their orders are read one by one.",
    )
    file_size = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_reached = models.PositiveBigIntegerField(
        default=0,
        help_text="The most orders imported from any file so far; a higher count is progress.",
    )
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="Failures in a row without progress in between."
    )
    error = models.TextField(blank=True)
    # One worker at a time: it moves next_step_at to the end of its lease. The fence keeps a worker
    # that overslept its lease from writing.
    next_step_at = models.DateTimeField()
    fence = models.PositiveIntegerField(default=0)

    objects = BackfillQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["store"],
                condition=Q(state__in=OPEN_BACKFILLS),
                name="shopify_one_open_backfill",
            ),
            models.CheckConstraint(
                condition=Q(state__in=BackfillState.values), name="shopify_backfill_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store} since {self.since:%d %B %Y}"

    @property
    def is_open(self) -> bool:
        """Whether it has neither finished nor failed."""
        return self.state in OPEN_BACKFILLS

    @property
    def percent(self) -> int:
        """0–100, as far as the totals are known: the first half is Shopify's work, then ours."""
        if self.state == BackfillState.DONE:
            return 100
        if self.state == BackfillState.PREPARING and self.orders_expected:
            return min(49, 50 * self.orders_prepared // self.orders_expected)
        if self.state == BackfillState.IMPORTING and self.file_size:
            return 50 + min(49, 50 * self.bytes_done // self.file_size)
        return 0


class Drift(models.Model):
    """A change to an order that reconciliation found and no webhook had announced."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="drifts")
    order_gid = models.CharField(max_length=100)
    found_at = models.DateTimeField()
    shop_updated_at = models.DateTimeField()
    stored_updated_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-found_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["store", "order_gid", "shop_updated_at"], name="shopify_one_drift_a_change"
            )
        ]
        indexes = [models.Index(fields=["store", "-found_at"], name="shopify_drift_by_time")]

    def __str__(self) -> str:
        return self.order_gid


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    """Filters for the task that advances comparisons."""

    def due(self, *, now: datetime) -> Self:
        """Open comparisons that no worker has claimed and whose next step is due."""
        return self.filter(is_due("next_step_at", now=now), next_step_at__isnull=False)


class Comparison(models.Model):
    """A nightly comparison of every order at Shopify with our copy, done in steps.

    If both `next_step_at` and `finished_at` are null, it gave up, and `error` says why.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="comparisons")
    since = models.DateTimeField()
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    orders_at_shop = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(
        default=0, help_text="Orders in Shopify that were missing here."
    )
    differing = models.PositiveIntegerField(
        default=0, help_text="Orders whose last change hadn't been read."
    )
    vanished = models.PositiveIntegerField(
        default=0, help_text="Orders stored here that Shopify no longer lists."
    )
    # {"EUR": ["12.50", "12.50"]}: the sum at Shopify, then ours.
    refunds = models.JSONField(default=dict)
    markers_twice = models.PositiveIntegerField(
        default=0, help_text="Actions whose marker appears on more than one refund."
    )
    # One worker at a time; the fence keeps one that overslept its lease from writing.
    next_step_at = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    tries = models.PositiveIntegerField(default=0, editable=False)
    progress = models.JSONField(default=dict, blank=True, editable=False)
    error = models.TextField(blank=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["store"],
                condition=Q(next_step_at__isnull=False),
                name="shopify_one_open_comparison",
            )
        ]

    def __str__(self) -> str:
        return f"{self.store} {self.started_at:%d %B %Y}"

    @property
    def is_open(self) -> bool:
        """Whether another step is scheduled; false once it has finished or given up."""
        return self.next_step_at is not None

    @property
    def refunds_agree(self) -> bool:
        """Whether Shopify's and our sum are equal in every currency."""
        return all(theirs == ours for theirs, ours in self.refunds.values())

    @property
    def agrees(self) -> bool:
        """Whether no difference at all was found. Only meaningful once it has finished."""
        found = self.missing or self.differing or self.vanished or self.markers_twice
        return not found and self.refunds_agree
