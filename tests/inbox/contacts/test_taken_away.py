"""“Wrong person?” and “Not this person” hold until a person reverses them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from inbox import access
from inbox.contacts import address_edits, identities, matching, proven_addresses
from inbox.contacts.suggested_addresses import Suggestion
from inbox.models import Channel, Claim, Contact, Conversation, Identity, IdentityKind, Participant
from inbox.panel.contexts import BesideConversation
from inbox.visibility import EVERYTHING
from orders.models import Customer, Order, Store
from orders.snapshot import encode
from tests.inbox.conversations.test_senders import JANE, claims, contact_of, push
from tests.inbox.conversations.test_senders import addresses as values
from tests.support.orders import snapshots

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = "+4915112345678"
GID = "gid://shopify/Customer/7"


@pytest.fixture
def here(db: None) -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")


@pytest.fixture
def widget(db: None) -> Channel:
    return Channel.objects.create(name="Chat widget")


def order_of(store: Store, *, email: str = "", phone: str = "", gid: str = "") -> Order:
    number = Order.objects.count() + 1
    found = snapshots.order(email=email)
    return Order.objects.create(
        store=store,
        gid=f"gid://shopify/Order/{number}",
        legacy_id=number,
        name=f"#{number}",
        email=email,
        phone=phone,
        customer_gid=gid,
        currency="EUR",
        document=encode(found),
    )


def take(contact: Contact, value: str, by: User) -> Identity:
    found = contact.identities.active().get(value=value)
    address_edits.remove_identity(identity=found, by=by)
    found.refresh_from_db()
    return found


def again(channel: Channel, *, sender: dict[str, Any] = JANE, talk: str = "c-9") -> None:
    number = Conversation.objects.count() + sum(
        c.messages.count() for c in Conversation.objects.all()
    )
    answer = push(channel, sender, talk=talk, external_id=f"n-{number}", text="And?")
    assert answer.status_code == 201


def test_the_next_message_does_not_bring_it_back(
    channel: Channel, here: Store, alice: User
) -> None:
    order = order_of(here, email="jane@example.com")
    push(channel, JANE)
    jane = contact_of("c-9")
    Conversation.objects.update(assignee=alice)
    assert access.money_refusal_for_order(alice, order) is None
    gone = take(jane, "jane@example.com", alice)
    for talk in ("c-9", "c-10"):
        again(channel, talk=talk)
    assert contact_of("c-10") == jane
    assert values(jane) == claims(jane) == set()
    assert (
        not BesideConversation(Conversation.objects.get(external_id="c-9"), EVERYTHING)
        .orders()
        .exists()
    )
    assert access.money_refusal_for_order(alice, order) is not None
    # By a person it does.
    address_edits.restore_identity(identity=gone, by=alice)
    again(channel)
    assert access.money_refusal_for_order(alice, order) is None


def test_a_removed_address_does_not_return_as_an_unproven_claim(
    channel: Channel, widget: Channel, alice: User
) -> None:
    push(channel, JANE)
    jane = contact_of("c-9")
    take(jane, "jane@example.com", alice)
    proven_addresses.learn(
        jane,
        proven_addresses.Addresses(
            claimed=(proven_addresses.Address("email", "jane@example.com"),)
        ),
        source="x",
    )
    assert not Claim.objects.exists()


def test_a_removed_address_does_not_return_through_the_contact_who_proves_it(
    channel: Channel, alice: User
) -> None:
    """The way round: the address goes to its owner, and the conversation must not follow it."""
    push(channel, JANE)
    jane = contact_of("c-9")
    take(jane, "jane@example.com", alice)
    push(channel, JANE | {"external_id": "u-7"}, talk="owner")
    owner = contact_of("owner")
    assert owner != jane
    assert values(owner) == {"jane@example.com"}
    again(channel)
    assert contact_of("c-9") == jane
    assert Participant.objects.get(conversation__external_id="c-9").contact == jane
    assert values(jane) == set()


def test_a_removed_address_does_not_return_through_another_address(
    channel: Channel, alice: User
) -> None:
    """A household's number: a sender who gives the removed address is another person."""
    push(channel, JANE | {"phone": NUMBER})
    jane = contact_of("c-9")
    take(jane, "jane@example.com", alice)
    push(channel, JANE | {"external_id": "u-7", "phone": NUMBER}, talk="other")
    assert contact_of("other") != jane
    assert values(contact_of("other")) == {"jane@example.com"}
    assert claims(contact_of("other")) == {NUMBER}


def test_a_removed_channel_user_becomes_a_new_contact(channel: Channel, alice: User) -> None:
    push(channel, JANE)
    jane = contact_of("c-9")
    take(jane, f"{channel.pk}:u-1", alice)
    for talk in ("c-9", "c-10"):
        again(channel, talk=talk)
    assert contact_of("c-9") == jane
    other = contact_of("c-10")
    assert other != jane
    assert Participant.objects.get(conversation__external_id="c-9").contact == other
    assert values(jane) == {"jane@example.com"}


def test_what_was_set_aside_stays_aside_when_it_is_proven(
    channel: Channel, widget: Channel, alice: User
) -> None:
    push(widget, {"external_id": "v-1", "name": "Visitor"})
    visitor = contact_of("c-9")
    address_edits.set_aside(
        contact=visitor,
        kind=IdentityKind.EMAIL,
        value="jane@example.com",
        evidence="order #1",
        by=alice,
    )
    again(widget, sender={"external_id": "v-1", "email": "jane@example.com", "verified": ["email"]})
    assert values(visitor) == claims(visitor) == set()
    # Nor does the conversation go to the contact who has it.
    push(channel, JANE, talk="jane")
    again(widget, sender={"external_id": "v-1", "email": "jane@example.com", "verified": ["email"]})
    assert contact_of("c-9") == visitor


def suggested(talk: str, agent: User) -> list[Suggestion]:
    from django.utils import timezone

    from inbox.contacts import profile

    contact = contact_of(talk)
    found = profile.person_of(
        contact,
        known=list(contact.identities.all()),
        text=profile.all_text(contact, agent=agent),
        agent=agent,
        now=timezone.now(),
    )
    return list(found.suggestions)


@pytest.mark.parametrize("what", ["customer", "email"])
def test_a_person_who_was_set_aside_is_not_suggested_by_another_name(
    widget: Channel, here: Store, alice: User, what: str
) -> None:
    """The customer, a guest order with the same address, an order named in the text."""
    Customer.objects.create(store=here, gid=GID, email="jane@example.com", name="Jane")
    order_of(here, email="jane@example.com")
    named = order_of(here, email="jane@example.com", gid=GID)
    push(widget, JANE, text=f"Refund order {named.name[1:]}000 and 1043")
    Order.objects.filter(pk=named.pk).update(name="#1043", name_key="1043")
    assert suggested("c-9", alice)
    contact = contact_of("c-9")
    kind, value = IdentityKind.EMAIL, "jane@example.com"
    if what == "customer":
        kind, value = IdentityKind.SHOPIFY_CUSTOMER, f"{here.pk}:{GID}"
    address_edits.set_aside(contact=contact, kind=kind, value=value, evidence="", by=alice)
    again(widget)
    left = suggested("c-9", alice)
    if what == "email":
        assert left == []
    assert (kind, value) not in {s.key for s in left}
    assert not any(s.kind == IdentityKind.SHOPIFY_CUSTOMER for s in left)


def test_a_merge_does_not_bring_a_customer_back(channel: Channel, here: Store, alice: User) -> None:
    push(channel, {"external_id": "u-1", "name": "Jane"})
    jane = contact_of("c-9")
    old, new = f"{GID}1", f"{GID}2"
    order = order_of(here, gid=new)
    address_edits.link_customers(contact=jane, customers=[(here.pk, old), (here.pk, new)], by=alice)
    take(jane, f"{here.pk}:{new}", alice)
    from django.utils import timezone

    Customer.objects.create(store=here, gid=old, deleted_at=timezone.now(), merged_into=new)
    Customer.objects.create(store=here, gid=new, name="Janine")
    assert identities.order_keys(jane).customer_gids == [(here.pk, old)]
    assert order not in identities.orders_of(jane)
    # Negative control: of another contact, the merge leads there.
    tom = Contact.objects.create(name="Tom")
    take(jane, f"{here.pk}:{old}", alice)
    address_edits.link_customers(contact=tom, customers=[(here.pk, old)], by=alice)
    assert order in identities.orders_of(tom)


@pytest.mark.parametrize("has_row", [True, False])
def test_an_address_does_not_lead_to_a_customer_who_was_taken_away(
    channel: Channel, here: Store, alice: User, has_row: bool
) -> None:
    push(channel, JANE)
    jane = contact_of("c-9")
    order = order_of(here, email="jane@example.com", gid=GID)
    if has_row:
        Customer.objects.create(store=here, gid=GID, email="jane@example.com", name="Janine")
    assert matching.matching_of(jane, order).refusal(order) is None
    address_edits.link_customers(contact=jane, customers=[(here.pk, GID)], by=alice)
    link = take(jane, f"{here.pk}:{GID}", alice)
    refused = matching.matching_of(jane, order)
    refusal = refused.refusal(order)
    assert refusal is not None
    assert refusal.code == "ambiguous_customer"
    assert len(refused.questions) == int(has_row)
    address_edits.restore_identity(identity=link, by=alice)
    assert matching.matching_of(jane, order).refusal(order) is None


def test_an_order_with_an_address_that_was_taken_away_is_not_certain(
    channel: Channel, here: Store, alice: User
) -> None:
    push(channel, JANE | {"phone": NUMBER})
    jane = contact_of("c-9")
    order = order_of(here, email="jane@example.com", phone=NUMBER)
    take(jane, "jane@example.com", alice)
    assert order in identities.orders_of(jane)
    refusal = matching.matching_of(jane, order).refusal(order)
    assert refusal is not None
    assert "was removed from this contact" in str(refusal.reason)


def test_of_two_answers_to_one_suggestion_the_first_one_counts(
    widget: Channel, here: Store, alice: User, sara: User
) -> None:
    """Both agents' pages still showed it."""
    Customer.objects.create(store=here, gid=GID, email="jane@example.com", name="Jane")
    order_of(here, email="jane@example.com", gid=GID)
    push(widget, JANE, text="Hello")
    contact = contact_of("c-9")
    found = suggested("c-9", sara)[0]
    words: dict[str, Any] = {"kind": found.kind, "value": found.value, "evidence": found.evidence}
    aside = address_edits.set_aside(contact=contact, by=alice, **words)
    assert aside is not None
    with pytest.raises(address_edits.IdentityRefused, match="was removed from this contact"):
        address_edits.accept_suggestion(contact=contact, found=found, by=sara)
    assert address_edits.set_aside(contact=contact, by=sara, **words) == aside
    # And the other way round.
    address_edits.restore_identity(identity=aside, by=alice)
    made = address_edits.accept_suggestion(contact=contact, found=found, by=sara)
    assert address_edits.set_aside(contact=contact, by=alice, **words) is None
    left = contact.identities.filter(kind=found.kind, value=found.value)
    assert [row.pk for row in left] == [made.pk]
