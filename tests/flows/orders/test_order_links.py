"""From an order's page to the conversations about it."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.models import (
    Campaign,
    CampaignMessage,
    Channel,
    Contact,
    Conversation,
    Message,
    MessageKind,
    SendState,
    Team,
    Via,
)
from orders.models import Order, Store
from tests.pages.test_queries import a_person, an_action, an_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def talk(channel: Channel, store: Store, alice: User) -> Conversation:
    return a_person(channel, store, 1043, to=alice)


@pytest.fixture
def order(store: Store, talk: Conversation) -> Order:
    return an_order(store, 1043, "jane1043@example.com")


def wrote(talk: Conversation, text: str, kind: MessageKind = MessageKind.INBOUND) -> Message:
    return talk.messages.create(channel=talk.channel, kind=kind, text=text)


def page(client: Client, order: Order) -> str:
    return unescape(client.get(f"/inbox/orders/{order.pk}/").content.decode())


def test_it_leads_to_the_message_that_names_the_order(
    as_alice: Client, talk: Conversation, order: Order
) -> None:
    assert "Mentions this order" not in page(as_alice, order)
    wrote(talk, "Where is 1043?")
    named = wrote(talk, "I mean #1043!")
    wrote(talk, "Not 10435.")
    wrote(talk, "About #1043", MessageKind.NOTE)
    address = f"/inbox/conversations/{talk.pk}/?message={named.pk}#message-{named.pk}"
    assert f'<a href="{address}">Mentions this order</a>' in page(as_alice, order)


def test_it_leads_to_where_it_was_acted_on_and_what_was_sent(
    as_alice: Client, alice: User, channel: Channel, talk: Conversation, order: Order
) -> None:
    other = Conversation.objects.create(
        contact=Contact.objects.create(name="Joe"), channel=channel, external_id="c-9"
    )
    an_action(order, alice, origin=other.origin)
    sent = wrote(talk, "It is on its way.", MessageKind.CONFIRMATION)
    event = order.events.create(
        kind="fulfilled", key="f", occurred_at=timezone.now(), source="shopify"
    )
    campaign = Campaign.objects.create(name="News", event_kind="fulfilled", subject="s", body="b")
    CampaignMessage.objects.create(
        campaign=campaign,
        event=event,
        via=Via.CONVERSATION,
        state=SendState.WRITTEN,
        message=sent,
    )
    text = page(as_alice, order)
    assert f'href="/inbox/conversations/{other.pk}/#order-{order.pk}"' in text
    assert text.count("Acted on this order") == 1
    address = f"/inbox/conversations/{talk.pk}/?message={sent.pk}#message-{sent.pk}"
    assert f'<a href="{address}">Message about this order</a>' in text
    # Another team's conversation isn't told of.
    north, south = (Team.objects.create(name=name) for name in ("North", "South"))
    north.members.add(alice)
    north.stores.set(Store.objects.all())
    Conversation.objects.filter(pk=talk.pk).update(team=north, was_moved=True)
    Conversation.objects.filter(pk=other.pk).update(team=south, was_moved=True)
    text = page(as_alice, order)
    assert f"/inbox/conversations/{other.pk}/" not in text
    assert "Acted on this order" not in text
