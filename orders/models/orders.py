"""The projection: each order as Shopify last returned it. Only orders.projection writes that.

`Order.document` holds the whole snapshot, so that a page renders with one query; the other tables
repeat the parts that are searched, summed or guarded by a constraint.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Replace, Upper

from core.database.leases import (
    is_due,
    is_free,
)
from orders.models import order_names
from orders.models.freshness import dirty_column
from orders.models.order_names import (
    KEY_LENGTH,
    NUMBER_LENGTH,
)
from orders.models.stores import Store
from orders.snapshot import OrderSnapshot, decode


def money_field(**options: Any) -> models.DecimalField[Any, Any]:
    """A field for Shopify's amounts: up to 15 digits before the decimal point, 4 after it."""
    return models.DecimalField(max_digits=19, decimal_places=4, **options)


# A canceled order whose money is still with the shop, without a decision to keep all of it.
HOLDS_MONEY: Final = Q(cancelled_at__isnull=False, net_payment__gt=0) & (
    Q(kept=None) | Q(kept__lt=F("net_payment")) | Q(kept__gt=F("net_payment"))
)


class OrderQuerySet(models.QuerySet["Order"]):
    """Filters for what agents may see and for what has to be read from Shopify."""

    def visible(self) -> Self:
        """Orders agents may see: of an active store, not deleted at Shopify, read at least once."""
        return self.filter(store__is_active=True, deleted_at=None).exclude(document="")

    def at(self, stores: Collection[int] | None) -> Self:
        """Orders of the stores with these IDs; None means any store."""
        return self if stores is None else self.filter(store__in=stores)

    def of_customer(
        self, *, customer_gids: list[tuple[int, str]], emails: list[str], phones: list[str]
    ) -> Self:
        """Orders of one person, by (store ID, Shopify customer gid), email or phone.

        In a store where the customer is given, email and phone only match guest orders.
        """
        addresses = Q(pk__in=[])
        if emails:
            addresses |= Q(email__in=[email.lower() for email in emails])
        if phones:
            addresses |= Q(phone__in=phones)
        if linked_stores := {store_id for store_id, _gid in customer_gids}:
            # The person is linked to a customer of that store, so another customer's orders there
            # aren't theirs, even with the same address.
            addresses &= ~Q(store_id__in=linked_stores) | Q(customer_gid="")
        match = addresses
        for store_id, gid in customer_gids:
            match |= Q(store_id=store_id, customer_gid=gid)
        return self.filter(match)

    def named(self, words: str) -> Self:
        """Orders of any store that the text may refer to (order_names.may_mean).

        Uses indexes only: the name as written, the name with each active store's prefix and
        suffix added, and the number in it.
        """
        said = order_names.key(words)
        if not said:
            return self.none()
        keys = {said}
        for prefix, suffix in Store.objects.active().values_list("order_prefix", "order_suffix"):
            keys |= {
                order_names.key(f"{before}{said}{after}")
                for before in ("", prefix)
                for after in ("", suffix)
            }
        match = Q(name_key__in=sorted(keys))
        if number := order_names.number(said):
            match |= Q(number=number, name_key__contains=said)
        return self.filter(match)

    def dirty(self) -> Self:
        """Orders with a change that has not been read yet."""
        return self.filter(is_dirty=True)

    def has_dirty(self, store: Store) -> bool:
        """Whether the store has dirty orders. Ordered, or PostgreSQL would not use the index."""
        waiting = self.dirty().filter(store=store).order_by("fetch_after", "pk")
        return bool(waiting.values_list("pk", flat=True)[:1])

    def with_money_held(self) -> Self:
        """Canceled orders whose money is still with the shop without a decision to keep it."""
        return self.filter(HOLDS_MONEY, deleted_at=None)

    def open_and_partial(self) -> Self:
        """Open orders that a back-fill stored incompletely; agents are likely to need these."""
        return self.filter(is_partial=True, closed_at=None, deleted_at=None)

    def due_for_reading(self, *, now: datetime) -> Self:
        """Dirty orders that no worker is reading and whose back-off is over."""
        # The lease keeps it to one reader per order; a dead reader's lease expires.
        free = is_free("fetch_lease_until", now=now)
        return self.dirty().filter(free, is_due("fetch_after", now=now))


class Order(models.Model):
    """An order as last read from Shopify, plus what this app knows about it.

    Our own facts are the reservations, the decision to keep money, and how fresh the read is.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="orders")
    gid = models.CharField(max_length=100)
    legacy_id = models.BigIntegerField(help_text="Shopify's numeric order ID.")
    name = models.CharField(max_length=100, blank=True)
    # The normalized name and the number in it, for searching (orders.models.order_names).
    name_key = models.CharField(max_length=KEY_LENGTH, blank=True, editable=False)
    number = models.CharField(max_length=NUMBER_LENGTH, blank=True, editable=False)
    placed_at = models.DateTimeField(null=True)
    shop_updated_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=40, blank=True)
    financial_status = models.CharField(max_length=40, blank=True)
    fulfillment_status = models.CharField(max_length=40, blank=True)
    return_status = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    shop_currency = models.CharField(max_length=3, blank=True)
    is_test = models.BooleanField(
        default=False, help_text="A Shopify test order, which moved no real money."
    )
    # In the customer's (presentment) currency. These are Shopify's facts, so there is no CHECK on
    # them: the shop's staff may over-refund in Shopify, and the mirror must be able to hold that.
    total = money_field(default=0)
    received = money_field(default=0)
    refunded = money_field(default=0)
    net_payment = money_field(default=0)
    reserved = money_field(default=0, help_text="Set aside for refunds that haven't ended.")
    # In the shop's currency, for limits and reports.
    total_shop = money_field(default=0)
    net_payment_shop = money_field(default=0)
    customer_gid = models.CharField(max_length=100, blank=True)
    email = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    document = models.TextField(blank=True, help_text="The snapshot as JSON. Empty: not read yet.")
    version = models.PositiveIntegerField(default=0, help_text="Goes up with every visible change.")
    state_since = models.DateTimeField(
        null=True,
        help_text="When it got its current appearance; earlier states are in OrderVersion.",
    )
    is_partial = models.BooleanField(
        default=False,
        help_text="From an import: which items are in which parcel is still unknown.",
    )
    is_incomplete = models.BooleanField(
        default=False,
        help_text="One of its lists couldn't be read completely, so agents can't act on it here.",
    )
    # Freshness. Thanks to the sequence numbers, a webhook during a read causes another read.
    dirty_seq = models.PositiveIntegerField(default=0)
    clean_seq = models.PositiveIntegerField(default=0)
    is_dirty = dirty_column()
    fetch_after = models.DateTimeField(null=True)
    fetch_lease_until = models.DateTimeField(null=True)
    fetch_failures = models.PositiveIntegerField(default=0)
    stale_since = models.DateTimeField(
        null=True, help_text="When reads began to return older data than what is stored."
    )
    read_started_at = models.DateTimeField(
        null=True, help_text="When the read that is stored began."
    )
    missing_since = models.DateTimeField(null=True, help_text="When a read first didn't find it.")
    deleted_at = models.DateTimeField(null=True)
    # The sum of a canceled order that the shop keeps on purpose; void once the order's sum changes.
    kept = money_field(null=True)
    kept_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    kept_reason = models.CharField(max_length=255, blank=True)
    masked_at = models.DateTimeField(null=True, help_text="When its personal data was masked.")

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-placed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["store", "gid"], name="orders_one_order_per_gid"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="orders_reserved_positive"),
            models.CheckConstraint(
                condition=Q(clean_seq__lte=F("dirty_seq")), name="orders_clean_never_ahead"
            ),
        ]
        indexes = [
            # The panel: a person's orders, newest first.
            models.Index(fields=["store", "customer_gid", "-placed_at"], name="orders_of_customer"),
            models.Index(fields=["email", "-placed_at"], name="orders_of_email"),
            models.Index(fields=["phone", "-placed_at"], name="orders_of_phone"),
            # Search by number and id.
            models.Index(fields=["name_key"], name="orders_by_name_key"),
            models.Index(fields=["number"], name="orders_by_number"),
            models.Index(fields=["legacy_id"], name="orders_by_legacy_id"),
            # A back-fill's open orders, which are completed bit by bit.
            models.Index(
                fields=["store", "-placed_at"],
                condition=Q(is_partial=True, closed_at=None),
                name="orders_partial_open",
            ),
            # The admin's list, newest first.
            models.Index(fields=["-placed_at", "-id"], name="orders_newest"),
            # The decisions page and the overview, in the order of the list: PostgreSQL expects far
            # more rows than there are, and would sort all orders instead.
            models.Index(
                fields=["cancelled_at", "id"],
                condition=HOLDS_MONEY & Q(deleted_at=None),
                name="orders_money_held",
            ),
            # Retention: orders whose personal data isn't masked yet.
            models.Index(
                fields=["shop_updated_at", "id"],
                condition=Q(masked_at=None) & ~Q(document=""),
                name="orders_unmasked_age",
            ),
            # sweep_dirty_orders: orders to be read again.
            models.Index(
                fields=["store", "fetch_after", "id"],
                condition=Q(is_dirty=True),
                name="orders_dirty_of_store",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.gid

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Fill in the search columns of a new order, so that any way of creating it sets them."""
        if self._state.adding and self.name and not self.name_key:
            self.name_key, self.number = order_names.key(self.name), order_names.number(self.name)
        super().save(*args, **kwargs)

    @cached_property
    def snapshot(self) -> OrderSnapshot:
        """The order as last read. Raises ValueError if it was never read."""
        if not self.document:
            raise ValueError(f"order {self.pk} has not been read from Shopify yet")
        return decode(self.document)

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Also drop the cached snapshot, which is decoded from `document`."""
        # Django does not know that the cached snapshot comes from `document`.
        self.__dict__.pop("snapshot", None)
        super().refresh_from_db(*args, **kwargs)

    @property
    def admin_url(self) -> str:
        """The order's page in the shop's Shopify admin."""
        return f"https://admin.shopify.com/store/{self.store.handle}/orders/{self.legacy_id}"

    def age(self, now: datetime) -> timedelta | None:
        """How old the data we show is; None before the first read."""
        return now - self.read_started_at if self.read_started_at else None


class OrderPart(models.Model):
    """A part of an order with its own Shopify ID, unique within the order."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="%(class)ss")
    gid = models.CharField(max_length=100)

    class Meta:
        abstract = True
        constraints = [
            models.UniqueConstraint(fields=["order", "gid"], name="%(app_label)s_one_%(class)s")
        ]

    def __str__(self) -> str:
        return self.gid


class OrderLine(OrderPart):
    """A line item. `quantity` is as ordered; the other quantities are what is left of it."""

    title = models.CharField(max_length=500)
    variant_title = models.CharField(max_length=500, blank=True)
    sku = models.CharField(max_length=255, blank=True)
    quantity = models.IntegerField()
    current_quantity = models.IntegerField()
    refundable_quantity = models.IntegerField()
    unfulfilled_quantity = models.IntegerField()
    total = money_field()


class OrderFulfillment(OrderPart):
    """A shipment record; `status` is the record's own, `display_status` how far the parcel is."""

    name = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=40)
    display_status = models.CharField(max_length=40, blank=True)
    shipped_at = models.DateTimeField()
    estimated_delivery_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)


# Tracking numbers are printed in groups, and read out in any case.
_GROUPED_BY: Final = (" ", "-")


def tracking_key(number: str) -> str:
    """Return a tracking number in upper case without spaces and hyphens."""
    for mark in _GROUPED_BY:
        number = number.replace(mark, "")
    return number.upper()


def _tracking_key_column() -> Upper:
    """The same, computed by the database."""
    plain: Any = F("number")
    for mark in _GROUPED_BY:
        plain = Replace(plain, Value(mark), Value(""))
    return Upper(plain)


class OrderTrackingQuerySet(models.QuerySet["OrderTracking"]):
    """Filters for searching."""

    def keyed(self, key: str) -> Self:
        """Tracking numbers with this `tracking_key`."""
        return self.alias(key=_tracking_key_column()).filter(key=key)


class OrderTracking(models.Model):
    """A tracking number, by which an order can be found."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="trackings")
    fulfillment_gid = models.CharField(max_length=100)
    number = models.CharField(max_length=255)
    company = models.CharField(max_length=255, blank=True)
    url = models.TextField(blank=True)

    objects = OrderTrackingQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(_tracking_key_column(), name="orders_by_tracking_key")]

    def __str__(self) -> str:
        return self.number


class OrderTransaction(OrderPart):
    """A payment or refund transaction; `amount` is in the customer's currency."""

    kind = models.CharField(max_length=40)
    status = models.CharField(max_length=40)
    gateway = models.CharField(max_length=255, blank=True)
    is_manual = models.BooleanField(default=False)
    amount = money_field()
    amount_shop = money_field()
    processed_at = models.DateTimeField(null=True)


class OrderRefund(OrderPart):
    """A refund that Shopify booked, and how much of it has reached the customer.

    orders.statuses.money_moved computes the sums. `has_failed`: at least one of its transactions
    failed; the others may have gone through.
    """

    refunded_at = models.DateTimeField(null=True)
    amount = money_field(help_text="The amount Shopify recorded.")
    amount_shop = money_field()
    moved = money_field(default=0, help_text="The part that was paid out.")
    moved_shop = money_field(default=0)
    waiting = money_field(
        default=0, help_text="The part the payment provider hasn't confirmed yet."
    )
    waiting_shop = money_field(default=0)
    failed = money_field(default=0, help_text="The part the payment provider didn't pay out.")
    note = models.TextField(blank=True)
    has_failed = models.BooleanField(default=False)
    action = models.OneToOneField(
        "orders.OrderAction", models.SET_NULL, null=True, related_name="booked_refund"
    )

    class Meta(OrderPart.Meta):
        indexes = [
            # The decisions page, oldest first.
            models.Index(
                fields=["refunded_at", "id"], condition=Q(failed__gt=0), name="orders_refund_failed"
            )
        ]
