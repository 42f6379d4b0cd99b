"""Agents add, remove and restore a contact's addresses; what may be refunded follows at once."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.contacts import address_edits, identities
from inbox.models import Contact, Conversation, Identity
from orders.models import Order, Store
from tests.support.shop.in_process import Shop, fetch_dirty

pytestmark = pytest.mark.django_db(transaction=True)


def page(client: Client, contact: Contact) -> str:
    return unescape(client.get(f"/inbox/contacts/{contact.pk}/").content.decode())


def test_the_wrong_persons_address_is_taken_and_given_back(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    shop.deliver(Client())
    fetch_dirty()
    contact, order = conversation.contact, Order.objects.get()
    identity = Identity.objects.get(value="jane@example.com")
    at = f"/inbox/contacts/{contact.pk}/identities/{identity.pk}"
    assert list(identities.orders_of(contact)) == [order]
    text = unescape(as_alice.post(f"{at}/remove/", follow=True).content.decode())
    assert "was removed from this contact" in text
    assert "Removed from this contact" in text
    assert not identities.orders_of(contact).exists()
    # The order is not theirs to act on any more.
    cancel = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/cancel/"
    assert as_alice.get(cancel).status_code == 404
    as_alice.post(f"{at}/restore/")
    assert as_alice.get(cancel).status_code == 200
    assert list(identities.orders_of(contact)) == [order]


def test_an_address_belongs_to_one_contact(
    as_alice: Client, conversation: Conversation, sara: User
) -> None:
    other = Contact.objects.create(name="Other")
    identity = Identity.objects.get(value="jane@example.com")
    with pytest.raises(address_edits.IdentityRefused, match="another contact"):
        address_edits.add_address(contact=other, text="Jane@Example.com", by=sara)
    address_edits.remove_identity(identity=identity, by=sara)
    address_edits.add_address(contact=other, text="Jane@Example.com", by=sara)
    with pytest.raises(address_edits.IdentityRefused, match="Remove it from that contact first"):
        address_edits.restore_identity(identity=identity, by=sara)
    identity.refresh_from_db()
    assert identity.removed_by == sara


@pytest.mark.parametrize("text", ["", "jane", "0151 1234", "<script>", "a@b", "\x00"])
def test_what_is_no_address_is_refused_with_what_to_do(
    as_alice: Client, conversation: Conversation, text: str
) -> None:
    contact = conversation.contact
    answer = as_alice.post(
        f"/inbox/contacts/{contact.pk}/identities/", {"value": text}, follow=True
    )
    assert "with its country" in unescape(answer.content.decode())
    as_alice.post(f"/inbox/contacts/{contact.pk}/identities/", {"value": "+49 151 12345678"})
    assert "+4915112345678" in page(as_alice, contact)


def test_a_foreign_identity_is_not_found(as_alice: Client, conversation: Conversation) -> None:
    other = Contact.objects.create(name="Other")
    identity = Identity.objects.get(value="jane@example.com")
    answer = as_alice.post(f"/inbox/contacts/{other.pk}/identities/{identity.pk}/remove/")
    assert answer.status_code == 404
