"""What a supervisor sees of a request before deciding, and what the requester hears."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from inbox.decisions.approvals import digest_of
from inbox.models import Campaign, Conversation
from orders.models import ActionState, Order, OrderAction, Policy
from practice_store.changes import staff_actions as shop_actions
from tests.conftest import logged_in
from tests.flows.test_main_job import confirm, confirmations, review, send_messages
from tests.support.database.copies import without_triggers
from tests.support.shop.in_process import DOMAIN, Shop, work_off
from tests.support.shop.queues import sweep_actions

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
NOTE = "The courier lost it."


@pytest.fixture
def action(
    shop: Shop,
    seen: Seen,
    as_alice: Client,
    conversation: Conversation,
    alice: User,
    sara: User,
) -> OrderAction:
    """Alice may refund 10 alone, and asks for 15."""
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100)
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    shop.place(paid=True)
    token = review(
        as_alice,
        conversation,
        seen(),
        "refund",
        reason="not_received",
        amount="15.00",
        staff_note=NOTE,
    )
    order = Order.objects.get()
    assert confirm(as_alice, conversation, order, token) == 200
    return OrderAction.objects.latest("pk")


def page(client: Client) -> str:
    return unescape(client.get("/inbox/decisions/").content.decode())


def approve(by: User, action: OrderAction) -> None:
    logged_in(by).post(f"/inbox/decisions/{action.pk}/approve/", {"digest": digest_of(action)})


def test_the_card_has_everything_that_is_needed_to_decide(
    action: OrderAction, sara: User, conversation: Conversation
) -> None:
    shown = page(logged_in(sara))
    for words in (
        "Refund €15.00",
        action.order.name,
        f'href="/inbox/contacts/{conversation.contact_id}/"',
        "Above the agent’s limit of €10.00.",
        "agents at every store",
        "The order hasn’t changed since this was requested.",
        "Did not arrive",
        NOTE,
        "Where is my order?",
        "Already refunded",
        "Stays with the shop",
        "Earlier refunds",
        "The customer gets",
        "Approve €15.00 refund",
    ):
        assert words in shown, words
    assert "your limit" not in shown


def test_the_message_on_the_card_is_the_one_the_customer_gets(
    shop: Shop,
    campaigns: list[Campaign],
    action: OrderAction,
    sara: User,
    as_alice: Client,
    conversation: Conversation,
) -> None:
    shown = page(logged_in(sara))
    approve(sara, action)
    work_off(shop, as_alice)
    send_messages()
    [sent] = confirmations(conversation)
    assert sent == f"We are refunding €15.00 of {action.order.name}."
    assert f">{sent}</div>" in shown


def test_the_card_says_what_changed_since_the_request(
    shop: Shop, seen: Seen, action: OrderAction, sara: User
) -> None:
    placed = next(iter(shop.store.world.shops[DOMAIN].orders.values()))
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("3.00")))
    seen()
    shown = page(logged_in(sara))
    assert "The amount refunded changed" in shown
    assert "The order hasn’t changed since this was requested." not in shown


def test_the_requester_sees_the_card_but_cannot_decide(
    action: OrderAction, as_alice: Client
) -> None:
    shown = page(as_alice)
    assert "Someone else has to approve your request." in shown
    assert "Approve €15.00 refund" not in shown


def test_declining_asks_why(action: OrderAction, sara: User) -> None:
    boss = logged_in(sara)
    url = f"/inbox/decisions/{action.pk}/decline/"
    assert "Say why you’re declining this." in unescape(
        boss.post(url, follow=True).content.decode()
    )
    action.refresh_from_db()
    assert action.state == ActionState.AWAITING_APPROVAL
    boss.post(url, {"note": "Ask for a photo first."})
    action.refresh_from_db()
    assert (action.state, action.message) == (
        ActionState.DECLINED,
        "Declined by sara. Ask for a photo first.",
    )


def test_a_request_that_cannot_be_read_is_shown_without_buttons(
    action: OrderAction, sara: User
) -> None:
    with without_triggers(connection):
        OrderAction.objects.filter(pk=action.pk).update(proposal={"kind": "?"})
    shown = page(logged_in(sara))
    assert "The original request can no longer be read." in shown
    assert "Above the agent’s limit of €10.00." in shown
    assert "Approve €15.00 refund" not in shown


# --- What the requester hears ---------------------------------------------------------------------
def rows(client: Client, conversation: Conversation) -> list[str]:
    """The rows about the request: in the thread, and the same ones on the contact's page."""
    thread = client.get(f"/inbox/conversations/{conversation.pk}/thread/").content.decode()
    found = re.findall(r'id="approval-\d+">.*?<p>(.*?)</p>', thread, re.DOTALL)
    texts = [unescape(re.sub(r"<[^>]+>", "", row)) for row in found]
    path = f"/inbox/contacts/{conversation.contact_id}/activity/"
    activity = unescape(client.get(path).content.decode())
    for text in texts:
        assert text.split(" · ")[1] in activity
    return [text.rsplit(" · ", 1)[0] for text in texts]


def test_every_step_is_a_row_in_the_thread_and_on_the_contact(
    action: OrderAction, sara: User, as_alice: Client, conversation: Conversation
) -> None:
    name = action.order.name
    asked = (
        f"{name} · Refund €15.00: approval requested · Above the agent’s limit of €10.00. · Alice"
    )
    assert rows(as_alice, conversation) == [asked]
    approve(sara, action)
    assert rows(as_alice, conversation) == [asked, f"{name} · Refund €15.00: approved · Sara"]


def test_the_requester_reads_why_it_was_declined(
    action: OrderAction, sara: User, as_alice: Client, conversation: Conversation
) -> None:
    logged_in(sara).post(f"/inbox/decisions/{action.pk}/decline/", {"note": "Ask for a photo."})
    assert rows(as_alice, conversation)[1:] == [
        f"{action.order.name} · Refund €15.00: declined · Declined by sara. Ask for a photo. · Sara"
    ]


def test_the_requester_reads_that_it_lapsed(
    action: OrderAction, as_alice: Client, conversation: Conversation
) -> None:
    OrderAction.objects.update(expires_at=timezone.now())
    sweep_actions()
    assert rows(as_alice, conversation)[1:] == [
        f"{action.order.name} · Refund €15.00: not approved in time"
        " · Nothing was sent. Submit the request again. · Automation"
    ]


def test_the_requester_reads_that_the_order_changed(
    shop: Shop, action: OrderAction, sara: User, as_alice: Client, conversation: Conversation
) -> None:
    placed = next(iter(shop.store.world.shops[DOMAIN].orders.values()))
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("3.00")))
    approve(sara, action)
    [stale] = rows(as_alice, conversation)[1:]
    assert "not sent because the order changed" in stale
    assert "€0.00 → €3.00" in stale
    assert stale.endswith(" · Sara")
