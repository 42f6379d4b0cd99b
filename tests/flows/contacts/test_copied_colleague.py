"""Copying someone into a conversation doesn't show their orders in it: pages, API and frames."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.conversations import services
from inbox.models import Channel, Conversation, HelpDeskFrame, Identity, Participant
from inbox.tasks import sweep_events, sweep_outbox
from orders.models import Order, OrderAction
from tests.conftest import message_time
from tests.flows.contacts.test_which_customer import api, arrive
from tests.flows.frames.test_frames import entered
from tests.flows.test_main_job import confirm, panel, review
from tests.support.shop.in_process import Shop

pytestmark = pytest.mark.django_db(transaction=True)
Pair = tuple[Order, Order]


@pytest.fixture
def agent(alice: User) -> User:
    User.objects.filter(pk=alice.pk).update(email="alice@shop.example")
    alice.refresh_from_db()
    return alice


@pytest.fixture
def pair(shop: Shop, store: object, conversation: Conversation, channel: Channel) -> Pair:
    """Jane's order and Bob's; Bob writes in Jane's conversation, which alice has."""
    shop.place()
    shop.place(email="bob@example.com")
    arrive(shop)
    services.receive(
        channel=channel,
        external_id="m-2",
        conversation_id=conversation.external_id,
        sender=services.Sender(external_id="u-2", name="Bob", email="bob@example.com"),
        text="Refund mine, please",
        sent_at=message_time(),
    )
    janes, bobs = (
        Order.objects.select_related("store").get(email=email)
        for email in ("jane@example.com", "bob@example.com")
    )
    return janes, bobs


def refused_at_the_page(client: Client, conversation: Conversation, order: Order) -> bool:
    at = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}"
    codes = {client.get(f"{at}/{kind}/").status_code for kind in ("cancel", "refund")}
    assert len(codes) == 1
    return codes == {404}


def test_a_colleagues_order_is_refused_in_the_contacts_conversation(
    pair: Pair, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    janes, bobs = pair
    shown = panel(as_alice, conversation)
    assert janes.name in shown
    assert f'id="order-{bobs.pk}"' not in shown
    assert refused_at_the_page(as_alice, conversation, bobs)
    assert api(alice, bobs).status_code == 403
    # Control: hers are not.
    assert not refused_at_the_page(as_alice, conversation, janes)
    assert api(alice, janes).status_code == 200
    assert not OrderAction.objects.exists()


def test_in_a_frame_each_customer_sees_only_their_own_orders(
    pair: Pair, agent: User, conversation: Conversation, zammad: HelpDeskFrame
) -> None:
    janes, bobs = pair
    for email, own, other in (
        ("jane@example.com", janes, bobs),
        ("bob@example.com", bobs, janes),
    ):
        desk = entered(zammad, email=email)
        assert desk.get(f"orders/{own.pk}/refund/").status_code == 200
        assert desk.get(f"orders/{other.pk}/refund/").status_code == 404


@pytest.mark.slow
def test_handing_a_conversation_over_swaps_whose_orders_are_shown(
    pair: Pair, as_alice: Client, conversation: Conversation, alice: User
) -> None:
    janes, bobs = pair
    bob = Participant.objects.get(external_id="u-2")
    as_alice.post(f"/inbox/conversations/{conversation.pk}/contact/", {"participant": bob.pk})
    assert refused_at_the_page(as_alice, conversation, janes)
    assert api(alice, janes).status_code == 403
    assert api(alice, bobs).status_code == 200
    token = review(as_alice, conversation, bobs, "refund", reason="other", amount="5.00")
    assert confirm(as_alice, conversation, bobs, token) == 200


@pytest.mark.slow
@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "control"])
def test_wrong_person_outlives_the_next_message(
    pair: Pair,
    as_alice: Client,
    conversation: Conversation,
    channel: Channel,
    alice: User,
    agent: User,
    zammad: HelpDeskFrame,
    monkeypatch: pytest.MonkeyPatch,
    is_guarded: bool,
) -> None:
    """The control forgets what was taken away, as before; then the money moves again."""
    janes, _bobs = pair
    if not is_guarded:
        monkeypatch.setattr("inbox.contacts.identities.refused_of", lambda _known: frozenset())
    identity = Identity.objects.get(value="jane@example.com")
    where = f"/inbox/contacts/{conversation.contact_id}/identities/{identity.pk}"
    as_alice.post(f"{where}/remove/")
    services.receive(
        channel=channel,
        external_id="m-3",
        conversation_id=conversation.external_id,
        sender=services.Sender(external_id="u-1", name="Jane Doe", email="jane@example.com"),
        text="And my money?",
        sent_at=message_time(),
    )
    assert refused_at_the_page(as_alice, conversation, janes) is is_guarded
    assert (api(alice, janes).status_code == 403) is is_guarded
    page = unescape(as_alice.get(f"/inbox/contacts/{conversation.contact_id}/").content.decode())
    assert "Restore" in page
    as_alice.post(f"{where}/restore/")
    if is_guarded:
        assert not refused_at_the_page(as_alice, conversation, janes)


@pytest.mark.slow
def test_news_of_the_contacts_order_is_not_for_the_colleague(
    pair: Pair,
    shop: Shop,
    as_alice: Client,
    conversation: Conversation,
    channel: Channel,
    campaigns: list[Any],
    alice: User,
) -> None:
    from django.core import mail

    from inbox.models import ChannelKind, Message, MessageKind
    from tests.support.shop.in_process import work_off

    janes, _bobs = pair
    Channel.objects.filter(pk=channel.pk).update(kind=ChannelKind.EMAIL)
    token = review(as_alice, conversation, janes, "refund", reason="other", amount="5.00")
    assert confirm(as_alice, conversation, janes, token) == 200
    work_off(shop, as_alice)
    sweep_events()
    sweep_outbox()
    news = Message.objects.get(kind=MessageKind.CONFIRMATION)
    assert news.recipient == "jane@example.com"
    assert {address for m in mail.outbox for address in m.to} == {"jane@example.com"}


@pytest.fixture
def zammad(db: None) -> HelpDeskFrame:
    from inbox.frames import authentication
    from inbox.models import FrameKind
    from tests.flows.frames.test_frames import DESK

    frame = HelpDeskFrame.objects.create(
        name="Zammad", kind=FrameKind.GENERIC, origins=DESK, proves_addresses=True
    )
    authentication.new_secret(frame)
    return frame
