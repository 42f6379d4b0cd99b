"""Who a sender is: a verified address identifies a contact, a claimed one only suggests one."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client

from core.email_and_phone import (
    email_key,
    normal_phone,
)
from inbox import normalization
from inbox.channels import keys
from inbox.contacts import identities
from inbox.models import Channel, Claim, Contact, Conversation, Identity, IdentityKind
from orders.models import AuditEntry, AuditKind, Store

pytestmark = pytest.mark.django_db
JANE = {"external_id": "u-1", "name": "Jane Doe", "email": "jane@example.com"}
NUMBER = "+4915112345678"
BOTH = "0208 4960123"


@pytest.fixture
def widget(db: None) -> Channel:
    """A channel whose visitors type any address they like."""
    return Channel.objects.create(name="Chat widget")


@pytest.fixture
def german(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", country="DE")


def push(channel: Channel, sender: dict[str, Any], *, talk: str = "c-9", **more: Any) -> Any:
    key = keys.new_key(channel)
    body = {
        "external_id": f"{talk}-{sender['external_id']}-{len(more)}",
        "conversation": talk,
        "sender": sender,
        "text": "Cancel my order #1043 and refund me",
    } | more
    return Client().post(
        f"/api/v1/channels/{channel.pk}/messages/",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )


def addresses(contact: Contact) -> set[str]:
    found = contact.identities.active().exclude(kind=IdentityKind.CHANNEL_USER)
    return set(found.values_list("value", flat=True))


def claims(contact: Contact) -> set[str]:
    return set(contact.claims.values_list("value", flat=True))


def contact_of(talk: str) -> Contact:
    return Conversation.objects.get(external_id=talk).contact


def test_a_stranger_with_a_customers_phone_is_a_contact_of_their_own(
    channel: Channel, widget: Channel
) -> None:
    """A sender who gives Jane's number gets nothing of hers."""
    push(channel, JANE | {"phone": NUMBER}, talk="jane")
    jane = contact_of("jane")
    assert addresses(jane) == {"jane@example.com", NUMBER}
    stranger = {
        "external_id": "u-7",
        "name": "Robin Vogt",
        "email": "robin@example.net",
        "phone": NUMBER,
    }
    assert push(widget, stranger, talk="robin").status_code == 201
    robin = contact_of("robin")
    assert (robin.pk != jane.pk, robin.name) == (True, "Robin Vogt")
    assert addresses(robin) == set()
    assert claims(robin) == {"robin@example.net", NUMBER}
    assert addresses(jane) == {"jane@example.com", NUMBER}
    assert identities.order_keys(robin).emails == []


@pytest.mark.parametrize(
    ("verified", "always", "proven"),
    [
        (None, False, set()),
        (["email"], False, {"jane@example.com"}),
        (["phone"], False, {NUMBER}),
        (["email", "phone"], False, {"jane@example.com", NUMBER}),
        (None, True, {"jane@example.com", NUMBER}),
        # Of this one it says that it has not.
        ([], True, set()),
        (["email"], True, {"jane@example.com"}),
    ],
)
def test_what_the_channel_has_proven_is_what_it_says(
    widget: Channel, verified: Any, always: bool, proven: set[str]
) -> None:
    Channel.objects.filter(pk=widget.pk).update(proves_addresses=always)
    said = {} if verified is None else {"verified": verified}
    assert push(widget, JANE | {"phone": NUMBER} | said).status_code == 201
    contact = contact_of("c-9")
    assert addresses(contact) == proven
    assert claims(contact) == {"jane@example.com", NUMBER} - proven


@pytest.mark.parametrize("verified", ["email", ["name"], [1], {"email": True}, None])
def test_nonsense_proves_nothing(widget: Channel, verified: Any) -> None:
    answer = push(widget, JANE | {"verified": verified})
    assert answer.status_code == 400
    assert not Identity.objects.exists()


def test_a_claim_that_is_proven_later_becomes_an_identity(widget: Channel) -> None:
    push(widget, JANE)
    assert claims(contact_of("c-9")) == {"jane@example.com"}
    push(widget, JANE | {"verified": ["email"]}, text="Logged in now")
    assert addresses(contact_of("c-9")) == {"jane@example.com"}
    assert not Claim.objects.exists()


def test_a_visitor_who_logs_in_is_the_contact_who_has_that_address(
    channel: Channel, widget: Channel
) -> None:
    push(channel, JANE, talk="jane")
    visitor = {"external_id": "v-1", "name": "Visitor"}
    push(widget, visitor, talk="chat")
    assert contact_of("chat") != contact_of("jane")
    push(
        widget,
        visitor | {"email": "jane@example.com", "verified": ["email"]},
        talk="chat",
        text="It is me",
    )
    assert contact_of("chat") == contact_of("jane")
    push(widget, visitor, talk="chat-2")
    assert contact_of("chat-2") == contact_of("jane")


def test_a_participant_adds_no_address_to_the_contact(channel: Channel) -> None:
    push(channel, JANE, talk="group")
    eve = {"external_id": "u-66", "name": "Eve", "email": "eve@example.com"}
    push(channel, eve, talk="group")
    jane = contact_of("group")
    assert (jane.name, addresses(jane)) == ("Jane Doe", {"jane@example.com"})
    # It is the address of a contact of her own.
    assert Identity.objects.get(value="eve@example.com").contact.name == "Eve"


@pytest.mark.parametrize("given", ["eve@example.com", "EVE@example.com"])
def test_a_shared_phone_does_not_make_two_people_one(channel: Channel, given: str) -> None:
    push(channel, JANE | {"phone": NUMBER}, talk="jane")
    push(
        channel,
        {
            "external_id": "u-2",
            "name": "Eve",
            "email": given,
            "phone": NUMBER,
            "verified": ["phone"],
        },
        talk="eve",
    )
    eve = contact_of("eve")
    assert eve != contact_of("jane")
    assert addresses(eve) == set()
    assert claims(eve) == {"eve@example.com", NUMBER}


@pytest.mark.parametrize(
    "typed",
    [
        "0151/12345678",
        "0049 151 12345678",
        "015112345678",
        "+49 (0) 151 12345678",
        "0151 - 123 456 78",
        "tel:+4915112345678",
        "٠١٥١١٢٣٤٥٦٧٨",
    ],
)
def test_a_number_as_it_is_dialed_in_the_stores_country_is_read(
    channel: Channel, german: Store, typed: str
) -> None:
    """A national phone number is read with the store's country."""
    push(channel, JANE | {"phone": NUMBER}, talk="jane")
    answer = push(channel, {"external_id": "u-2", "phone": typed}, talk="again")
    assert answer.json()["not_understood"] == {}
    assert contact_of("again") == contact_of("jane")


def test_a_number_that_is_not_understood_is_said_and_kept(
    channel: Channel, german: Store, as_alice: Client, alice: User
) -> None:
    """The answer explains it, and the value is kept as a claim."""
    sender = {"external_id": "u-2", "name": "Tom", "phone": "ext. 12", "email": "no address"}
    answers = [push(channel, sender) for _again in range(2)]
    assert [a.status_code for a in answers] == [201, 200]
    for answer in answers:
        said = answer.json()["not_understood"]
        assert set(said) == {"email", "phone"}
        assert "+49 151 12345678" in said["phone"]
    contact = contact_of("c-9")
    assert {c.value: c.is_understood for c in contact.claims.all()} == {
        "ext. 12": False,
        "no address": False,
    }


def test_a_phone_number_that_two_countries_read_differently_is_not_guessed(german: Store) -> None:
    assert normalization.phone("0151 12345678") == NUMBER
    Store.objects.create(domain="second.myshopify.com", country="GB")
    assert normalization.phone("0151 12345678") == NUMBER
    # London, and Oberhausen.
    assert normalization.phone(BOTH) == ""
    assert normalization.phone("0044 151 496 0123") == "+441514960123"


def test_without_a_stores_country_only_international_numbers_are_read(db: None) -> None:
    assert normalization.phone("0151 12345678") == ""
    assert normalization.phone("0049 151 12345678") == NUMBER


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("O'Brien@Example.ie", "o'brien@example.ie", True),
        ("jane+shop@example.com", "jane@example.com", False),
        ("jane@xn--exmple-cua.de", "Jane@Exämple.de", True),
        ("jane@XN--EXMPLE-CUA.de", "jane@exämple.de", True),
    ],
)
def test_two_spellings_of_one_address(one: str, other: str, are_one: bool) -> None:
    """Apostrophes, plus addressing and international domains are supported."""
    first, second = normalization.email(one), normalization.email(other)
    assert first
    assert second
    assert (first == second) is are_one
    assert email_key(one) == first


def test_a_region_is_only_asked_where_there_is_no_country() -> None:
    assert normal_phone("0151/12345678", "DE") == NUMBER
    assert normal_phone("+4915112345678", "US") == NUMBER
    assert normal_phone("0151/12345678") == ""


def test_what_channels_told_before_they_could_prove_it_becomes_a_claim(
    channel: Channel, alice: User
) -> None:
    """Migration 0009: orders don't stay attached to unproven addresses."""
    migration: Any = import_module("inbox.migrations.0009_senders")
    jane = Contact.objects.create(name="Jane")
    for kind, value, source, by in (
        ("email", "jane@example.com", channel.name, None),
        ("phone", NUMBER, channel.name, None),
        ("channel_user", f"{channel.pk}:u-1", channel.name, None),
        ("email", "typed@example.com", "agent", alice),
        ("email", "admin@example.com", "", None),
        ("shopify_customer", "1:gid://shopify/Customer/1", "agent", alice),
    ):
        Identity.objects.create(contact=jane, kind=kind, value=value, source=source, added_by=by)
    migration.make_claims(apps, None)
    assert claims(jane) == {"jane@example.com", NUMBER}
    assert addresses(jane) == {
        "typed@example.com",
        "admin@example.com",
        "1:gid://shopify/Customer/1",
    }
    # With her next message a channel that proves them gives them back.
    push(channel, JANE | {"phone": NUMBER}, talk="again")
    assert contact_of("again") == jane
    assert {"jane@example.com", NUMBER} <= addresses(jane)
    assert claims(jane) == set()


def test_a_stranger_cannot_fill_a_contacts_page(widget: Channel) -> None:
    for number in range(30):
        push(
            widget,
            {"external_id": "u-1", "email": f"a{number}@example.com"},
            external_id=f"m-{number}",
        )
    assert Claim.objects.count() == 10


def test_a_change_of_what_a_channel_proves_is_in_the_audit_log(
    widget: Channel, admin_client: Client
) -> None:
    page = f"/admin/inbox/channel/{widget.pk}/change/"
    form = {
        "name": widget.name,
        "kind": "api",
        "is_active": "on",
        "callback_url": "",
        "proves_addresses": "on",
    }
    assert admin_client.post(page, form).status_code == 302
    entry = AuditEntry.objects.filter(kind=AuditKind.PERMISSIONS).latest("pk")
    assert entry.detail == {"channel": widget.pk, "proves_addresses": True}


def test_conversations_are_found_by_a_claimed_address_too(
    widget: Channel, as_alice: Client
) -> None:
    push(widget, JANE | {"name": "Robin"})
    page = as_alice.get("/inbox/", {"q": "jane@example.com"}).content.decode()
    assert "Robin" in page
