"""What becomes of an order that Shopify does not show."""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Greatest

from orders.models import Order


def keep_hidden(*, order: Order, seq: int) -> None:
    """Shopify does not show the order to this app, which says nothing of whether it is there:
    what we hold stays as it is, and is not asked for again until something tells of a change.

    `seq` is the order's dirty_seq when the read began: marks made meanwhile stay dirty.
    """
    Order.objects.filter(pk=order.pk).update(
        clean_seq=Greatest(F("clean_seq"), Value(seq)),
        missing_since=None,
        fetch_after=None,
        fetch_lease_until=None,
        fetch_failures=0,
    )
