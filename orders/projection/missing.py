"""What happens to an order that Shopify no longer returns."""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Greatest

from orders.models import Order


def keep_hidden(*, order: Order, seq: int) -> None:
    """Keep an order that Shopify doesn't show to this app, and stop reading it.

    That doesn't mean it was deleted. Our data stays as it is and isn't read again until something
    signals a change. `seq` is the order's dirty_seq when the read began, so marks made since then
    stay dirty.
    """
    Order.objects.filter(pk=order.pk).update(
        clean_seq=Greatest(F("clean_seq"), Value(seq)),
        missing_since=None,
        fetch_after=None,
        fetch_lease_until=None,
        fetch_failures=0,
    )
