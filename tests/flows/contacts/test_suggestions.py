"""Suggested addresses come with evidence; an agent decides, and the answer is remembered."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.contacts import identities
from inbox.conversations import services
from inbox.models import Channel, Conversation, Identity
from orders.models import Order, Store
from tests.conftest import message_time
from tests.flows.contacts.test_which_customer import api, arrive
from tests.flows.test_main_job import panel
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = "Also this person?"


@pytest.fixture
def janes(shop: Shop, store: Store, conversation: Conversation) -> tuple[Order, Order]:
    """Jane's order by the address we know, and one of the same customer by another."""
    shop.place()
    shop.place(email="jane@example.com")
    arrive(shop)
    known, other = Order.objects.order_by("pk")
    row = shop.store.world.shops["demo.myshopify.com"].orders[other.legacy_id]
    row.email = "jane@work.example"
    Order.objects.filter(pk=other.pk).update(email="jane@work.example")
    return known, other


def page(client: Client, conversation: Conversation) -> str:
    return unescape(panel(client, conversation))


def decide(client: Client, conversation: Conversation, value: str, how: str) -> None:
    kind = "email" if "@" in value else "phone"
    client.post(
        f"/inbox/contacts/{conversation.contact_id}/suggestions/{how}/",
        {"kind": kind, "value": value, "conversation": conversation.pk},
    )


def test_an_address_of_the_same_customer_is_suggested_but_not_applied_automatically(
    janes: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User
) -> None:
    known, other = janes
    for text in (
        page(as_alice, conversation),
        unescape(as_alice.get(f"/inbox/contacts/{conversation.contact_id}/").content.decode()),
    ):
        assert ASKED in text
        assert "jane@work.example" in text
        assert f"on order {other.name} from the same Shopify customer at Demo" in text
    assert list(identities.orders_of(conversation.contact)) == [known]
    at = f"/inbox/conversations/{conversation.pk}/orders/{other.pk}/refund/"
    assert as_alice.get(at).status_code == 404
    assert api(alice, other).status_code == 403
    # Negative control: accepted, the very same doors open.
    decide(as_alice, conversation, "jane@work.example", "accept")
    assert as_alice.get(at).status_code == 200
    assert api(alice, other).status_code == 200
    made = Identity.objects.get(value="jane@work.example")
    assert made.added_by == alice
    assert other.name in made.source
    assert ASKED not in page(as_alice, conversation)


def test_not_this_person_is_remembered_and_taken_back(
    janes: tuple[Order, Order], as_alice: Client, conversation: Conversation, alice: User
) -> None:
    decide(as_alice, conversation, "jane@work.example", "set-aside")
    text = page(as_alice, conversation)
    assert ASKED not in text
    assert "jane@work.example was marked as not this person." in text
    row = Identity.objects.get(value="jane@work.example")
    assert (row.is_set_aside, row.removed_by) == (True, alice)
    assert list(identities.orders_of(conversation.contact)) == [janes[0]]
    contact = f"/inbox/contacts/{conversation.contact_id}/"
    as_alice.post(f"{contact}identities/{row.pk}/restore/", {"conversation": conversation.pk})
    # Taken back it is a suggestion again, and no more than that.
    assert ASKED in page(as_alice, conversation)
    assert not Identity.objects.active().filter(value="jane@work.example").exists()


def test_what_was_taken_away_is_not_suggested_again(
    janes: tuple[Order, Order], as_alice: Client, conversation: Conversation
) -> None:
    decide(as_alice, conversation, "jane@work.example", "accept")
    made = Identity.objects.get(value="jane@work.example")
    as_alice.post(f"/inbox/contacts/{conversation.contact_id}/identities/{made.pk}/remove/")
    assert ASKED not in page(as_alice, conversation)


def test_an_order_named_in_the_text_is_a_claim_only(
    shop: Shop,
    store: Store,
    channel: Channel,
    as_alice: Client,
    conversation: Conversation,
    alice: User,
) -> None:
    shop.place(email="tom@example.com")
    arrive(shop)
    order = Order.objects.select_related("store").get()
    assert ASKED not in page(as_alice, conversation)
    services.receive(
        channel=channel,
        external_id="m-2",
        conversation_id="c-1",
        sender=services.Sender(external_id="u-1"),
        text=f"It is {order.name}, refund it!",
        sent_at=message_time(),
    )
    text = page(as_alice, conversation)
    assert "mentioned in the conversation" in text
    assert "ask for proof before you accept" in text
    assert "Only a supervisor can confirm it." in text
    assert not identities.orders_of(conversation.contact).exists()
    assert api(alice, order).status_code == 403


@pytest.mark.parametrize("how", ["accept", "set-aside"])
def test_a_forged_suggestion_adds_no_address(
    janes: tuple[Order, Order], as_alice: Client, conversation: Conversation, how: str
) -> None:
    known = Identity.objects.count()
    for value in ("eve@example.com", "", "+4915100000000", "\x00"):
        decide(as_alice, conversation, value, how)
    assert Identity.objects.count() == known


def test_an_address_of_another_contact_is_not_suggested(
    janes: tuple[Order, Order], channel: Channel, as_alice: Client, conversation: Conversation
) -> None:
    services.receive(
        channel=channel,
        external_id="m-9",
        conversation_id="c-9",
        sender=services.Sender(external_id="u-9", name="Tom", email="jane@work.example"),
        text="Hi",
        sent_at=message_time(),
    )
    assert ASKED not in page(as_alice, conversation)
