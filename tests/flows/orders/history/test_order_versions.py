"""Which versions of an order are kept, and how masked, late and partial reads affect them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.conversations import services as talks
from inbox.models import Conversation
from orders.models import Order, OrderVersion, Store
from orders.privacy import retention
from orders.services import record_snapshot
from orders.versions import keep, time_travel
from practice_store.changes import staff_actions
from practice_store.state import Tracking
from shopify_sync.sync import backfill
from tests.flows.orders.history.test_history import history, writes_again
from tests.flows.test_main_job import panel
from tests.shopify_sync.test_backfill import finish
from tests.support.shop.in_process import DOMAIN, Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(shop: Shop, seen: Any, conversation: Conversation) -> Order:
    """Read here, and then the customer writes."""
    shop.place()
    found: Order = seen()
    writes_again(conversation)
    return found


def first(shop: Shop) -> Any:
    return next(iter(shop.store.world.shops[DOMAIN].orders.values()))


def change(shop: Shop, seen: Any, **changes: Any) -> Order:
    placed = first(shop)
    # Shopify's times have whole seconds.
    shop.store.advance(1)
    shop.act(lambda context: staff_actions.edit(context, placed, **changes))
    found: Order = seen()
    return found


def test_an_order_that_never_changed_says_nothing(
    order: Order, as_alice: Client, conversation: Conversation
) -> None:
    assert "Changed since" not in panel(as_alice, conversation)
    page = history(as_alice, conversation, order)
    assert "Earliest known version" in page
    assert "current version" in page
    assert not OrderVersion.objects.exists()


def test_the_panel_says_what_changed_since_the_customer_wrote(
    shop: Shop, order: Order, seen: Any, as_alice: Client, conversation: Conversation
) -> None:
    placed = first(shop)
    shop.act(lambda context: staff_actions.refund(context, placed, Decimal("20.00")))
    seen()
    page = panel(as_alice, conversation)
    assert "Changed since the customer wrote (3)" in page
    assert "Payment: Paid → Partially refunded" in page
    assert "Refunded: €0.00 → €20.00" in page

    assert conversation.assignee is not None
    talks.reply(conversation=conversation, by=conversation.assignee, text="Refunded.")
    change(shop, seen, note="Ring twice")
    page = panel(as_alice, conversation)
    assert "Changed since the customer wrote (4)" in page
    assert "Changed since the last reply (1)" in page

    writes_again(conversation)
    assert "customer wrote (" not in panel(as_alice, conversation)
    shown = history(as_alice, conversation, order)
    places = [shown.index(word) for word in ("Note changed", "Refunded:", "Earliest known version")]
    assert places == sorted(places)
    fragment = history(as_alice, conversation, order, **{"HX-Request": "true"})
    assert "<html" not in fragment
    assert "Note changed" in fragment


def test_the_order_is_given_as_it_was_at_any_moment(shop: Shop, order: Order, seen: Any) -> None:
    at_first = timezone.now()
    change(shop, seen, note="Ring twice")
    second = timezone.now()
    found = change(shop, seen, note="Ring once")
    notes = [time_travel.as_of(found, at) for at in (at_first, second, timezone.now())]
    assert [state.note for state in notes if state] == ["", "Ring twice", "Ring once"]
    assert time_travel.as_of(found, at_first - timedelta(days=1)) is None


def test_an_order_first_read_after_the_customer_wrote_says_nothing(
    shop: Shop, conversation: Conversation, seen: Any, as_alice: Client
) -> None:
    shop.place()
    seen()
    change(shop, seen, note="Ring twice")
    assert OrderVersion.objects.count() == 1
    assert "Changed since" not in panel(as_alice, conversation)


def test_reading_the_same_again_adds_no_version(shop: Shop, order: Order, seen: Any) -> None:
    found = change(shop, seen, note="Ring twice")
    since = found.state_since
    # Shopify touches the order, and nothing an agent sees is different.
    found = change(shop, seen, note="Ring twice")
    assert found.version == 3
    assert (OrderVersion.objects.count(), found.state_since) == (1, since)


def test_without_comparing_it_would_add_one(
    shop: Shop, order: Order, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(keep, "differ", lambda *args, **zone: True)
    change(shop, seen, note="Ring twice")
    change(shop, seen, note="Ring twice")
    assert OrderVersion.objects.count() == 2


def late(order: Order) -> None:
    """A read that began before the stored one ends only now, with an older state."""
    now = timezone.now()
    version = order.versions.get()
    record_snapshot(
        order=order,
        snapshot=version.snapshot,
        seq=0,
        now=now,
        read_started_at=now - timedelta(minutes=1),
    )


def test_a_read_that_comes_late_makes_no_version(shop: Shop, order: Order, seen: Any) -> None:
    found = change(shop, seen, note="Ring twice")
    late(found)
    assert found.versions.count() == 1
    assert Order.objects.get().snapshot.note == "Ring twice"


def test_without_the_order_of_reads_it_would(shop: Shop, order: Order, seen: Any) -> None:
    """Negative control."""
    found = change(shop, seen, note="Ring twice")
    Order.objects.update(read_started_at=None, shop_updated_at=None)
    late(found)
    assert found.versions.count() == 2


@pytest.mark.parametrize("is_guarded", [True, False])
def test_what_masking_took_away_is_no_change(
    shop: Shop, order: Order, seen: Any, is_guarded: bool
) -> None:
    """Also the negative control: the mark of a masked order is what tells them apart."""
    change(shop, seen, note="Ring twice")
    retention._mask_orders([order])
    assert not OrderVersion.objects.exists()
    if not is_guarded:
        Order.objects.update(masked_at=None)
    found = change(shop, seen, tags=["vip"])
    assert found.snapshot.email
    assert OrderVersion.objects.exists() is not is_guarded


def test_an_order_of_a_back_fill_keeps_its_first_state_when_it_changes(
    shop: Shop, store: Store, seen: Any, conversation: Conversation, as_alice: Client
) -> None:
    placed = shop.place()
    shop.held.clear()
    finish(backfill.begin(store))
    assert (Order.objects.get().is_partial, OrderVersion.objects.count()) == (True, 0)
    writes_again(conversation)
    shop.act(
        lambda c: staff_actions.ship(c, placed, tracking=[Tracking(number="JD014", company="DHL")])
    )
    seen()
    page = panel(as_alice, conversation)
    assert "Changed since the customer wrote (4)" in page
    # Paid and fulfilled, it was archived by itself.
    for sentence in (
        "Archived",
        "Unfulfilled → Fulfilled",
        "Parcel 1 added",
        "Tracking JD014 added",
    ):
        assert sentence in page


def test_completing_a_partial_order_is_no_change(
    shop: Shop, store: Store, seen: Any, as_alice: Client, conversation: Conversation
) -> None:
    placed = shop.place()
    shop.act(lambda context: staff_actions.ship(context, placed))
    shop.act(lambda context: staff_actions.refund(context, placed, Decimal("5.00")))
    shop.held.clear()
    finish(backfill.begin(store))
    Order.objects.update(dirty_seq=9)
    assert not seen().is_partial
    assert not OrderVersion.objects.exists()


def test_history_costs_the_panel_two_queries_whatever_the_number_of_orders(
    shop: Shop, order: Order, seen: Any, as_alice: Client, conversation: Conversation
) -> None:
    change(shop, seen, note="Ring twice")

    def counted() -> int:
        cache.clear()  # what is kept for some seconds, on a slow machine, is not
        with CaptureQueriesContext(connection) as queries:
            panel(as_alice, conversation)
        return len(queries)

    counted()  # what a process asks once
    one = counted()
    for _ in range(3):
        shop.place()
    seen()
    assert counted() == one


def test_another_customers_order_has_no_history_here(
    shop: Shop, order: Order, seen: Any, as_alice: Client, conversation: Conversation
) -> None:
    shop.place(email="joe@example.com")
    other = seen()
    address = f"/inbox/conversations/{conversation.pk}/orders/{other.pk}/history/"
    assert as_alice.get(address).status_code == 404
