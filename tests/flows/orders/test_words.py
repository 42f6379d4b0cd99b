"""The labels on an order's card for every status Shopify may send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from inbox.panel import search
from inbox.visibility import EVERYTHING
from orders.models import Order, Store
from practice_store.changes import staff_actions
from practice_store.sales import (
    holding,
    lifecycle,
    shipping,
)
from shopify_sync.models import ShopConnection
from shopify_sync.setup import doctor
from tests.support.database.plans import plans
from tests.support.orders.snapshots import parcel, shipped
from tests.support.orders.stored import stored
from tests.support.shop.in_process import DOMAIN, Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]


@pytest.fixture
def badges(as_alice: Client, seen: Seen) -> Callable[[], list[str]]:
    """The badges and notes of the newest order, as the REST door tells them."""

    def read() -> list[str]:
        found = as_alice.get(f"/api/v1/orders/{seen().pk}/").json()
        return [*(badge["label"] for badge in found["badges"]), *found["notes"]]

    return read


def test_a_hold_says_why(shop: Shop, store: Store, badges: Callable[[], list[str]]) -> None:
    """The reason for a hold is shown until the hold is released."""
    order = shop.place()
    shop.act(lambda c: holding.hold(c, order, "High risk of fraud"))
    assert badges() == ["Open", "Paid", "Unfulfilled", "On hold: High risk of fraud"]
    shop.act(lambda c: holding.release(c, order))
    assert badges() == ["Open", "Paid", "Unfulfilled"]


def test_a_preorder_says_its_day(shop: Shop, store: Store, badges: Callable[[], list[str]]) -> None:
    """A scheduled fulfillment shows its date."""
    order = shop.place()
    shop.act(lambda c: holding.schedule(c, order, datetime(2027, 2, 1, 8, tzinfo=UTC)))
    assert badges() == ["Open", "Paid", "Unfulfilled", "Scheduled for 1 February 2027"]


def test_work_that_was_begun_and_work_at_the_counter(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    order = shop.place()
    shop.act(lambda c: holding.begin(c, order))
    assert badges()[2:] == ["Unfulfilled", "In progress"]
    order = shop.place()
    shop.act(lambda c: holding.collect_at(c, order, "Main Street"))
    assert badges()[2:] == ["Unfulfilled", "Pickup at Main Street"]
    shop.act(lambda c: holding.ready_for_pickup(c, order))
    assert badges()[:3] == ["Archived", "Paid", "Ready for pickup"]


def test_an_arrival_is_on_the_day_of_the_place_it_goes_to(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    """It's still the 28th in Los Angeles when it's the 29th in UTC."""
    order = shop.place(
        shippingAddress={"city": "Los Angeles", "countryCode": "US", "provinceCode": "CA"}
    )
    due = datetime(2099, 11, 29, 4, tzinfo=UTC)

    def ship(context: Any) -> None:
        staff_actions.ship(context, order)
        shipping.add_event(
            context, order, order.fulfillments[0], status="IN_TRANSIT", estimated_delivery_at=due
        )

    shop.act(ship)
    assert "Arriving on 28 November 2099" in badges()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("RETURNING_TO_SENDER", "Unknown (RETURNING_TO_SENDER)"),
        ("BUYER_ACTION_REQUIRED", "Unknown (BUYER_ACTION_REQUIRED)"),
        (None, "Fulfilled"),
    ],
)
def test_a_word_that_is_new_is_kept(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, status: str | None, words: str
) -> None:
    """A parcel status we don't know is shown as Shopify sent it."""
    order = stored(replace(shipped(parcel(display_status=status)), legacy_id=77), store)
    found = as_alice.get(f"/api/v1/orders/{order.pk}/").json()
    assert [badge["label"] for badge in found["badges"]][2] == words


def test_what_is_still_to_be_sent_stands_beside_a_parcels_state(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    order = shop.place(items=(("Tile", "10.00", 5),))

    def ship(context: Any) -> None:
        staff_actions.ship(context, order, quantities={order.lines[0].number_id: 3})
        staff_actions.carrier_says(context, order, "OUT_FOR_DELIVERY")

    shop.act(ship)
    assert badges() == ["Open", "Paid", "Partially fulfilled", "Out for delivery"]
    # The rest is held: both are said.
    shop.act(lambda c: holding.hold(c, order, "Inventory out of stock"))
    assert badges()[2:] == [
        "Partially fulfilled",
        "Out for delivery",
        "On hold: Inventory out of stock",
    ]
    shop.act(lambda c: staff_actions.carrier_says(c, order, "DELIVERED"))
    assert badges()[2:4] == ["Partially fulfilled", "Delivered"]


def test_an_order_canceled_before_shipping_needs_no_shipping(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    order = shop.place()
    shop.act(lambda c: staff_actions.cancel(c, order, reason="CUSTOMER", refund_all=True))
    work_off(shop, Client())
    shop.advance(5)
    assert badges() == ["Canceled", "Refunded", "Not required"]


def test_archived_stands_beside_canceled_whichever_came_first(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    order = shop.place()
    shop.act(lambda c: lifecycle.close(c, order))
    shop.advance(3600)
    shop.act(lambda c: staff_actions.cancel(c, order, reason="CUSTOMER", refund_all=True))
    shop.advance(5)
    assert badges() == ["Canceled", "Refunded", "Not required", "Archived"]


def test_payment_on_account_says_when_it_is_due(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    ShopConnection.objects.update(scopes=["read_payment_terms"])
    order = shop.place(paid=False)
    due = datetime(2099, 12, 24, 12, tzinfo=UTC)
    shop.act(lambda c: holding.agree_on_terms(c, order, "Net 30", due))
    assert badges() == ["Open", "Unpaid", "Unfulfilled", "Net 30 · due 24 December 2099"]
    shop.act(lambda c: holding.agree_on_terms(c, order, "Net 7", datetime(2026, 1, 2, tzinfo=UTC)))
    assert badges()[3] == "Net 7 · was due 2 January 2026"
    shop.act(lambda c: staff_actions.pay(c, order))
    assert badges() == ["Open", "Paid", "Unfulfilled"]


def test_without_the_scope_the_order_is_read_all_the_same(
    shop: Shop, store: Store, badges: Callable[[], list[str]]
) -> None:
    order = shop.place(paid=False)
    shop.act(lambda c: holding.agree_on_terms(c, order, "Net 30", None))
    shop.store.world.shops[DOMAIN].scopes.remove("read_payment_terms")
    assert badges() == ["Open", "Unpaid", "Unfulfilled"]
    # A scope that was taken away since it was last looked at.
    ShopConnection.objects.update(scopes=["read_payment_terms"])
    shop.act(lambda c: staff_actions.edit(c, order, note="again"))
    assert badges() == ["Open", "Unpaid", "Unfulfilled"]


@pytest.mark.slow
@pytest.mark.parametrize("words", ["1043", "en1043-de", "EN1043", "#EN1043-DE", "1043-DE"])
def test_an_order_is_found_by_its_number_with_and_without_what_stands_around_it(
    shop: Shop, store: Store, seen: Seen, as_alice: Client, words: str
) -> None:
    """The search accepts the order number with or without the store's prefix and suffix."""
    shop.place(name="EN1043-DE")
    shop.place(name="EN10430-DE")
    shop.place(name="EN1044-DE")
    seen()
    found = as_alice.get("/api/v1/orders/", {"q": words}).json()["results"]
    assert [row["name"] for row in found] == ["EN1043-DE"]


def test_a_prefix_with_digits_of_its_own_is_read_from_shopify(
    shop: Shop, store: Store, seen: Seen, as_alice: Client
) -> None:
    state = shop.store.world.shops[DOMAIN]
    state.order_prefix, state.order_suffix = "20260-", "-X"
    name = shop.place().name
    doctor.examine(store, repair=True)
    seen()
    bare = name.removeprefix("20260-").removesuffix("-X")
    assert bare.isdigit()
    for words in (bare, f"20260-{bare}", f"{bare}-x", name):
        found = as_alice.get("/api/v1/orders/", {"q": words}).json()["results"]
        assert [row["name"] for row in found] == [name], words


def test_a_search_reads_no_whole_table(shop: Shop, store: Store, seen: Seen) -> None:
    """On SQLite; tests/settings/test_at_scale.py has PostgreSQL's plans."""
    shop.place(name="EN1043-DE")
    seen()
    if connection.vendor == "sqlite":
        for words in ("1043", "EN1043", "jane@example.com", "+4915112345678", "JD 0012-3456 DE"):
            for _sql, plan in plans(lambda: search.find(words, among=EVERYTHING.orders())):  # noqa: B023
                lines = plan.splitlines()
                scans = [line for line in lines if "SCAN orders_" in line or "SCAN U" in line]
                # Stores are few, and all of them are looked through.
                assert [line for line in scans if "orders_store" not in line] == [], plan
