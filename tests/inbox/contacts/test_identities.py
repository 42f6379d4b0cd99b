"""Who owns an order after an address was removed from a contact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from inbox.contacts import address_edits, identities
from inbox.models import Conversation, Identity, IdentityKind
from orders.models import Order, OrderAction
from tests.conftest import logged_in
from tests.support.shop.in_process import Shop

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_removed", [False, True])
def test_an_address_that_was_taken_away_owns_nothing(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User, is_removed: bool
) -> None:
    """By the function and by the door that would move money; with the address, both let it."""
    shop.place()
    order = seen()
    api = logged_in(alice)
    wish = {"kind": "refund", "reason": "other", "amount": "5.00"}
    preview = api.post(
        f"/api/v1/orders/{order.pk}/previews/", wish, content_type="application/json"
    ).json()
    assert identities.contacts_of(order) == [conversation.contact_id]
    if is_removed:
        for identity in Identity.objects.exclude(kind=IdentityKind.CHANNEL_USER):
            address_edits.remove_identity(identity=identity, by=alice)
    answer = api.post(
        f"/api/v1/orders/{order.pk}/actions/",
        {"token": preview["token"]},
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert identities.contacts_of(order) == ([] if is_removed else [conversation.contact_id])
    assert answer.status_code == (403 if is_removed else 202)
    assert OrderAction.objects.count() == (0 if is_removed else 1)


def test_of_two_contacts_only_the_one_that_kept_the_address(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User
) -> None:
    shop.place()
    order = seen()
    (identity,) = Identity.objects.filter(kind=IdentityKind.EMAIL)
    address_edits.remove_identity(identity=identity, by=alice)
    other = Identity.objects.create(
        contact=type(identity.contact).objects.create(name="Another Jane"),
        kind=IdentityKind.EMAIL,
        value=identity.value,
    )
    assert identities.contacts_of(order) == [other.contact_id]
