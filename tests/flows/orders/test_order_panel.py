"""The order panel: which orders it shows, and how to reach the others."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders.models import Order, Store
from shopify_sync.models import ShopConnection
from shopify_sync.setup import connect
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import SECOND, Shop, fetch_dirty, work_off

pytestmark = pytest.mark.django_db(transaction=True)


def panel(client: Client, conversation: Conversation, query: str = "", **headers: str) -> str:
    path = f"/inbox/conversations/{conversation.pk}/orders/{query}"
    answer = client.get(path, headers={"HX-Request": "true", **headers})
    assert answer.status_code == 200
    return str(answer.content.decode())


def names(page: str) -> list[str]:
    return re.findall(r"<h3 class=\"nowrap\"><bdi>(#\d+)</bdi>", page)


def arrive(shop: Shop) -> None:
    shop.deliver(Client())
    fetch_dirty()


@pytest.fixture
def twelve(shop: Shop, store: Store) -> list[str]:
    """Names, the newest first."""
    placed = [shop.place().name for _ in range(12)]
    arrive(shop)
    return placed[::-1]


@pytest.mark.slow
def test_older_orders_come_with_load_more(
    twelve: list[str], as_alice: Client, conversation: Conversation
) -> None:
    page = panel(as_alice, conversation)
    assert names(page) == twelve[:10]
    more = re.search(r'id="older-orders"[^>]* href="[^"?]*(\?[^"]+)"', page)
    assert more
    longer = panel(as_alice, conversation, more[1])
    assert names(longer) == twelve
    assert "older-orders" not in longer
    # A refresh of the longer panel asks for the longer panel.
    assert f'data-live-src="/inbox/conversations/{conversation.pk}/orders/{more[1]}"' in longer


def test_load_more_is_a_page_without_javascript(
    twelve: list[str], as_alice: Client, conversation: Conversation
) -> None:
    answer = as_alice.get(f"/inbox/conversations/{conversation.pk}/orders/?count=20")
    assert names(answer.content.decode()) == twelve


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    ["?count=-3", "?count=x", "?show=zzz&store=q", "?count=99999999", f"?open={'1' * 5000}"],
)
def test_an_address_with_nonsense_shows_the_orders(
    twelve: list[str], as_alice: Client, conversation: Conversation, query: str
) -> None:
    assert names(panel(as_alice, conversation, query))[:10] == twelve[:10]


@pytest.mark.parametrize(
    "address",
    [
        "rows/?selected=²",
        "rows/?after=2026-01-01T00:00:00Z~²",
        "conversations/{}/?before=²",
        "conversations/{}/thread/?since=²",
    ],
)
def test_a_digit_that_is_no_number_breaks_no_page(
    as_alice: Client, conversation: Conversation, address: str
) -> None:
    assert as_alice.get(f"/inbox/{address.format(conversation.pk)}").status_code == 200


@pytest.mark.slow
@pytest.mark.slow
def test_open_and_needs_attention_leave_out_the_others(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    calm, held = shop.place().name, shop.place().name
    arrive(shop)
    owed = Order.objects.get(name=held)
    page = review(as_alice, conversation, owed, "cancel", reason="CUSTOMER", refund="later")
    confirm(as_alice, conversation, owed, page)
    work_off(shop, Client())
    assert names(panel(as_alice, conversation)) == [held, calm]
    assert names(panel(as_alice, conversation, "?show=open")) == [calm]
    assert names(panel(as_alice, conversation, "?show=attention")) == [held]


@pytest.mark.slow
def test_a_filter_that_leaves_nothing_says_so(
    twelve: list[str], as_alice: Client, conversation: Conversation
) -> None:
    page = panel(as_alice, conversation, "?show=attention")
    assert names(page) == []
    assert "No matching orders" in page
    assert "Show all orders" in page


@pytest.mark.slow
@pytest.mark.slow
def test_the_store_switch_appears_with_a_second_store(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    arrive(shop)
    assert "store-menu" not in panel(as_alice, conversation)
    second = connect.connect(
        domain=SECOND, token="shpat_practice_second", secret="shpss_practice_second"
    ).store
    shop.place(domain=SECOND)
    shop.place(domain=SECOND)
    arrive(shop)
    page = panel(as_alice, conversation)
    assert "store-menu" in page
    assert len(names(page)) == 3
    assert len(names(panel(as_alice, conversation, f"?store={second.pk}"))) == 2


def test_a_store_that_does_not_answer_is_named_and_its_orders_are_not_acted_on(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    arrive(shop)
    assert "can’t be reached" not in panel(as_alice, conversation)
    ShopConnection.objects.update(breaker_open_until=timezone.now() + timedelta(seconds=20))
    cache.clear()
    page = panel(as_alice, conversation)
    assert "Shopify can’t be reached right now." in page
    assert "Showing data from" in page
    assert "data-act=" not in page
    # The rest is over: nothing else is known, so the next click finds out.
    ShopConnection.objects.update(breaker_open_until=timezone.now() - timedelta(seconds=1))
    cache.clear()
    page = panel(as_alice, conversation)
    assert "can’t be reached" not in page
    assert 'data-act="cancel"' in page


def test_the_panels_search_finds_any_customers_orders(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    other = shop.place(email="stranger@example.com").name
    shop.place()
    arrive(shop)
    assert 'action="/inbox/orders/"' in panel(as_alice, conversation)
    found: Any = as_alice.get("/inbox/orders/", {"q": other}, headers={"HX-Request": "true"})
    rows = found.content.decode()
    assert other in rows
    assert "<html" not in rows


def test_a_result_offers_words_for_the_reply_once_it_is_done(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    conversation.contact.language = "de"
    conversation.contact.save(update_fields=["language"])
    name = shop.place().name
    arrive(shop)
    order = Order.objects.get(name=name)
    page = review(as_alice, conversation, order, "cancel", reason="CUSTOMER", refund="later")
    confirm(as_alice, conversation, order, page)
    action = order.actions.get()
    at = f"/inbox/conversations/{conversation.pk}/actions/{action.pk}/"
    assert "data-insert" not in as_alice.get(at).content.decode()
    work_off(shop, Client())
    assert "data-insert" in as_alice.get(at).content.decode()


@pytest.mark.slow
def test_a_filter_says_how_far_it_looked(
    twelve: list[str], as_alice: Client, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "were searched" not in panel(as_alice, conversation, "?show=attention")
    monkeypatch.setattr("orders.panels.panel.ATTENTION_AMONG", 10)
    page = panel(as_alice, conversation, "?show=attention")
    assert "Only the newest 10 orders were searched." in page
