"""In a frame, no money moves while it is unclear which customer it is."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.contacts import address_edits
from inbox.contacts.matching import Matching
from inbox.models import Conversation, HelpDeskFrame, Identity, IdentityKind
from inbox.panel.contexts import InFrame
from orders import services
from orders.models import Order, OrderAction
from practice_store.changes import staff_actions
from tests.flows.frames.test_frames import Framed, alice, signed, swap, token_in, zammad  # noqa: F401  fixtures
from tests.support.shop.in_process import Shop, fetch_dirty, read_customers

pytestmark = pytest.mark.django_db(transaction=True)
REFUSAL = "It’s not clear which Shopify customer"


@pytest.fixture
def two(shop: Shop, store: object) -> tuple[Order, Order]:
    """Jane's own order, and one with her address that another Shopify customer owns."""
    shop.place()
    shop.act(
        lambda context: staff_actions.place(
            context,
            email="jane@example.com",
            currency="EUR",
            customer={"toUpsert": {"email": "janine@example.com", "firstName": "Janine"}},
            lineItems=[
                {
                    "title": "Vase",
                    "quantity": 1,
                    "requiresShipping": True,
                    "priceSet": {"shopMoney": {"amount": "30.00", "currencyCode": "EUR"}},
                }
            ],
            financialStatus="PAID",
        )
    )
    shop.deliver(Client())
    fetch_dirty()
    read_customers()
    first, second = Order.objects.select_related("store").order_by("pk")
    return first, second


def framed(frame: HelpDeskFrame) -> Framed:
    status, told = swap(frame, signed(frame))
    assert status == 200, told
    return Framed(told)


def dialog(desk: Framed, order: Order) -> str:
    answer = desk.post(f"orders/{order.pk}/refund/", {"reason": "other", "amount": "5.00"})
    text: str = answer.content.decode()
    return text


def test_an_uncertain_order_is_shown_in_the_frame_and_not_refunded(
    two: tuple[Order, Order],
    alice: User,
    zammad: HelpDeskFrame,
) -> None:
    desk = framed(zammad)
    panel = desk.panel()
    assert all(order.name in panel for order in two)
    # What is decided about a contact is decided in the inbox: the frame only says so.
    assert REFUSAL in panel
    assert "/inbox/contacts/" not in panel
    assert REFUSAL in dialog(desk, two[0])
    assert not OrderAction.objects.exists()


def test_without_the_rule_the_frame_would_refund_it(
    two: tuple[Order, Order],
    alice: User,
    zammad: HelpDeskFrame,
) -> None:
    """Negative control."""
    with patch.object(Matching, "refusal", lambda self, order: None):
        desk = framed(zammad)
        assert REFUSAL not in desk.panel()
        assert 'id="review"' in dialog(desk, two[0])


def test_what_an_agent_has_answered_in_the_inbox_counts_in_the_frame(
    two: tuple[Order, Order],
    conversation: Conversation,
    alice: User,
    zammad: HelpDeskFrame,
) -> None:
    own, other = two
    Identity.objects.create(
        contact=conversation.contact,
        kind=IdentityKind.SHOPIFY_CUSTOMER,
        value=f"{own.store_id}:{own.customer_gid}",
        source="agent",
        added_by=alice,
    )
    desk = framed(zammad)
    assert 'id="review"' in dialog(desk, own)
    assert 'id="review"' not in dialog(desk, other)


@pytest.mark.slow
@pytest.mark.parametrize("is_afresh", [True, False], ids=["guarded", "control"])
def test_an_answer_that_is_taken_back_before_the_orders_lock_moves_no_money(
    is_afresh: bool,
    two: tuple[Order, Order],
    conversation: Conversation,
    alice: User,
    zammad: HelpDeskFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control asks the place that the door looked at, which remembers the answer."""
    own, request = two[0], services.request_action
    [link] = address_edits.link_customers(
        contact=conversation.contact, customers=[(own.store_id, own.customer_gid)], by=alice
    )
    HelpDeskFrame.objects.update(confirm_up_to=50)
    desk = framed(zammad)
    token = token_in(dialog(desk, own))

    def change_first(**words: Any) -> OrderAction:
        address_edits.remove_identity(identity=link, by=alice)
        return request(**words)

    monkeypatch.setattr(services, "request_action", change_first)
    if not is_afresh:
        monkeypatch.setattr(InFrame, "afresh", lambda self: self)
    said = desk.post(f"orders/{own.pk}/confirm/", {"token": token}).content.decode()
    assert (REFUSAL in said) is is_afresh
    assert OrderAction.objects.exists() is not is_afresh


@pytest.mark.slow
@pytest.mark.parametrize(
    "email", ["tom@example.com", ""], ids=["another address", "the phone alone"]
)
def test_a_phone_number_alone_does_not_link_a_customer_with_another_address(
    email: str,
    two: tuple[Order, Order],
    conversation: Conversation,
    alice: User,
    zammad: HelpDeskFrame,
) -> None:
    """The second case is the control: a customer who gave no address may be the number's owner."""
    own = two[0]
    address_edits.link_customers(
        contact=conversation.contact, customers=[(own.store_id, own.customer_gid)], by=alice
    )
    phone = {"kind": IdentityKind.PHONE, "value": "+4915112345678"}
    Identity.objects.create(contact=conversation.contact, source="agent", **phone)
    status, told = swap(zammad, signed(zammad, email=email, phone="+4915112345678"))
    assert status == 200, told
    desk = Framed(told)
    assert (own.name in desk.panel()) is not bool(email)
