"""Refusals of the API around a confirmation: one key is one action with one content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders.models import Order, OrderAction, Store
from practice_store.changes import staff_actions
from tests.conftest import logged_in
from tests.support.people.tokens import api_token, bearing
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(shop: Shop, seen: Seen, conversation: Conversation) -> Order:
    """Jane's, paid with 40.00; alice has her conversation."""
    shop.place()
    return seen()


def preview(api: Client, order: Order, amount: str, **more: Any) -> Any:
    wish = {"kind": "refund", "reason": "other", "amount": amount, **more}
    return api.post(f"/api/v1/orders/{order.pk}/previews/", wish, content_type="application/json")


def confirm(api: Client, order: Order, token: str, key: str) -> Any:
    return api.post(
        f"/api/v1/orders/{order.pk}/actions/",
        {"token": token},
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )


def test_a_used_idempotency_key_is_refused_for_another_amount(
    shop: Shop, order: Order, alice: User
) -> None:
    api = logged_in(alice)
    small, large = (preview(api, order, amount).json()["token"] for amount in ("5.00", "6.00"))
    first = confirm(api, order, small, "k-1")
    assert first.status_code == 202
    reused = confirm(api, order, large, "k-1")
    assert (reused.status_code, reused.json()["reason_code"]) == (409, "click_reused")
    work_off(shop, api)
    # Also once it is over: the answer is never another action's.
    assert confirm(api, order, large, "k-1").status_code == 409
    assert confirm(api, order, small, "k-1").json()["id"] == first.json()["id"]
    assert OrderAction.objects.count() == 1
    assert [refund["amount"] for refund in shop.ledger()["refunds"]] == ["5.0"]


def test_a_colleague_cannot_confirm_anothers_summary(
    shop: Shop, order: Order, alice: User, sara: User
) -> None:
    token = preview(logged_in(alice), order, "5.00").json()["token"]
    answer = confirm(logged_in(sara), order, token, "k-1")
    assert answer.status_code == 409
    assert not OrderAction.objects.exists()
    assert confirm(logged_in(alice), order, token, "k-1").status_code == 202


def test_an_order_that_vanished_after_its_summary_gets_no_action(order: Order, alice: User) -> None:
    api = logged_in(alice)
    token = preview(api, order, "5.00").json()["token"]
    Order.objects.update(deleted_at=timezone.now())
    assert confirm(api, order, token, "k-1").status_code in {404, 409}
    assert not OrderAction.objects.exists()


def test_delivered_goods_require_an_answer_about_their_return(
    shop: Shop, seen: Seen, order: Order, alice: User
) -> None:
    placed = next(iter(shop.store.world.shops["demo.myshopify.com"].orders.values()))
    shop.act(lambda c: staff_actions.ship(c, placed))
    shop.act(lambda c: staff_actions.carrier_says(c, placed, "DELIVERED"))
    found = seen()
    api = logged_in(alice)
    answer = preview(api, found, "5.00")
    assert (answer.status_code, answer.json()["reason_code"]) == (409, "return_unanswered")
    assert preview(api, found, "5.00", returned="not_needed").status_code == 200


def test_a_repeated_click_shows_no_token_another_store(
    shop: Shop, order: Order, alice: User
) -> None:
    """The owner sees both stores; the token is for the other one."""
    api = logged_in(alice)
    summary = preview(api, order, "5.00").json()["token"]
    assert confirm(api, order, summary, "k-1").status_code == 202
    other = Store.objects.create(domain="other.myshopify.com", currency="EUR")

    def again(*stores: Store) -> int:
        limited = api_token(alice, name=str(stores), stores=stores)
        client = Client(headers=bearing(limited))
        return int(confirm(client, order, summary, "k-1").status_code)

    assert again(other) == 404
    assert again(order.store) == 202
