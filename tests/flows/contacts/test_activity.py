"""A contact's activity: every kind of row, its filters, and its pages."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.contacts import identities
from inbox.contacts.activity import sources
from inbox.contacts.activity.page import ROWS_A_PAGE
from inbox.conversations import services
from inbox.models import (
    Campaign,
    CampaignMessage,
    Channel,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
    SendState,
    Team,
    Via,
)
from orders.models import AuditKind, EventKind, EventSource, Order, OrderEvent, Store
from orders.models.audit import AuditEntry
from orders.panels.card_rows import event_row
from tests.pages.test_queries import a_person, an_action, an_order

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def talk(channel: Channel, store: Store, alice: User) -> Conversation:
    found = a_person(channel, store, 1, to=alice)
    Message.objects.all().delete()
    return found


@pytest.fixture
def order(store: Store, talk: Conversation) -> Order:
    return an_order(store, 1, "jane1@example.com")


def an_event(order: Order, kind: EventKind, number: int, **more: object) -> OrderEvent:
    at = NOW - timedelta(minutes=number // 3)
    values = {
        "kind": kind,
        "key": f"event-{number}",
        "occurred_at": at,
        "source": EventSource.SHOPIFY,
        "detail": f"Row-{number}.",
    }
    return OrderEvent.objects.create(order=order, **(values | more))


def a_message(talk: Conversation, kind: MessageKind, number: int) -> Message:
    at = NOW - timedelta(minutes=number // 3)
    return Message.objects.create(
        conversation=talk, channel=talk.channel, kind=kind, text=f"Row-{number}.", created_at=at
    )


def a_campaign(event: OrderEvent, number: int, **more: object) -> CampaignMessage:
    campaign, _new = Campaign.objects.get_or_create(
        name="Shipping news", defaults={"event_kind": "fulfilled", "subject": "s", "body": "b"}
    )
    values = {
        "campaign": campaign,
        "event": event,
        "via": Via.EMAIL,
        "state": SendState.WRITTEN,
        "written_at": NOW - timedelta(minutes=number // 3),
        "subject": f"Row-{number}.",
    }
    return CampaignMessage.objects.create(**(values | more))


def an_approval(order: Order, by: User, number: int) -> None:
    """A request that was asked and declined."""
    action = an_action(
        order, by, approvals_needed=1, nonce=f"n-{number}", state="declined", outcome="declined",
        settled_at=NOW, why_approval=f"Row-{number}.", message=f"Row-{number + 1}.",
    )  # fmt: skip
    for place, (before, after) in enumerate(
        [("", "awaiting_approval"), ("awaiting_approval", "declined")]
    ):
        AuditEntry.objects.create(
            kind=AuditKind.ACTION,
            action_id=action.pk,
            before=before,
            after=after,
            at=NOW - timedelta(minutes=(number + place) // 3),
        )


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def rows(text: str) -> list[str]:
    return re.findall(r"Row-(\d+)\.", text.partition('<ol class="timeline')[2])


def older(text: str) -> str:
    found = re.search(r'href="([^"]+)">Older activity<', text)
    return found[1] if found else ""


def everything(client: Client, contact: Contact, query: str = "") -> list[str]:
    """The rows of all pages, by following their links."""
    found: list[str] = []
    address = f"/inbox/contacts/{contact.pk}/{query}"
    while address:
        text = page(client, address)
        shown = rows(text)
        assert len(shown) <= ROWS_A_PAGE
        assert not query or query.strip("?") in (older(text) or query)
        found += shown
        address = older(text)
    return found


@pytest.fixture
def many(order: Order, talk: Conversation, alice: User) -> dict[str, set[str]]:
    """130 rows of every kind, three of them at each moment; by their filter."""
    made: dict[str, set[str]] = {}
    kinds = ["orders", "money", "messages", "notes", "campaigns", "approvals"]
    number = 0
    while number < 130:
        show = kinds[number % len(kinds)]
        own = {str(number)}
        if show == "orders":
            an_event(order, EventKind.DELIVERED, number)
        elif show == "money":
            an_event(order, EventKind.PAID, number, amount=Decimal(5), currency="EUR")
        elif show == "messages":
            a_message(talk, MessageKind.REPLY, number)
        elif show == "notes":
            a_message(talk, MessageKind.NOTE, number)
        elif show == "campaigns":
            cause = an_event(order, EventKind.FULFILLED, number, detail="", key=f"cause-{number}")
            a_campaign(cause, number)
        else:
            an_approval(order, alice, number)
            own = {str(number), str(number + 1)}
            number += 1
        made.setdefault(show, set()).update(own)
        number += 1
    return made


def test_the_pages_have_every_row_once(
    as_alice: Client, talk: Conversation, many: dict[str, set[str]]
) -> None:
    found = everything(as_alice, talk.contact)
    assert Counter(found) == Counter(row for own in many.values() for row in own)
    # Newest first, up to three at the same moment.
    moments = [int(row) // 3 for row in found]
    assert moments == sorted(moments)


def test_a_filter_shows_its_rows_on_every_page(
    as_alice: Client, talk: Conversation, many: dict[str, set[str]]
) -> None:
    for show, own in many.items():
        assert Counter(everything(as_alice, talk.contact, f"?show={show}")) == Counter(own), show


def test_the_filters_are_links_and_the_page_says_which_is_on(
    as_alice: Client, talk: Conversation
) -> None:
    for number in range(ROWS_A_PAGE + 1):
        a_message(talk, MessageKind.NOTE, number)
    address = f"/inbox/contacts/{talk.contact_id}/"
    text = page(as_alice, f"{address}?show=money")
    assert f'href="{address}?show=money#activity-title" aria-current="page">Money<' in text
    assert f'href="{address}#activity-title">All<' in text
    assert f'data-live-src="{address}activity/?show=money"' in text
    past = page(as_alice, older(page(as_alice, address)))
    assert "Newest activity" in past
    # A page of the past stays as it is.
    assert f"{address}activity/" not in past


def test_an_unknown_filter_or_position_shows_everything(
    as_alice: Client, talk: Conversation, order: Order
) -> None:
    an_event(order, EventKind.PAID, 1)
    a_message(talk, MessageKind.NOTE, 2)
    for query in ("show=none", "after=x", "after=2026-01-01T00:00:00Z~coupon~1"):
        address = f"/inbox/contacts/{talk.contact_id}/activity/?{query}"
        assert rows(page(as_alice, address)) == ["2", "1"]


def test_a_campaign_in_the_conversation_is_one_row(
    as_alice: Client, order: Order, talk: Conversation
) -> None:
    sent = a_message(talk, MessageKind.CONFIRMATION, 1)
    cause = an_event(order, EventKind.FULFILLED, 0)
    a_campaign(cause, 1, via=Via.CONVERSATION, message=sent)
    text = page(as_alice, f"/inbox/contacts/{talk.contact_id}/")
    assert rows(text).count("1") == 1
    assert "Campaign: Shipping news" in text
    assert rows(page(as_alice, f"/inbox/contacts/{talk.contact_id}/?show=campaigns")) == ["1"]


def test_what_is_left_out_is_said_on_the_last_page(
    as_alice: Client,
    channel: Channel,
    talk: Conversation,
    order: Order,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    an_event(order, EventKind.PAID, 0)
    for number in range(1, ROWS_A_PAGE + 1):
        a_message(talk, MessageKind.NOTE, number)
    address = f"/inbox/contacts/{talk.contact_id}/"
    last = older(page(as_alice, address))
    assert "most recent" not in page(as_alice, last)
    second = an_order(store, 2, "jane1@example.com")
    Order.objects.filter(pk=second.pk).update(customer_gid=order.customer_gid)
    Conversation.objects.create(contact=talk.contact, channel=channel, external_id="second")
    Conversation.objects.filter(pk=talk.pk).update(last_message_at=NOW + timedelta(hours=1))
    monkeypatch.setattr(identities, "ORDERS_READ", 1)
    monkeypatch.setattr(sources, "_CONVERSATIONS_READ", 1)
    assert "most recent" not in page(as_alice, address)
    for where, told in (
        (last, ["orders", "conversations"]),
        (f"{address}?show=money", ["orders"]),
        (f"{address}?show=messages", ["conversations"]),
    ):
        text = page(as_alice, where)
        for name in ("orders", "conversations", "checkouts"):
            says = f"Only the 1 most recent {name} are included." in text
            assert says == (name in told), (where, name)


def test_a_message_that_failed_says_so(as_alice: Client, talk: Conversation) -> None:
    sent = a_message(talk, MessageKind.REPLY, 1)
    Message.objects.filter(pk=sent.pk).update(delivery_state=DeliveryState.FAILED)
    assert "Not delivered" in page(as_alice, f"/inbox/contacts/{talk.contact_id}/")


def test_another_teams_conversation_is_not_read_out(
    as_alice: Client, alice: User, channel: Channel, talk: Conversation, order: Order
) -> None:
    north, south = (Team.objects.create(name=name) for name in ("North", "South"))
    north.members.add(alice)
    north.stores.set(Store.objects.all())
    Conversation.objects.update(team=north, was_moved=True)
    hidden = Conversation.objects.create(
        contact=talk.contact, channel=channel, external_id="hidden", team=south, was_moved=True
    )
    a_message(talk, MessageKind.NOTE, 1)
    secret = a_message(hidden, MessageKind.CONFIRMATION, 2)
    a_campaign(an_event(order, EventKind.FULFILLED, 0), 3, message=secret)
    text = page(as_alice, f"/inbox/contacts/{talk.contact_id}/")
    assert rows(text) == ["1", "0", "3"]
    assert f"/inbox/conversations/{hidden.pk}/" not in text


def test_only_what_they_wrote_themselves_in_another_persons_conversation(
    as_alice: Client, channel: Channel, store: Store, talk: Conversation
) -> None:
    other = a_person(channel, store, 2)
    theirs = other.participants.create(contact=talk.contact, external_id="copied")
    for number, sender in ((1, theirs), (2, None)):
        message = a_message(other, MessageKind.INBOUND, number)
        Message.objects.filter(pk=message.pk).update(sender=sender)
    assert rows(page(as_alice, f"/inbox/contacts/{talk.contact_id}/")) == ["1"]


def test_a_message_leads_to_its_place_in_a_long_thread(
    as_alice: Client, alice: User, talk: Conversation
) -> None:
    for number in range(120, 0, -1):
        a_message(talk, MessageKind.REPLY, number)
    wanted = Message.objects.get(text="Row-100.")
    address = f"/inbox/conversations/{talk.pk}/?message={wanted.pk}"
    text = page(as_alice, older(page(as_alice, f"/inbox/contacts/{talk.contact_id}/")))
    assert f'href="{address}#message-{wanted.pk}"' in text
    shown = page(as_alice, address)
    assert f'id="message-{wanted.pk}"' in shown
    assert "Row-1.<" not in shown
    # A new one is on the newest page, where the composer is.
    newest = Message.objects.get(text="Row-1.")
    assert "Row-1.<" in page(as_alice, f"/inbox/conversations/{talk.pk}/?message={newest.pk}")
    # A message of another conversation, or none.
    for number in (10**15, 0):
        assert "Row-1.<" in page(as_alice, f"/inbox/conversations/{talk.pk}/?message={number}")


def test_a_kind_of_a_newer_release_is_shown_as_it_is(order: Order) -> None:
    event = OrderEvent(order=order, kind="on_ice", occurred_at=NOW, source=EventSource.SHOPIFY)
    assert event_row(event).label == "Unknown (on_ice)"


def test_the_row_names_the_agent_and_the_sender(
    as_alice: Client, alice: User, talk: Conversation
) -> None:
    services.reply(conversation=talk, by=alice, text="Row-1.")
    text = page(as_alice, f"/inbox/contacts/{talk.contact_id}/?show=messages")
    assert "<bdi>Alice</bdi>" in text
