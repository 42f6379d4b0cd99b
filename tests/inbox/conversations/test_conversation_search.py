"""Searching the inbox finds conversations by their customer, and by an order of theirs."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.contacts import identities
from inbox.contacts import search as contact_search
from inbox.conversations import listing, search
from inbox.models import Channel, Claim, Contact, Conversation, Identity, IdentityKind, Team
from orders.models import Order, Store
from orders.snapshot import encode
from tests.support.orders import snapshots

pytestmark = pytest.mark.django_db

SOFIA = "gid://shopify/Customer/7"


@pytest.fixture
def order(db: None) -> Order:
    """Placed with an address that the inbox doesn't know."""
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    return Order.objects.create(
        store=store,
        gid="gid://shopify/Order/1",
        legacy_id=1,
        name="#1043",
        currency="EUR",
        email="other@example.com",
        phone="+4915112345678",
        customer_gid=SOFIA,
        document=encode(snapshots.order()),
    )


def finds(client: Client, words: str) -> bool:
    page = client.get("/inbox/", {"scope": "all", "q": words}).content.decode()
    return "conversation-row" in page


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IdentityKind.SHOPIFY_CUSTOMER, f"{{store}}:{SOFIA}"),
        (IdentityKind.EMAIL, "other@example.com"),
        (IdentityKind.PHONE, "+4915112345678"),
    ],
)
def test_the_number_of_an_order_finds_its_customers_conversation(
    as_alice: Client, order: Order, conversation: Conversation, kind: str, value: str
) -> None:
    assert not finds(as_alice, "#1043")
    Identity.objects.create(
        contact=conversation.contact, kind=kind, value=value.format(store=order.store_id)
    )
    for words in ("#1043", "1043"):
        assert finds(as_alice, words)
    assert not finds(as_alice, "#1044")


def test_another_customers_order_number_finds_no_conversation(
    as_alice: Client, order: Order, conversation: Conversation
) -> None:
    """Its address is the contact's; but they are another customer of that store, so the order is
    not beside their conversation, either."""
    contact = conversation.contact
    Identity.objects.create(contact=contact, kind=IdentityKind.EMAIL, value="other@example.com")
    assert finds(as_alice, "#1043")
    Identity.objects.create(
        contact=contact,
        kind=IdentityKind.SHOPIFY_CUSTOMER,
        value=f"{order.store_id}:gid://shopify/Customer/8",
    )
    assert identities.contacts_of(order) == []
    assert not finds(as_alice, "#1043")


def person(channel: Channel, name: str, **addresses: str) -> Conversation:
    contact = Contact.objects.create(name=name)
    for kind, value in addresses.items():
        Identity.objects.create(contact=contact, kind=kind, value=value)
    return Conversation.objects.create(contact=contact, channel=channel, external_id=name)


def found(client: Client, words: str, **more: str) -> list[str]:
    page = client.get("/inbox/", {"scope": "all", "q": words} | more).content.decode()
    return re.findall(r'class="conversation-row.*?<bdi[^>]*>(.*?)</bdi>', page, re.DOTALL)


def test_people_are_found_by_words_of_their_names_and_by_their_addresses(
    as_alice: Client, channel: Channel
) -> None:
    Store.objects.create(domain="demo.myshopify.com", country="DE")
    person(channel, "Anna Lindqvist", email="anna.l@example.com", phone="+4915112345678")
    other = person(channel, "Li Wei", email="wei@example.org")
    for words in (
        "lindq",
        "lindqvist anna",
        "anna.l@example.com",
        "anna.l@example.co",
        "anna.l",
        ".l@example.c",
        "+49 151 12345678",
        "0151 12345678",
        "12345",
    ):
        assert found(as_alice, words) == ["Anna Lindqvist"], words
    assert found(as_alice, "Li W") == ["Li Wei"]
    assert found(as_alice, "li") == ["Li Wei"]
    assert found(as_alice, "anna wei") == found(as_alice, "anna.x@example.com") == []
    Claim.objects.create(contact=other.contact, kind="email", value="said@example.com")
    assert found(as_alice, "said@example.com") == found(as_alice, "said@ex") == ["Li Wei"]
    Identity.objects.filter(value="wei@example.org").update(removed_at=timezone.now())
    assert found(as_alice, "wei@example.org") == []


def test_a_frequent_name_is_paged_through_by_the_newest(
    as_alice: Client, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in steps among the newest conversations, none twice and none left out."""
    monkeypatch.setattr(contact_search, "AT_MOST", 3)
    monkeypatch.setattr(search, "_STEP", 4)
    monkeypatch.setattr(search, "_LOOKED_AMONG", 8)
    monkeypatch.setattr(listing, "PAGE", 3)
    now = timezone.now()
    for n in range(20):
        made = person(channel, f"Jane {n}" if n % 4 else f"Max {n}")
        Conversation.objects.filter(pk=made.pk).update(last_message_at=now - timedelta(hours=n))
    seen: list[str] = []
    after = ""
    for _page in range(20):
        page = as_alice.get("/inbox/", {"scope": "all", "q": "jane", "after": after})
        seen += found(as_alice, "jane", after=after)
        further = page.context["list"].next_url
        if not further:
            break
        after = parse_qs(urlsplit(further).query)["after"][0]
    assert seen == [f"Jane {n}" for n in range(20) if n % 4]


def test_contacts_of_other_teams_hide_no_one(
    as_alice: Client, alice: User, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than a search looks at, and the others' are the first in the database."""
    monkeypatch.setattr(contact_search, "AT_MOST", 3)
    mine, others = (Team.objects.create(name=name) for name in ("North", "South"))
    alice.teams.add(mine)
    for n in range(6):
        contact = person(channel, f"Person {n}", email=f"lindqvist{n}@example.com").contact
        Claim.objects.create(contact=contact, kind="email", value=f"claimed{n}@example.com")
    Conversation.objects.update(team=others, was_moved=True)
    ours = person(channel, "Anna", email="anna.lindqvist@example.com")
    Claim.objects.create(contact=ours.contact, kind="email", value="claimed@example.com")
    Conversation.objects.filter(pk=ours.pk).update(team=mine, was_moved=True)
    for words in ("indqvist", "laimed"):
        assert found(as_alice, words) == ["Anna"], words
