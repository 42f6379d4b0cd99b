"""From a customer's message to their order as it was when they wrote."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inbox.models import Contact, Conversation, IdentityKind, Message
from orders.models import Order, OrderVersion, Store
from orders.privacy import retention
from tests.flows.orders.history.test_history import arrives, shipped, writes_again
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def message(shop: Shop, store: Store, conversation: Conversation) -> Message:
    """The order is read, the customer writes, and then it is shipped."""
    placed = shop.place()
    arrives(shop)
    written = writes_again(conversation)
    shipped(shop, placed)
    arrives(shop)
    return written


def address(message: Message, query: str = "") -> str:
    return f"/inbox/conversations/{message.conversation_id}/messages/{message.pk}/order/{query}"


def page(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def rows(text: str) -> dict[str, tuple[str, str, bool]]:
    """What stands beside each label, and whether it is marked."""
    cell = r"<td><bdi>(.*?)</bdi>"
    found = re.findall(
        rf"<tr( data-changed)?><th[^>]*><bdi>(.*?)</bdi></th>{cell}</td>{cell}", text
    )
    return {label: (then, now, bool(mark)) for mark, label, then, now in found}


def test_the_order_then_stands_beside_the_order_now(as_alice: Client, message: Message) -> None:
    thread = page(as_alice, f"/inbox/conversations/{message.conversation_id}/thread/")
    assert f'href="{address(message)}"' in thread
    text = page(as_alice, address(message))
    assert "isn’t known" not in text
    found = rows(text)
    assert found["Fulfillment"] == ("Unfulfilled", "Fulfilled", True)
    assert found["Parcel 1"][0] == "–"
    assert found["Payment"] == ("Paid", "Paid", False)
    assert "Unfulfilled → Fulfilled" in text
    # Without JavaScript it is a page; for the dialog only what is in it.
    assert "<html" in text
    fragment = page(as_alice, address(message), **{"HX-Request": "true"})
    assert "<html" not in fragment
    assert rows(fragment) == found


def test_a_message_after_the_last_change_says_that_nothing_changed(
    as_alice: Client, message: Message, conversation: Conversation
) -> None:
    text = page(as_alice, address(writes_again(conversation)))
    assert "Nothing has changed since then." in text
    assert not any(is_marked for _then, _now, is_marked in rows(text).values())


def test_what_is_older_than_the_first_version_is_not_made_up(
    as_alice: Client, message: Message
) -> None:
    Message.objects.filter(pk=message.pk).update(created_at=timezone.now() - timedelta(days=9))
    Order.objects.update(placed_at=timezone.now() - timedelta(days=10))
    text = page(as_alice, address(message))
    assert "What the order looked like then isn’t known" in text
    assert "Earliest known version" in text
    assert "changes since that version" in text
    assert rows(text)["Fulfillment"] == ("Unfulfilled", "Fulfilled", True)
    Order.objects.update(placed_at=timezone.now())
    assert "This order was placed after the message." in page(as_alice, address(message))


def test_after_a_deletion_it_says_that_the_past_is_gone(as_alice: Client, message: Message) -> None:
    order = Order.objects.get()
    # By its addresses, a masked order isn't found any more.
    message.conversation.contact.identities.create(
        kind=IdentityKind.SHOPIFY_CUSTOMER, value=f"{order.store_id}:{order.customer_gid}"
    )
    retention._mask_orders([order])
    Order.objects.update(state_since=timezone.now())
    assert not OrderVersion.objects.exists()
    assert "Personal data of this order was deleted" in page(as_alice, address(message))


def test_the_order_named_in_the_message_is_shown_and_others_are_offered(
    shop: Shop, as_alice: Client, message: Message
) -> None:
    shop.place()
    arrives(shop)
    first, second = Order.objects.order_by("pk")
    # The later one didn't exist yet.
    Order.objects.filter(pk=second.pk).update(placed_at=timezone.now())
    text = page(as_alice, address(message))
    assert f"{first.name} as it was then" in text
    assert f'href="{address(message)}?order={second.pk}"' in text
    assert f"{second.name} as it was then" in page(
        as_alice, address(message, f"?order={second.pk}")
    )
    Message.objects.filter(pk=message.pk).update(text=f"And {second.name}?")
    assert f"{second.name} as it was then" in page(as_alice, address(message))


def test_only_the_customers_own_orders_are_shown(
    shop: Shop, as_alice: Client, message: Message, conversation: Conversation, seen: Any
) -> None:
    shop.place(email="joe@example.com")
    other = seen()
    assert as_alice.get(address(message, f"?order={other.pk}")).status_code == 404
    # Nor a message of another conversation beside their own orders.
    stranger = Contact.objects.create(name="Joe")
    elsewhere = Conversation.objects.create(
        contact=stranger, channel=conversation.channel, external_id="c-9"
    )
    path = f"/inbox/conversations/{elsewhere.pk}/messages/{message.pk}/order/"
    assert as_alice.get(path).status_code == 404
    own = elsewhere.messages.create(channel=conversation.channel, kind="inbound", text="Hello")
    assert "This customer has no orders." in page(as_alice, address(own))
