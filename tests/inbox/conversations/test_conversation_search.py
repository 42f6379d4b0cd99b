"""Searching the inbox by order number finds the conversations of the order's customer."""

from __future__ import annotations

import pytest
from django.test import Client

from inbox.contacts import identities
from inbox.models import Conversation, Identity, IdentityKind
from orders.models import Order, Store
from orders.snapshot import encode
from tests.support import snapshots

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
