"""Refunds with a failed or pending transaction: in the budget, the report and on the pages."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox import dashboard as inbox_figures
from inbox.models import Conversation
from orders import policies
from orders.models import EventKind, Order, OrderAction, OrderRefund, Store
from orders.reports import (
    dashboard,
    totals,
)
from practice_store.changes import staff_actions as shop_actions
from practice_store.sales import cancellation, lifecycle
from practice_store.state import Order as ShopOrder
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


def place_paid_twice(shop: Shop, **more: Any) -> ShopOrder:
    """40.00, including 10.00 paid by gift card."""
    placed = shop.place(paid=False, **more)
    for amount, gateway in (("30", "shopify_payments"), ("10", "gift_card")):
        shop.act(partial(shop_actions.pay, order=placed, amount=Decimal(amount), gateway=gateway))
    return placed


def answer(shop: Shop, placed: ShopOrder, gateway: str, status: str) -> None:
    """What the payment provider says to the refund through this gateway."""

    def work(context: Any) -> None:
        (back,) = (t for t in placed.transactions if t.kind == "REFUND" and t.gateway == gateway)
        back.status = status
        lifecycle.touch(context, placed)

    shop.act(work)


def reported() -> tuple[int, str, str]:
    today = timezone.now().date()
    sheets = totals.report(totals.Period(today, today)).sheets
    if not sheets:
        return 0, "0.00", "0.00"
    (sheet,) = sheets
    return sheet.refunds, sheet.money.plain(), sheet.waiting.plain()


def refund_tile() -> str:
    tiles = dashboard.tiles(timezone.now())
    return next(tile.value for tile in tiles if tile.title == "Refunded in 24 hours")


def test_a_half_failed_refund_counts_by_its_other_half(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    alice: User,
    sara: User,
    store: Store,
    conversation: Conversation,
) -> None:
    placed = place_paid_twice(shop)
    order = seen()
    token = review(as_alice, conversation, order, "refund", reason="other", amount="40.00")
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    now = timezone.now()
    assert OrderAction.objects.get().booked_refund.moved == 40
    assert reported() == (1, "40.00", "0.00")
    assert policies.spent_today(alice, store, now=now) == 40

    answer(shop, placed, "shopify_payments", "FAILURE")
    seen()
    action = OrderAction.objects.get()
    assert (action.booked_refund.moved, action.booked_refund.failed) == (10, 30)
    assert reported() == (1, "10.00", "0.00")
    assert refund_tile() == "€10.00"
    assert policies.spent_today(alice, store, now=now) == 10
    # What is to be returned is the half that failed.
    page = unescape(logged_in(sara).get("/inbox/decisions/").content.decode())
    assert '<span class="num">€30.00</span>' in page
    assert "€40.00" not in page

    answer(shop, placed, "shopify_payments", "PENDING")
    seen()
    assert reported() == (1, "10.00", "30.00")
    assert refund_tile() == "€10.00 (+ €30.00 not confirmed)"
    assert policies.spent_today(alice, store, now=now) == 40


def test_a_refund_that_had_failed_by_half_when_it_was_first_seen(
    shop: Shop, seen: Seen, store: Store
) -> None:
    placed = place_paid_twice(shop)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal(40)))
    answer(shop, placed, "gift_card", "ERROR")
    order = seen()
    assert order.events.get(kind=EventKind.REFUNDED).amount == 30
    assert reported() == (1, "30.00", "0.00")


def test_a_refund_that_waits_is_on_the_timeline_and_not_in_the_sum(
    shop: Shop, seen: Seen, store: Store
) -> None:
    placed = place_paid_twice(shop)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal(40)))
    for gateway in ("gift_card", "shopify_payments"):
        answer(shop, placed, gateway, "AWAITING_RESPONSE")
    order = seen()
    assert order.events.get(kind=EventKind.REFUNDED).amount == 40
    assert reported() == (0, "0.00", "40.00")


def test_a_refund_is_no_event_until_some_of_its_money_moves(
    shop: Shop, seen: Seen, store: Store
) -> None:
    placed = place_paid_twice(shop)
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal(5)))
    answer(shop, placed, "shopify_payments", "FAILURE")
    order = seen()
    assert not order.events.filter(kind=EventKind.REFUNDED).exists()
    assert OrderRefund.objects.get().failed == 5
    answer(shop, placed, "shopify_payments", "SUCCESS")
    seen()
    assert order.events.get(kind=EventKind.REFUNDED).amount == 5


@pytest.mark.slow
def test_a_test_order_counts_in_no_sum(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    alice: User,
    sara: User,
    store: Store,
    conversation: Conversation,
) -> None:
    placed = shop.place(test=True)
    order = seen()
    assert order.is_test
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)

    def cancel(context: Any) -> None:
        shop_actions.cancel(context, placed, reason="CUSTOMER", refund_all=False)
        cancellation.run_job(context, list(context.shop.jobs)[-1])

    shop.act(cancel)
    seen()
    assert OrderAction.objects.get().booked_refund.moved == 5
    assert reported() == (0, "0.00", "0.00")
    assert refund_tile() == "None"
    assert policies.spent_today(alice, store, now=timezone.now()) == 0
    assert still_to_return() == "Nothing"
    page = unescape(logged_in(sara).get("/inbox/decisions/").content.decode())
    assert "Test order: no money is owed." in page

    # The same of an order that is none: the negative control of all of the above.
    Order.objects.update(is_test=False)
    assert reported() == (1, "5.00", "0.00")
    assert refund_tile() == "€5.00"
    assert policies.spent_today(alice, store, now=timezone.now()) == 5
    assert still_to_return() == "€35.00"
    page = unescape(logged_in(sara).get("/inbox/decisions/").content.decode())
    assert "Test order" not in page


def still_to_return() -> str:
    tiles = inbox_figures.tiles(timezone.now())
    return next(tile.value for tile in tiles if tile.title == "Refunds outstanding")
