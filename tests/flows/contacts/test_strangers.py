"""A sender who gives someone else's address gets nothing of theirs, by page or by API."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.contacts import address_edits
from inbox.conversations import services
from inbox.models import Channel, Contact, Conversation, Identity, IdentityKind
from orders.models import ActionState, AuditEntry, AuditKind, Customer, Order, OrderAction, Policy
from orders.models import Store as OurStore
from tests.conftest import logged_in, message_time
from tests.flows.contacts.test_which_customer import api, arrive
from tests.flows.test_main_job import confirm, panel, review
from tests.support.orders.acting import perform
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = "+4915112345678"


@pytest.fixture
def order(shop: Shop, store: OurStore) -> Order:
    """Jane's, whose number Shopify knows. She has not written."""
    shop.place()
    arrive(shop)
    Customer.objects.update(phone=NUMBER, name="Jane Doe")
    return Order.objects.select_related("store").get()


def write(name: str, *, talk: str, channel: Channel | None = None, **sender: Any) -> Conversation:
    channel = channel or Channel.objects.get_or_create(name="Chat widget")[0]
    number = channel.messages.count()
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"{talk}-{number}",
        conversation_id=talk,
        sender=services.Sender(external_id=f"u-{talk}", name=name, **sender),
        text="cancel my order #1001 and refund me",
        sent_at=message_time(),
    )
    return Conversation.objects.get(pk=message.conversation_id)


@pytest.fixture
def stranger(order: Order, alice: User) -> Conversation:
    """Robin, with Jane's number, in a channel that proves nothing; alice has the conversation."""
    talk = write("Robin Vogt", talk="robin", email="robin@example.net", phone=NUMBER)
    services.assign(conversation=talk, to=alice)
    return talk


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def accept(client: Client, talk: Conversation, order: Order) -> Any:
    value = f"{order.store_id}:{order.customer_gid}"
    return client.post(
        f"/inbox/contacts/{talk.contact_id}/suggestions/accept/",
        {"kind": "shopify_customer", "value": value, "conversation": talk.pk},
        follow=True,
    )


def test_a_stranger_gets_nothing_of_the_customer_whose_number_they_give(
    order: Order, stranger: Conversation, as_alice: Client, alice: User, sara: User
) -> None:
    """They appear under their own name, with a suggestion, and with no way to her orders."""
    at = f"/inbox/conversations/{stranger.pk}/"
    whole = text_of(as_alice.get(at))
    assert "Robin Vogt" in whole
    shown = unescape(panel(as_alice, stranger))
    assert "gave the phone number of Jane Doe, unverified" in shown
    assert "No verified address" in shown
    assert order.name not in shown.replace("order #1001", "")
    assert "Only a supervisor can confirm it." in shown
    for client in (as_alice, logged_in(sara)):
        for door in ("", "cancel/", "refund/"):
            assert client.get(f"{at}orders/{order.pk}/{door}").status_code == 404
        for door in ("cancel/", "refund/", "confirm/"):
            assert client.post(f"{at}orders/{order.pk}/{door}").status_code == 404
    for kind in ("cancel", "refund"):
        assert api(alice, order, kind).json()["reason_code"] == "not_assigned"
    assert not OrderAction.objects.exists()
    assert not Identity.objects.exclude(kind=IdentityKind.CHANNEL_USER).exists()


def test_proven_the_same_number_opens_the_same_doors(
    order: Order, as_alice: Client, alice: User
) -> None:
    """Negative control of the test above."""
    talk = write("Jane", talk="jane", phone=NUMBER, verified=("phone",))
    services.assign(conversation=talk, to=alice)
    at = f"/inbox/conversations/{talk.pk}/orders/{order.pk}/refund/"
    Order.objects.update(phone=NUMBER)
    assert as_alice.get(at).status_code == 200
    assert api(alice, order).status_code == 200


def test_an_agent_cannot_confirm_a_claim_by_any_door(
    order: Order, stranger: Conversation, as_alice: Client
) -> None:
    assert "Only a supervisor can confirm" in text_of(accept(as_alice, stranger, order))
    page = f"/inbox/contacts/{stranger.contact_id}/"
    said = text_of(as_alice.post(f"{page}identities/", {"value": "jane@example.com"}, follow=True))
    assert "added as unverified" in said
    assert not Identity.objects.exclude(kind=IdentityKind.CHANNEL_USER).exists()
    values = set(stranger.contact.claims.values_list("value", flat=True))
    assert values == {"robin@example.net", NUMBER, "jane@example.com"}


def test_a_supervisor_confirms_it_against_the_rule_and_it_is_logged(
    order: Order, stranger: Conversation, as_alice: Client, alice: User, sara: User
) -> None:
    as_sara = logged_in(sara)
    assert "Confirm without proof" in unescape(panel(as_sara, stranger))
    accept(as_sara, stranger, order)
    link = Identity.objects.get(kind=IdentityKind.SHOPIFY_CUSTOMER)
    assert (link.contact, link.added_by) == (stranger.contact, sara)
    assert "confirmed by a supervisor" in link.source
    entry = AuditEntry.objects.get(kind=AuditKind.IDENTITY)
    assert (entry.actor, entry.store_id) == ("sara", order.store_id)
    assert entry.detail["contact"] == stranger.contact_id
    assert NUMBER not in json.dumps(entry.detail)
    assert api(alice, order).status_code == 200
    assert review(as_alice, stranger, order, "refund", reason="other", amount="5.00")


def test_a_customer_who_is_another_contact_cannot_be_given_away(
    order: Order, stranger: Conversation, channel: Channel, as_alice: Client, sara: User
) -> None:
    jane = write("Jane Doe", talk="jane", channel=channel, email="jane@example.com")
    shown = unescape(panel(as_alice, stranger))
    assert "This customer is a different contact." in shown
    assert f"/inbox/contacts/{jane.contact_id}/" in shown
    accept(logged_in(sara), stranger, order)
    assert not Identity.objects.filter(kind=IdentityKind.SHOPIFY_CUSTOMER).exists()
    assert not AuditEntry.objects.filter(kind=AuditKind.IDENTITY).exists()
    # And her own conversation is as certain as it was.
    services.assign(conversation=jane, to=User.objects.get(username="alice"))
    assert api(User.objects.get(username="alice"), order).status_code == 200


def test_a_claim_of_another_does_not_make_the_customers_own_contact_uncertain(
    order: Order, conversation: Conversation, stranger: Conversation, alice: User
) -> None:
    assert api(alice, order).status_code == 200


def test_what_was_proven_when_requested_is_checked_again_before_sending(
    order: Order,
    conversation: Conversation,
    as_alice: Client,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.support.orders.acting import without_wake_ups

    without_wake_ups(monkeypatch)
    token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
    assert confirm(as_alice, conversation, order, token) == 200
    for identity in Identity.objects.exclude(kind=IdentityKind.CHANNEL_USER):
        address_edits.remove_identity(identity=identity, by=alice)
    action = perform(OrderAction.objects.get())
    assert action.state == ActionState.REJECTED
    assert "no longer confirmed" in action.message
    assert not action.maybe_applied


def test_what_was_proven_when_requested_is_checked_again_before_approval(
    order: Order, conversation: Conversation, as_alice: Client, alice: User, sara: User
) -> None:
    Policy.objects.create(role=sara.groups.get(), may_approve_up_to=100)
    Policy.objects.create(role=alice.groups.get(), refund_up_to=10)
    token = review(as_alice, conversation, order, "refund", reason="other", amount="15.00")
    assert confirm(as_alice, conversation, order, token) == 200
    Identity.objects.filter(value="jane@example.com").update(
        contact=Contact.objects.create(name="Another")
    )
    action = OrderAction.objects.get()
    logged_in(sara).post(f"/api/v1/actions/{action.pk}/approve/")
    action.refresh_from_db()
    assert action.state == ActionState.EXPIRED
    assert "no longer confirmed" in action.message


def test_a_guests_order_is_suggested_too_and_a_present_is_not_the_buyers(
    shop: Shop, store: OurStore, alice: User, as_alice: Client
) -> None:
    shop.place(email="guest@example.com")
    arrive(shop)
    Order.objects.update(customer_gid="")
    Customer.objects.all().delete()
    talk = write("Robin", talk="robin", email="guest@example.com")
    services.assign(conversation=talk, to=alice)
    shown = unescape(panel(as_alice, talk))
    assert "gave the email address on order #1001 at Demo, unverified" in shown


def test_not_this_person_is_remembered_of_a_claim(
    order: Order, stranger: Conversation, as_alice: Client
) -> None:
    value = f"{order.store_id}:{order.customer_gid}"
    as_alice.post(
        f"/inbox/contacts/{stranger.contact_id}/suggestions/set-aside/",
        {"kind": "shopify_customer", "value": value, "conversation": stranger.pk},
    )
    assert "gave the phone number" not in unescape(panel(as_alice, stranger))


@pytest.mark.parametrize(
    "email", ["o'brien@example.ie", "jane+shop@example.com", "jane@exämple.de"]
)
def test_look_in_shopify_asks_for_every_kind_of_address(
    shop: Shop, store: OurStore, as_alice: Client, channel: Channel, alice: User, email: str
) -> None:
    """The address is quoted for Shopify's search, and its order is found."""
    shop.place(email=email)
    shop.place(email="someone@example.com")
    shop.held.clear()
    talk = write("Jane", talk="jane", channel=channel, email=email)
    services.assign(conversation=talk, to=alice)
    as_alice.post(f"/inbox/conversations/{talk.pk}/orders/refresh/")
    assert [o.email for o in Order.objects.exclude(document="")] == [email]
    assert "#1001" in unescape(panel(as_alice, talk))


def test_an_order_without_a_contact_is_found_by_number_and_refunded_by_a_supervisor(
    shop: Shop, store: OurStore, alice: User, sara: User
) -> None:
    """A POS order has no customer, email, phone or address."""
    shop.place(email=None)
    arrive(shop)
    order = Order.objects.select_related("store").get()
    assert (order.email, order.phone, order.customer_gid) == ("", "", "")
    for user, code in ((alice, 403), (sara, 200)):
        client = logged_in(user)
        found = client.get("/api/v1/orders/", {"q": order.name}).json()["results"]
        assert [row["id"] for row in found] == [order.pk]
        body = {"kind": "refund", "reason": "other", "amount": "5.00"}
        answer = client.post(
            f"/api/v1/orders/{order.pk}/previews/", body, content_type="application/json"
        )
        assert answer.status_code == code
    assert order.name in text_of(logged_in(sara).get("/inbox/orders/", {"q": order.name}))


@pytest.mark.parametrize(("name", "is_own"), [("Jane Doe", True), ("Aunt Agatha", False)])
def test_the_number_in_a_shipping_address_is_the_buyers_unless_it_is_a_present(
    shop: Shop,
    store: OurStore,
    channel: Channel,
    as_alice: Client,
    alice: User,
    name: str,
    is_own: bool,
) -> None:
    first, _space, last = name.partition(" ")
    place = {"countryCode": "DE", "city": "Berlin", "phone": "0151/12345678"}
    shop.place(
        billingAddress={"firstName": "Jane", "lastName": "Doe", **place},
        shippingAddress={"firstName": first, "lastName": last, **place},
    )
    arrive(shop)
    order = Order.objects.select_related("store").get()
    assert order.phone == (NUMBER if is_own else "")
    talk = write("Someone", talk="phone", channel=channel, phone="0151 12345678")
    services.assign(conversation=talk, to=alice)
    at = f"/inbox/conversations/{talk.pk}/orders/{order.pk}/cancel/"
    assert as_alice.get(at).status_code == (200 if is_own else 404)


def test_what_a_supervisor_took_back_an_agent_does_not_give_again(
    order: Order, stranger: Conversation, as_alice: Client, sara: User
) -> None:
    as_sara = logged_in(sara)
    accept(as_sara, stranger, order)
    link = Identity.objects.get(kind=IdentityKind.SHOPIFY_CUSTOMER)
    address_edits.remove_identity(identity=link, by=sara)
    at = f"/inbox/contacts/{stranger.contact_id}/identities/{link.pk}/restore/"
    assert "Only a supervisor" in text_of(as_alice.post(at, follow=True))
    link.refresh_from_db()
    assert link.removed_at
    as_sara.post(at)
    link = Identity.objects.get(pk=link.pk)
    assert link.removed_at is None
    kept = AuditEntry.objects.filter(kind=AuditKind.IDENTITY).order_by("pk")
    assert [entry.detail["because"] for entry in kept] == ["claim", "given back"]


def test_an_address_typed_in_the_admin_is_in_the_audit_log(
    stranger: Conversation, admin_client: Client
) -> None:
    page = f"/admin/inbox/contact/{stranger.contact_id}/change/"
    (own,) = stranger.contact.identities.all()
    form = {
        "name": "Robin",
        "language": "",
        "identities-TOTAL_FORMS": "2",
        "identities-INITIAL_FORMS": "1",
        "identities-MIN_NUM_FORMS": "0",
        "identities-MAX_NUM_FORMS": "1000",
        "identities-0-id": own.pk,
        "identities-0-contact": stranger.contact_id,
        "identities-0-kind": own.kind,
        "identities-0-value": own.value,
        "identities-0-source": own.source,
        "identities-1-contact": stranger.contact_id,
        "identities-1-kind": "email",
        "identities-1-value": "jane@example.com",
        "identities-1-source": "",
    }
    assert admin_client.post(page, form).status_code == 302
    made = Identity.objects.get(value="jane@example.com")
    entry = AuditEntry.objects.get(kind=AuditKind.IDENTITY)
    assert (entry.actor, entry.detail["identity"]) == ("admin", made.pk)
    assert "jane" not in json.dumps(entry.detail)
