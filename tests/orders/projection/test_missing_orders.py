"""What happens to the row of an order that Shopify no longer returns."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from orders.models import Order, Store
from orders.projection import (
    missing,
    record,
)
from orders.services import mark_dirty
from tests.support.orders.snapshots import NOW, order
from tests.support.orders.stored import stored

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def found() -> Order:
    """Read once, and marked twice since."""
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    kept = stored(order(), store)
    for _ in range(2):
        mark_dirty(store=store, gid=kept.gid, legacy_id=kept.legacy_id, now=timezone.now())
    Order.objects.update(
        fetch_after=NOW, fetch_lease_until=NOW, fetch_failures=3, missing_since=NOW
    )
    return Order.objects.select_related("store").get()


def test_an_order_that_is_not_shown_stays_as_it_is_and_is_left_alone(found: Order) -> None:
    missing.keep_hidden(order=found, seq=found.dirty_seq)
    after = Order.objects.get()
    assert (after.document, after.deleted_at) == (found.document, None)
    assert after.clean_seq == found.dirty_seq
    assert not Order.objects.dirty().exists()
    assert (after.fetch_after, after.fetch_lease_until) == (None, None)
    assert (after.fetch_failures, after.missing_since) == (0, None)


def test_a_mark_that_came_while_it_was_read_stays(found: Order) -> None:
    missing.keep_hidden(order=found, seq=found.dirty_seq - 1)
    assert Order.objects.dirty().exists()
    # And an old read takes back nothing.
    Order.objects.update(clean_seq=found.dirty_seq)
    missing.keep_hidden(order=found, seq=found.dirty_seq - 1)
    assert not Order.objects.dirty().exists()


def test_two_misses_far_enough_apart_bury_it(found: Order) -> None:
    Order.objects.update(missing_since=None)

    def miss(after: timedelta) -> bool:
        return record.mark_missing(
            order=found, seq=found.dirty_seq, now=NOW + after, confirm_after=HOUR
        )

    assert not miss(timedelta(0))
    first = Order.objects.get()
    assert (first.missing_since, first.deleted_at) == (NOW, None)
    assert (first.fetch_after, first.fetch_lease_until) == (NOW + HOUR, None)
    assert Order.objects.dirty().exists(), "it is looked for once more"
    assert not miss(HOUR - timedelta(seconds=1))
    assert miss(HOUR)
    gone = Order.objects.get()
    assert (gone.deleted_at, gone.missing_since) == (NOW, NOW)
    assert gone.fetch_after is None
    assert not Order.objects.dirty().exists()
