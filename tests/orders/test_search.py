"""Orders are found by numbers, parcels, addresses and names, the surest way first."""

from __future__ import annotations

import pytest
from django.utils import timezone

from orders import search
from orders.models import Customer, Order, OrderTracking, Store

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> Store:
    return Store.objects.create(
        domain="demo.myshopify.com", order_prefix="EN", order_suffix="-DE", currency="EUR"
    )


def order(store: Store, number: int, **columns: object) -> Order:
    return Order.objects.create(
        store=store,
        gid=f"gid://shopify/Order/{number}",
        legacy_id=number + 10**6,
        name=f"EN{number}-DE",
        document="{}",
        placed_at=timezone.now(),
        customer_gid=f"gid://shopify/Customer/{number}",
        **columns,
    )


def names(words: str, **known: str) -> list[str]:
    found = search.find(words, among=Order.objects.visible(), at_most=5, **known)
    return [row.name for row in found]


def test_a_parcel_is_found_however_its_number_is_written(store: Store) -> None:
    for number, tracking in ((1, "JD 0146 0000-3d"), (2, "JD014600004D")):
        OrderTracking.objects.create(order=order(store, number), number=tracking)
    for words in ("JD014600003D", "jd 0146 0000 3d", "JD-0146-0000-3D"):
        assert names(words) == ["EN1-DE"], words
    assert names("JD01460000") == []
    assert search.find_by_number("jd014600004d", among=Order.objects.visible(), at_most=5)


def test_a_customer_is_found_by_words_and_parts_of_the_name(store: Store) -> None:
    second = Store.objects.create(domain="second.myshopify.com")
    order(store, 1), order(store, 2), order(second, 1)
    for shop, number, name in ((store, 1, "Zoe Lindqvist"), (second, 1, "Max Gold")):
        gid = f"gid://shopify/Customer/{number}"
        Customer.objects.create(store=shop, gid=gid, name=name)
    for words in ("Lindqvist", "lindq", "zoe lindqvist", "lindqvist zoe"):
        found = search.find(words, among=Order.objects.visible(), at_most=5)
        # The other store's customer with that number is someone else.
        assert [(row.store_id, row.name) for row in found] == [(store.pk, "EN1-DE")], words
    assert names("zoe lindgren") == names("li") == []


def test_what_is_surer_comes_first_and_the_newest_of_each(store: Store) -> None:
    """1043 is an order's number, and another one's ID at Shopify."""
    by_id = order(store, 7)
    Order.objects.filter(pk=by_id.pk).update(legacy_id=1043)
    order(store, 1043, email="jane@example.com")
    order(store, 1044, email="jane@example.com", phone="+4915112345678")
    assert names("1043") == ["EN1043-DE", "EN7-DE"]
    assert names("gid://shopify/Order/1043") == ["EN7-DE"]
    assert names("jane@example.com", email="jane@example.com") == ["EN1044-DE", "EN1043-DE"]
    assert names("0151 12345678", phone="+4915112345678") == ["EN1044-DE"]
    assert names("en1043") == names("EN1043-DE") == names("#1043-de") == ["EN1043-DE"]


def test_namesakes_at_other_stores_hide_no_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than a search looks at, and the others' are the first in the database."""
    monkeypatch.setattr(search, "_NAMESAKES", 3)
    other = Store.objects.create(domain="second.myshopify.com")
    for shop, number in [*((other, number) for number in range(10, 15)), (store, 1)]:
        made = order(shop, number)
        Customer.objects.create(store=shop, gid=made.customer_gid, name="Zoe Lindqvist")
        OrderTracking.objects.create(order=made, number="JD014600003D")
    ours = Order.objects.visible().at([store.pk])
    for words in ("lindqvist", "JD014600003D"):
        found = search.find(words, among=ours, at_most=5)
        assert [(row.store_id, row.name) for row in found] == [(store.pk, "EN1-DE")], words
    assert len(search.find_by_number("JD014600003D", among=ours, at_most=5)) == 1
    # The control: among all of them, the limit counts.
    assert len(search.find("lindqvist", among=Order.objects.visible(), at_most=5)) == 3
