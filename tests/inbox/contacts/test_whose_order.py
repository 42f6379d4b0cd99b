"""Who owns an order and who may act on it, rule by rule, without a shop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory
from django.utils import timezone

from core.email_and_phone import normal_phone
from inbox import access
from inbox.contacts import (
    identities,
    matching,
    proven_addresses,
)
from inbox.contacts.identities import OrderKeys
from inbox.models import (
    Channel,
    Claim,
    Contact,
    Conversation,
    Identity,
    IdentityKind,
    Message,
    MessageKind,
)
from inbox.normalization import email as normal_email
from orders import policies
from orders.errors import Refusal
from orders.models import Customer, Order, Store
from orders.panels import FoundOrders

pytestmark = pytest.mark.django_db
JANE, JANINE = "gid://shopify/Customer/7", "gid://shopify/Customer/8"
EMAIL, PHONE = "jane@example.com", "+4915112345678"


def code_of(refusal: Refusal | None) -> str | None:
    return refusal.code if refusal else None


@pytest.fixture
def here() -> Store:
    return Store.objects.create(domain="demo.myshopify.com", name="Demo")


@pytest.fixture
def there() -> Store:
    return Store.objects.create(domain="second.myshopify.com", name="Second")


def order_of(store: Store, customer: str = "", email: str = "", phone: str = "") -> Order:
    number = Order.objects.count() + 1
    return Order.objects.create(
        store=store,
        gid=f"gid://shopify/Order/{number}",
        legacy_id=number,
        document="{}",
        customer_gid=customer,
        email=email,
        phone=phone,
        placed_at=timezone.now(),
    )


def customer_of(store: Store, gid: str, email: str = "", phone: str = "", **more: Any) -> Customer:
    return Customer.objects.create(store=store, gid=gid, email=email, phone=phone, **more)


def contact_with(*addresses: str) -> Contact:
    contact = Contact.objects.create(name="Jane")
    for value in addresses:
        add(contact, value)
    return contact


def add(contact: Contact, value: str) -> Identity:
    kind = IdentityKind.PHONE if value.startswith("+") else IdentityKind.EMAIL
    if "gid://" in value:
        kind = IdentityKind.SHOPIFY_CUSTOMER
    return Identity.objects.create(contact=contact, kind=kind, value=value)


def remove(contact: Contact, value: str) -> None:
    Identity.objects.filter(contact=contact, value=value).update(removed_at=timezone.now())


def link(store: Store, gid: str) -> str:
    return identities.customer_value(store.pk, gid)


def conversation_of(contact: Contact, assignee: User | None = None) -> Conversation:
    channel = Channel.objects.get_or_create(name="Messenger", defaults={"proves_addresses": True})[
        0
    ]
    return Conversation.objects.create(
        contact=contact,
        channel=channel,
        assignee=assignee,
        external_id=f"c-{Conversation.objects.count()}",
    )


# --- whose order


@pytest.mark.parametrize("how", ["customer", "email", "phone"])
def test_a_removed_address_owns_no_orders(how: str, here: Store, alice: User) -> None:
    value = {"customer": link(here, JANE), "email": EMAIL, "phone": PHONE}[how]
    order = order_of(here, JANE, EMAIL, PHONE)
    contact = contact_with(value)
    conversation_of(contact, alice)
    assert identities.contacts_of(order) == [contact.pk]
    assert access.acting_refusal_for_order(alice, order) is None
    assert access.money_refusal_for_order(alice, order) is None
    remove(contact, value)
    assert identities.contacts_of(order) == []
    for refusal in (access.acting_refusal_for_order, access.money_refusal_for_order):
        assert code_of(refusal(alice, order)) == "not_assigned"


def test_a_value_counts_only_as_what_it_is(here: Store) -> None:
    """An email address typed where a phone number belongs matches no customer."""
    order = order_of(here, JANE, EMAIL, PHONE)
    contact = Contact.objects.create(name="Odd")
    for kind, value in ((IdentityKind.PHONE, EMAIL), (IdentityKind.EMAIL, PHONE)):
        Identity.objects.create(contact=contact, kind=kind, value=value)
    assert identities.contacts_of(order) == []
    assert identities.contacts_of_many([order.pk]) == []
    assert identities.contacts_of_customer(customer_of(here, JANE, EMAIL, PHONE)) == []
    assert identities.holder(email=EMAIL, phone=PHONE) is None


def test_an_order_without_an_address_belongs_to_no_contact(here: Store) -> None:
    contact_with(EMAIL, PHONE, link(here, JANE))
    order = order_of(here)
    assert identities.contacts_of(order) == []
    assert identities.contacts_of_many([order.pk]) == []


def test_a_link_without_a_customer_is_ignored(here: Store) -> None:
    contact_with(f"{here.pk}:gid://").identities.update(value=f"{here.pk}:")
    guest = order_of(here, "", EMAIL)
    owner = contact_with(EMAIL)
    assert identities.contacts_of(guest) == [owner.pk]
    assert identities.contacts_of_many([guest.pk]) == [owner.pk]
    assert code(owner, guest) is None


def test_an_order_without_an_address_queries_no_contacts(
    here: Store, django_assert_num_queries: Any
) -> None:
    order = order_of(here)
    with django_assert_num_queries(0):
        assert identities.contacts_of(order) == []


def test_who_is_linked_to_another_customer_of_the_store_does_not_own_it(
    here: Store, there: Store
) -> None:
    order = order_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL)
    assert identities.contacts_of(order) == [contact.pk]
    # A link at another store says nothing of this one.
    add(contact, link(there, JANINE))
    assert identities.contacts_of(order) == [contact.pk]
    add(contact, link(here, JANINE))
    assert identities.contacts_of(order) == []
    # A guest's order has no customer who could be another.
    assert identities.contacts_of(order_of(here, "", EMAIL)) == [contact.pk]
    add(contact, link(here, JANE))
    assert identities.contacts_of(order) == [contact.pk]


def test_a_removed_link_contradicts_nothing(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL, link(here, JANINE))
    assert identities.contacts_of(order) == []
    remove(contact, link(here, JANINE))
    assert identities.contacts_of(order) == [contact.pk]


def test_a_link_to_a_customer_that_was_merged_is_one_to_what_it_became(here: Store) -> None:
    customer_of(here, JANINE, deleted_at=timezone.now(), merged_into=JANE)
    order = order_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL, link(here, JANINE))
    assert identities.contacts_of(order) == [contact.pk]
    keys = identities.order_keys(contact)
    assert (here.pk, JANE) in keys.customer_gids
    assert list(identities.orders_by(keys)) == [order]
    customer_of(here, JANE, "other@example.com")
    (match,) = matching.matching_of(contact, order).matches
    assert match.identity is not None
    assert match.identity.value == link(here, JANINE)


def test_the_link_of_one_contact_says_nothing_of_the_others(here: Store) -> None:
    order = order_of(here, JANE, EMAIL, PHONE)
    wrong = contact_with(PHONE, link(here, JANINE))
    right = contact_with(EMAIL)
    assert identities.contacts_of(order) == [right.pk]
    assert wrong.pk not in identities.contacts_of(order)


def test_the_contacts_of_many_orders_and_of_a_customer(here: Store, there: Store) -> None:
    by_email, by_phone = contact_with(EMAIL), contact_with(PHONE)
    by_link = contact_with(link(here, JANE))
    gone = contact_with("gone@example.com")
    remove(gone, "gone@example.com")
    orders = [
        order_of(here, JANE),
        order_of(there, "", EMAIL),
        order_of(here, "", "", PHONE),
        order_of(here, "", "gone@example.com"),
    ]
    other = order_of(here, JANINE, "other@example.com")
    everybody = sorted([by_email.pk, by_phone.pk, by_link.pk])
    assert identities.contacts_of_many([order.pk for order in orders]) == everybody
    assert identities.contacts_of_many([other.pk]) == []
    customer = customer_of(here, JANE, EMAIL, PHONE)
    assert identities.contacts_of_customer(customer) == everybody
    assert identities.contacts_of_customer(customer_of(there, JANE)) == []
    assert identities.contacts_of_customer(customer_of(here, JANINE, "gone@example.com")) == []


def test_the_orders_of_a_contact_come_newest_first(here: Store) -> None:
    contact = contact_with(EMAIL, link(here, JANE))
    older, newer = order_of(here, JANE), order_of(here, JANE)
    Order.objects.filter(pk=older.pk).update(placed_at=timezone.now())
    order_of(here, JANINE)
    assert list(identities.orders_of(contact)) == [older, newer]
    Order.objects.filter(pk=newer.pk).update(deleted_at=timezone.now())
    assert list(identities.orders_of(contact)) == [older]


def test_keys_are_sorted_by_their_kind(here: Store) -> None:
    contact = contact_with(EMAIL, PHONE, link(here, JANE), "old@example.com")
    remove(contact, "old@example.com")
    keys = identities.order_keys(contact)
    assert keys == OrderKeys([(here.pk, JANE)], [EMAIL], [PHONE])
    assert keys.as_kwargs() == {
        "customer_gids": [(here.pk, JANE)],
        "emails": [EMAIL],
        "phones": [PHONE],
    }
    active = identities.active_of(Identity.objects.all())
    assert {i.value for i in active} == {EMAIL, PHONE, link(here, JANE)}
    assert identities.customer_key(link(here, JANE)) == (here.pk, JANE)


# --- addresses


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        (" Jane@Example.COM ", EMAIL),
        ("jane", ""),
        ("", ""),
        ("a b@example.com", ""),
    ],
)
def test_an_email_address_is_normalized(typed: str, normal: str) -> None:
    assert normal_email(typed) == normal


def test_an_email_address_fits_its_column() -> None:
    def of_length(length: int) -> str:
        domain = f"{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * (length - 248)}.com"
        return f"{'a' * 60}@{domain}"

    assert normal_email(of_length(255)) == of_length(255)
    assert normal_email(of_length(256)) == ""


@pytest.mark.parametrize(
    ("typed", "region", "normal"),
    [
        ("+49 151 1234 5678", "", PHONE),
        ("0151 12345678", "DE", PHONE),
        ("0151 12345678", "", ""),
        ("+49 1", "", ""),
        ("+1 555", "", ""),
        ("call me", "DE", ""),
        ("", "", ""),
        ("+4915112345678", "US", PHONE),
    ],
)
def test_a_phone_number_is_normalized(typed: str, region: str, normal: str) -> None:
    assert normal_phone(typed, region) == normal


def test_the_holder_of_an_address() -> None:
    assert identities.holder(email=EMAIL, phone=PHONE) is None
    by_phone = contact_with(PHONE)
    assert identities.holder(email="", phone=PHONE) == by_phone
    assert identities.holder(email=EMAIL, phone=PHONE) == by_phone
    by_email = contact_with(EMAIL)
    assert identities.holder(email=EMAIL, phone=PHONE) == by_email
    assert identities.holder(email=EMAIL, phone="") == by_email
    assert identities.holder(email="", phone="") is None


def test_a_shared_phone_number_identifies_no_one_for_certain() -> None:
    contact = contact_with(PHONE, "john@example.com")
    assert identities.holder(email=EMAIL, phone=PHONE) is None
    assert identities.holder(email="", phone=PHONE) == contact
    assert identities.holder(email="john@example.com", phone=PHONE) == contact
    remove(contact, "john@example.com")
    assert identities.holder(email=EMAIL, phone=PHONE) == contact
    remove(contact, PHONE)
    assert identities.holder(email="", phone=PHONE) is None


def test_the_customers_latest_words_are_read() -> None:
    contact = contact_with(EMAIL)
    first, second = conversation_of(contact), conversation_of(contact)
    stranger = conversation_of(contact_with(PHONE))
    began = timezone.now()

    def say(conversation: Conversation, text: str, minutes: int, kind: str = "inbound") -> None:
        Message.objects.create(
            conversation=conversation,
            channel=conversation.channel,
            kind=MessageKind(kind),
            text=text,
            created_at=began + timedelta(minutes=minutes),
        )

    for minute in range(6):
        say(first, f"w{minute}", minute)
    say(first, "note", 10, "note")
    say(second, "other", 3)
    say(stranger, "stranger", 9)
    assert identities.text_of(first) == "w5 w4 w3 w2 w1"
    assert set(identities.text_by(contact).split()) == {"w5", "w4", "w3", "other", "w2"}


# --- certain, or asked


def matched(contact: Contact, order: Order) -> matching.Matching:
    return matching.matching_of(contact, order)


def code(contact: Contact, order: Order) -> str | None:
    refusal = matched(contact, order).refusal(order)
    return refusal.code if refusal else None


def test_one_customer_is_certain_and_says_how(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    customer = customer_of(here, JANE, EMAIL, PHONE)
    contact = contact_with(PHONE)
    (match,) = matched(contact, order).matches
    assert (match.head.gid, match.how, match.is_by_agent) == (JANE, "Phone", False)
    add(contact, EMAIL)
    (match,) = matched(contact, order).matches
    assert match.how == "Email"
    add(contact, link(here, JANE))
    (match,) = matched(contact, order).matches
    assert match.is_by_agent
    assert code(contact, order) is None
    assert customer.pk == match.head.pk


def test_an_order_may_lead_to_a_customer_with_another_address(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    customer_of(here, JANE, "other@example.com")
    contact = contact_with(EMAIL)
    # A messenger's user may be called anything, even as a link begins.
    Identity.objects.create(contact=contact, kind=IdentityKind.CHANNEL_USER, value=f"{here.pk}:u-7")
    (match,) = matched(contact, order).matches
    assert (match.identity, match.how) == (None, "Email address on an order")
    assert not match.is_by_agent


def test_two_customers_are_a_question_and_refuse_money(here: Store, there: Store) -> None:
    order, other = order_of(here, JANE, EMAIL), order_of(here, JANINE, EMAIL)
    elsewhere = order_of(there, JANE, EMAIL)
    for store, gid in ((here, JANE), (here, JANINE), (there, JANE)):
        customer_of(store, gid, EMAIL, PHONE if gid == JANINE else "", name="Jane" * (gid == JANE))
    contact = contact_with(EMAIL)
    assert code(contact, order) == code(contact, other) == "ambiguous_customer"
    assert code(contact, elsewhere) is None
    found = matched(contact, order)
    (question,) = found.questions
    assert (question.store_id, question.store_name) == (here.pk, "Demo")
    assert question.can_be_all
    assert "More than one customer of Demo" in question.why
    first, second = question.candidates
    assert (first.value, first.name, first.is_taken) == (link(here, JANE), "Jane", False)
    assert first.hints == ("j•••@example.com",)
    assert second.hints == ("j•••@example.com", "+49 ••• 678")
    assert [match.head.store_id for match in found.matches] == [there.pk]
    add(contact, link(here, JANINE))
    assert code(contact, other) is None
    (match,) = [m for m in matched(contact, other).matches if m.head.store_id == here.pk]
    assert match.head.gid == JANINE


def test_a_customer_another_contact_is_linked_to_is_taken(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    customer_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL)
    other = contact_with(link(here, JANE))
    assert code(contact, order) == "ambiguous_customer"
    (question,) = matched(contact, order).questions
    assert [c.is_taken for c in question.candidates] == [True]
    assert not question.can_be_all
    assert "also belongs to another contact" in question.why
    remove(other, link(here, JANE))
    assert code(contact, order) is None


def test_not_all_of_two_customers_if_one_is_taken(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    order_of(here, JANINE, EMAIL)
    customer_of(here, JANE, EMAIL)
    customer_of(here, JANINE, EMAIL)
    contact = contact_with(EMAIL)
    contact_with(link(here, JANE))
    (question,) = matched(contact, order).questions
    assert sorted(c.is_taken for c in question.candidates) == [False, True]
    assert not question.can_be_all


def test_a_customer_known_by_its_address_alone_is_taken_as_well(here: Store) -> None:
    """It has no order in hand that would name it."""
    guest = order_of(here, "", EMAIL)
    customer_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL)
    assert code(contact, guest) is None
    contact_with(link(here, JANE))
    assert code(contact, guest) == "ambiguous_customer"
    (question,) = matched(contact, guest).questions
    assert question.candidates[0].is_taken


def test_a_contact_without_an_address_matches_no_customer(here: Store) -> None:
    contact = Contact.objects.create(name="No one")
    customer_of(here, JANE, EMAIL)
    contact_with(EMAIL)
    found = matching.match(contact, [], OrderKeys([], [], []))
    assert (found.matches, found.questions) == ((), ())


@pytest.mark.parametrize("foreign", [EMAIL, PHONE])
def test_an_address_of_another_contact_is_a_doubt(here: Store, foreign: str) -> None:
    mine = PHONE if foreign == EMAIL else EMAIL
    order = order_of(here, JANE, EMAIL, PHONE)
    customer_of(here, JANE, EMAIL, PHONE)
    contact, other = contact_with(mine), contact_with(foreign)
    assert code(contact, order) == "ambiguous_customer"
    # The customer the agent linked wins, even if others have the address.
    add(contact, link(here, JANE))
    assert code(contact, order) is None
    assert matched(contact, order).questions == ()
    remove(contact, link(here, JANE))
    remove(other, foreign)
    assert code(contact, order) is None


def test_an_order_that_bears_anothers_address_is_a_doubt_without_any_customer(
    here: Store,
) -> None:
    guest = order_of(here, "", EMAIL, PHONE)
    contact, other = contact_with(EMAIL), contact_with(PHONE)
    assert not matched(contact, guest).questions
    refusal = matched(contact, guest).refusal(guest)
    assert refusal
    assert refusal.code == "ambiguous_customer"
    assert "An address on this order" in refusal.reason
    remove(other, PHONE)
    assert code(contact, guest) is None


def test_both_of_two_linked_customers_may_be_the_contacts(here: Store) -> None:
    first, second = order_of(here, JANE, EMAIL), order_of(here, JANINE, EMAIL)
    for gid in (JANE, JANINE):
        customer_of(here, gid, EMAIL)
    contact = contact_with(EMAIL, link(here, JANE), link(here, JANINE))
    assert code(contact, first) is None
    assert code(contact, second) is None
    assert len(matched(contact, first).matches) == 2


def test_the_other_orders_customers_count_unless_all_are_in_hand(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    order_of(here, JANINE, EMAIL)
    customer_of(here, JANE, EMAIL)
    customer_of(here, JANINE, "other@example.com")
    contact = contact_with(EMAIL)
    assert code(contact, order) == "ambiguous_customer"
    active = list(contact.identities.active())
    keys = identities.keys_of(active)
    for found in (None, FoundOrders((order,), has_more=True)):
        assert matching.match(contact, active, keys, found).questions
    mine = FoundOrders((order,), has_more=False, is_all=True)
    assert not matching.match(contact, active, keys, mine).questions


def test_the_customers_of_orders_deleted_at_shopify_do_not_count(here: Store) -> None:
    order, other = order_of(here, JANE, EMAIL), order_of(here, JANINE, EMAIL)
    customer_of(here, JANE, EMAIL)
    customer_of(here, JANINE, "other@example.com")
    contact = contact_with(EMAIL)
    assert code(contact, order) == "ambiguous_customer"
    Order.objects.filter(pk=other.pk).update(deleted_at=timezone.now())
    assert code(contact, order) is None


def test_an_unknown_contact_is_matched_by_what_it_says(here: Store) -> None:
    order = order_of(here, JANE, EMAIL)
    customer_of(here, JANE, EMAIL)
    keys = OrderKeys([], [EMAIL], [])
    assert matching.match_order(None, [], keys, order).refusal(order) is None
    contact_with(EMAIL)
    assert matching.match_order(None, [], keys, order).refusal(order)


# --- the doors


def test_only_a_person_comes_through_a_door(alice: User) -> None:
    request = RequestFactory().get("/")
    request.user = alice
    assert access.agent_of(request) is alice
    request.user = AnonymousUser()
    with pytest.raises(PermissionDenied):
        access.agent_of(request)


def test_nothing_is_visible_without_logging_in(alice: User) -> None:
    contact = contact_with(EMAIL)
    conversation = conversation_of(contact)
    anonymous = AnonymousUser()
    assert list(access.conversations_for(alice)) == [conversation]
    assert access.get_conversation(alice, conversation.pk) == conversation
    assert access.get_contact(alice, contact.pk) == contact
    assert not access.conversations_for(anonymous).exists()
    for look, pk in ((access.get_conversation, conversation.pk), (access.get_contact, contact.pk)):
        with pytest.raises(Http404):
            look(anonymous, pk)
        with pytest.raises(Http404):
            look(alice, 0)


def test_who_may_act_in_a_conversation(alice: User, bob: User, sara: User) -> None:
    conversation = conversation_of(contact_with(EMAIL), alice)
    assert access.acting_refusal(alice, conversation) is None
    assert access.acting_refusal(sara, conversation) is None
    assert code_of(access.acting_refusal(bob, conversation)) == "not_assigned"
    unassigned = conversation_of(contact_with(PHONE))
    assert code_of(access.acting_refusal(alice, unassigned)) == "not_assigned"
    assert access.acting_refusal(sara, unassigned) is None
    # An unassigned conversation doesn't belong to an anonymous user.
    assert access.acting_refusal(AnonymousUser(), unassigned)


def test_who_may_act_on_an_order(here: Store, alice: User, bob: User, sara: User) -> None:
    order = order_of(here, JANE, EMAIL)
    contact = contact_with(EMAIL)
    customer_of(here, JANE, EMAIL)
    conversation_of(contact, alice)
    conversation_of(contact_with(PHONE), bob)
    assert access.acting_refusal_for_order(alice, order) is None
    assert access.acting_refusal_for_order(sara, order) is None
    assert code_of(access.acting_refusal_for_order(bob, order)) == "not_assigned"
    assert access.money_refusal_for_order(alice, order) is None
    assert access.money_refusal_for_order(sara, order) is None
    assert code_of(access.money_refusal_for_order(bob, order)) == "not_assigned"
    assert access.approving_refusal(order) is None


def test_money_moves_through_a_contact_of_ones_own_that_is_certain(
    here: Store, alice: User, bob: User, sara: User
) -> None:
    """The order bears an address of two contacts: one is linked to its customer, one is not."""
    order = order_of(here, JANE, EMAIL, PHONE)
    customer_of(here, JANE, EMAIL, PHONE)
    certain = contact_with(EMAIL, link(here, JANE))
    doubtful = contact_with(PHONE)
    conversation_of(certain, alice)
    conversation_of(doubtful, bob)
    assert identities.contacts_of(order) == sorted([certain.pk, doubtful.pk])
    assert access.money_refusal_for_order(alice, order) is None
    assert code_of(access.money_refusal_for_order(bob, order)) == "ambiguous_customer"
    # A supervisor acts through either, and an approval rests on either.
    assert access.money_refusal_for_order(sara, order) is None
    assert access.approving_refusal(order) is None
    remove(certain, link(here, JANE))
    for refusal in (
        access.money_refusal_for_order(alice, order),
        access.money_refusal_for_order(bob, order),
        access.money_refusal_for_order(sara, order),
        access.approving_refusal(order),
    ):
        assert refusal
        assert refusal.code == "ambiguous_customer"


def test_only_a_supervisor_acts_on_an_order_without_a_contact(
    here: Store, alice: User, sara: User
) -> None:
    order = order_of(here, JANE, EMAIL)
    assert code_of(access.money_refusal_for_order(alice, order)) == "not_assigned"
    assert access.money_refusal_for_order(sara, order) is None
    assert access.approving_refusal(order) is None


def test_whether_a_senders_address_is_verified(here: Store, alice: User) -> None:
    """What policies ask about: proven, doubtful, or no one who wrote."""
    order = order_of(here, JANE, EMAIL)
    assert access.is_sender_verified(order) is None
    assert access.is_sender_verified in policies.SENDER_LOOKUPS
    stranger = contact_with(PHONE)
    conversation_of(stranger, alice)
    claim = Claim.objects.create(contact=stranger, kind=IdentityKind.EMAIL, value=EMAIL)
    assert access.is_sender_verified(order) is False
    conversation_of(contact_with(EMAIL), alice)
    customer_of(here, JANE, EMAIL)
    assert access.is_sender_verified(order) is False, "someone else claims the address"
    claim.delete()
    assert access.is_sender_verified(order) is True
    customer_of(here, JANINE, EMAIL)
    assert access.is_sender_verified(order) is False, "either customer may have written"


def test_blank_addresses_are_none_and_others_lose_their_spaces() -> None:
    found = proven_addresses.weigh(email="  ", phone=" ", verified=None, always=True)
    assert (found.proven, found.claimed, found.not_understood) == ((), (), ())
    found = proven_addresses.weigh(email=" nonsense ", phone=" 12 ", verified=None, always=True)
    assert [address.value for address in found.not_understood] == ["nonsense", "12"]
