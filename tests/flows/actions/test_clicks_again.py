"""Repeating a click whose response was lost, on a page, in a frame or over REST, returns the
first result whatever has changed since, and only to the person who made it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox import access
from inbox.contacts import address_edits
from inbox.conversations import services
from inbox.models import Conversation, HelpDeskFrame
from orders.models import Order, OrderAction
from tests.conftest import logged_in
from tests.flows.actions.test_api_clicks import confirm, preview
from tests.flows.frames.test_frames import entered, token_in, zammad
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
Change = Callable[[Conversation, Order, pytest.MonkeyPatch], None]
pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["zammad"]


@pytest.fixture
def order(shop: Shop, seen: Seen, conversation: Conversation) -> Order:
    """Jane's, paid with 40.00; alice has her conversation."""
    shop.place()
    return seen()


def nothing(*_: Any) -> None:
    """Only its answer was lost."""


def two_hours_pass(_talk: Conversation, _order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.previews.tokens._TOKEN_AGE_S", -1)


def it_changes_hands(talk: Conversation, _order: Order, _patch: pytest.MonkeyPatch) -> None:
    services.assign(conversation=talk, to=None)


def it_is_resolved(talk: Conversation, _order: Order, _patch: pytest.MonkeyPatch) -> None:
    services.resolve(conversation=talk)


def the_address_is_taken_away(
    talk: Conversation, _order: Order, _patch: pytest.MonkeyPatch
) -> None:
    for identity in talk.contact.identities.active().filter(kind="email"):
        address_edits.remove_identity(identity=identity, by=User.objects.get(username="alice"))


def the_order_is_gone(_talk: Conversation, order: Order, _patch: pytest.MonkeyPatch) -> None:
    Order.objects.filter(pk=order.pk).update(deleted_at=timezone.now())


CHANGES = [
    nothing,
    two_hours_pass,
    it_changes_hands,
    it_is_resolved,
    the_address_is_taken_away,
    the_order_is_gone,
]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_repeating_a_rest_request_returns_the_same_action(
    change: Change,
    shop: Shop,
    order: Order,
    conversation: Conversation,
    alice: User,
    sara: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = logged_in(alice)
    token, other = (preview(api, order, amount).json()["token"] for amount in ("5.00", "6.00"))
    first = confirm(api, order, token, "k-1")
    work_off(shop, api)
    change(conversation, order, monkeypatch)
    again = confirm(api, order, token, "k-1")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    # Another content with the same key stays another content.
    reused = confirm(api, order, other, "k-1")
    assert (reused.status_code, reused.json()["reason_code"]) == (409, "click_reused")
    # And to no one else, supervisor or not.
    assert confirm(logged_in(sara), order, token, "k-1").status_code in {404, 409}
    assert OrderAction.objects.count() == 1


def test_a_first_click_that_comes_too_late_is_refused(
    order: Order, conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: what was never done is not done later."""
    api = logged_in(alice)
    token = preview(api, order, "5.00").json()["token"]
    it_changes_hands(conversation, order, monkeypatch)
    assert confirm(api, order, token, "k-1").status_code == 403
    services.assign(conversation=conversation, to=alice)
    two_hours_pass(conversation, order, monkeypatch)
    assert confirm(api, order, token, "k-1").status_code == 409
    assert not OrderAction.objects.exists()


def reviewed(page: Client, conversation: Conversation, order: Order) -> tuple[str, str]:
    """Where a refund of 5.00 is confirmed, and its token."""
    at = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/"
    wish = {"mode": "amount", "reason": "other", "amount": "5.00"}
    shown = page.post(f"{at}refund/", wish, headers={"HX-Request": "true"})
    return f"{at}confirm/", token_in(shown.content.decode())


@pytest.mark.parametrize("change", CHANGES)
def test_repeating_a_click_on_a_page_returns_the_same_action(
    change: Change,
    shop: Shop,
    order: Order,
    conversation: Conversation,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = logged_in(alice)
    url, token = reviewed(page, conversation, order)
    for headers in ({"HX-Request": "true"}, {}):
        assert page.post(url, {"token": token}, headers=headers).status_code in {200, 302}
        work_off(shop, page)
        change(conversation, order, monkeypatch)
        again = page.post(url, {"token": token}, headers=headers)
        assert again.status_code == 200
        assert re.search(r"Refund(ed| )", again.content.decode())
        assert b"Nothing was sent to Shopify" not in again.content
    assert OrderAction.objects.count() == 1


def test_repeating_a_click_in_a_frame_returns_the_same_action(
    shop: Shop, order: Order, alice: User, zammad: HelpDeskFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    HelpDeskFrame.objects.update(confirm_up_to=100)
    framed = entered(zammad, assignee="alice@shop.example")
    token = token_in(framed.review(order, reason="other", amount="5.00"))
    assert framed.post(f"orders/{order.pk}/confirm/", {"token": token}).status_code == 200
    work_off(shop, Client())
    monkeypatch.setattr("orders.previews.tokens._TOKEN_AGE_S", -1)
    reassigned = entered(zammad, assignee="bob@shop.example")
    again = reassigned.post(f"orders/{order.pk}/confirm/", {"token": token})
    assert again.status_code == 200
    assert b"Nothing was sent to Shopify" not in again.content
    assert OrderAction.objects.count() == 1


@pytest.mark.slow
def test_a_resolved_conversation_allows_no_action(
    order: Order, conversation: Conversation, alice: User, sara: User
) -> None:
    """One rule for pages and REST, with one sentence."""
    api = logged_in(alice)
    url, token = reviewed(api, conversation, order)
    by_rest = preview(api, order, "6.00").json()["token"]
    services.resolve(conversation=conversation)
    refused = [
        preview(api, order, "5.00"),
        confirm(api, order, by_rest, "k-1"),
        api.post(url, {"token": token}, headers={"HX-Request": "true"}),
    ]
    for answer in refused:
        assert answer.status_code == 403
        assert "Reopen the conversation first." in answer.content.decode()
    at = f"/inbox/conversations/{conversation.pk}/"
    assert "Reopen the conversation first." in api.get(f"{at}orders/").content.decode()
    refusal = access.money_refusal_for_order(alice, order)
    assert refusal is not None
    assert refusal.code == "conversation_resolved"
    # Supervisors may act on every conversation, and reopening is one press.
    assert access.money_refusal_for_order(sara, order) is None
    services.reopen(conversation=conversation)
    assert confirm(api, order, by_rest, "k-1").status_code == 202


def test_a_conversation_that_is_resolved_while_the_click_waits_gives_no_right(
    order: Order, conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation is asked again under the order's lock."""
    page = logged_in(alice)
    url, token = reviewed(page, conversation, order)
    real = Order.objects.select_for_update

    def waits(*args: Any, **more: Any) -> Any:
        Conversation.objects.update(state="resolved")
        return real(*args, **more)

    monkeypatch.setattr(Order.objects, "select_for_update", waits)
    answer = page.post(url, {"token": token}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "Reopen the conversation first." in answer.content.decode()
    assert not OrderAction.objects.exists()
