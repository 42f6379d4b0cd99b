"""Searching Shopify for a customer's orders finds all of them."""

from __future__ import annotations

import pytest

from orders.models import Customer, Order, Store
from practice_store.state import Customer as ShopCustomer
from shopify_sync.reading import search
from tests.support.shop.in_process import Shop, fetch_dirty

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = 60


def test_more_orders_than_a_page_are_all_found(shop: Shop, store: Store) -> None:
    """The newest are read at once, and the others by the next sweep."""
    names = [shop.place().name for _ in range(ORDERS)]
    assert search.find_orders(emails=["jane@example.com"], phones=[]) == 20
    read = Order.objects.exclude(document="").order_by("placed_at", "pk")
    assert sorted(order.name for order in read) == sorted(names[-20:])
    assert Order.objects.count() == ORDERS
    fetch_dirty()
    assert Order.objects.exclude(document="").count() == ORDERS
    assert search.find_orders(emails=["jane@example.com"], phones=[]) == 0


def test_more_orders_and_customers_of_a_phone_than_a_page(shop: Shop, store: Store) -> None:
    placed = [shop.place() for _ in range(ORDERS)]
    state = shop.store.world.shops["demo.myshopify.com"]
    jane = next(iter(state.customers.values()))
    jane.phone = "+4915112345678"
    for place in range(12):
        number = state.new_id()
        state.customers[number] = ShopCustomer(
            number_id=number,
            created_at=jane.created_at,
            updated_at=jane.updated_at,
            email=f"other{place}@example.com",
            phone=jane.phone,
        )
    other = shop.place(email="other11@example.com")
    search.find_orders(emails=[], phones=["+4915112345678"])
    fetch_dirty()
    found = set(Order.objects.exclude(document="").values_list("name", flat=True))
    assert found == {order.name for order in [*placed, other]}
    assert Customer.objects.count() == 13
