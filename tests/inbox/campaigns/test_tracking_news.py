"""“Order shipped” with tracking numbers waits for the number, and says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.models import Campaign, CampaignMessage, SendState
from inbox.suppression import lateness
from inbox.tasks import sweep_events, sweep_marketing, sweep_outbox
from orders.models import EventKind, OrderEvent, Store
from practice_store.changes import staff_actions as shop_actions
from practice_store.state import Order as ShopOrder
from practice_store.state import Tracking
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = "Waiting for the shipment’s tracking number."


def shipped_campaign(body: str = "Track: {{ tracking.numbers }}", **columns: object) -> Campaign:
    values = {
        "name": "Shipped",
        "event_kind": "fulfilled",
        "via_conversation": False,
        "subject": "s",
        "body": body,
    } | columns
    return Campaign.objects.create(**values)


def ship(shop: Shop) -> ShopOrder:
    """A parcel without a number, as we then see it."""
    placed = shop.place()
    shop.act(lambda c: shop_actions.ship(c, placed))
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email_consent = "SUBSCRIBED"
    hear(shop)
    return placed


def hear(shop: Shop) -> None:
    shop.deliver(Client())
    sweep_events()
    sweep_marketing()
    sweep_outbox()


def add_number(placed: ShopOrder, number: str) -> None:
    """By the other program of the shop; nothing is delivered yet."""
    placed.fulfillments[-1].tracking = [Tracking(company="DHL", number=number)]


def rows() -> list[tuple[str, str]]:
    return list(CampaignMessage.objects.order_by("pk").values_list("state", "reason"))


@pytest.mark.parametrize("purpose", ["transactional", "marketing"])
def test_the_message_leaves_once_when_the_number_is_there(
    shop: Shop, store: Store, touch: Callable[[ShopOrder], None], purpose: str
) -> None:
    shipped_campaign("Track: {{ tracking.numbers }} {{ unsubscribe_url|-}}", purpose=purpose)
    placed = ship(shop)
    assert (rows(), mail.outbox) == ([(SendState.WAITING, WAITS)], [])
    add_number(placed, "JD01")
    touch(placed)
    for _again in range(3):
        hear(shop)
    [sent] = mail.outbox
    assert sent.body.startswith("Track: JD01")
    assert rows() == [(SendState.WRITTEN, "")]


@pytest.fixture
def touch(shop: Shop) -> Callable[[ShopOrder], None]:
    """The carrier takes the parcel: the shop tells us that it changed."""
    return lambda placed: shop.act(lambda c: shop_actions.carrier_says(c, placed, "IN_TRANSIT"))


def test_a_sweep_finds_a_number_whose_signal_was_lost(
    shop: Shop, store: Store, touch: Callable[[ShopOrder], None]
) -> None:
    shipped_campaign()
    placed = ship(shop)
    add_number(placed, "JD01")
    touch(placed)
    with messages_lost():
        shop.deliver(Client())
    assert mail.outbox == []
    sweep_events()
    sweep_outbox()
    assert len(mail.outbox) == 1


def test_later_sweeps_look_seldom(shop: Shop, store: Store) -> None:
    shipped_campaign()
    ship(shop)
    event = OrderEvent.objects.get(kind=EventKind.FULFILLED)
    assert (event.announced_at, event.announce_after) == (None, None)
    OrderEvent.objects.update(recorded_at=timezone.now() - timedelta(minutes=11))
    sweep_events()
    event.refresh_from_db()
    assert event.announce_after is not None
    assert event.announce_after > timezone.now() + timedelta(minutes=50)


@pytest.mark.parametrize("purpose", ["transactional", "marketing"])
def test_it_does_not_wait_for_ever(shop: Shop, store: Store, purpose: str) -> None:
    shipped_campaign("{{ tracking.numbers }} {{ unsubscribe_url|-}}", purpose=purpose)
    ship(shop)
    later = timezone.now() + lateness.TOLD_WITHIN + timedelta(minutes=1)
    with patch.object(timezone, "now", lambda: later):
        hear(shop)
    assert mail.outbox == []
    assert rows() == [(SendState.SKIPPED, "The shipment didn’t get a tracking number in time.")]
    assert not OrderEvent.objects.unannounced().exists()


def test_who_does_not_need_the_number_is_told_at_once(shop: Shop, store: Store) -> None:
    shipped_campaign()
    shipped_campaign("Shipped. {{ tracking.numbers|No number. }}", name="Plain")
    ship(shop)
    assert [sent.body for sent in mail.outbox] == ["Shipped. No number."]
    assert sorted(rows()) == [(SendState.WAITING, WAITS), (SendState.WRITTEN, "")]


def test_a_parcel_canceled_in_between_is_not_waited_for(shop: Shop, store: Store) -> None:
    shipped_campaign()
    placed = ship(shop)
    gid = f"gid://shopify/Fulfillment/{placed.fulfillments[-1].number_id}"
    shop.graphql(
        "mutation($id: ID!) { fulfillmentCancel(id: $id) { userErrors { message } } }", {"id": gid}
    )
    hear(shop)
    assert rows() == [(SendState.SKIPPED, "The shipment was canceled.")]


def test_a_campaign_that_is_off_by_then_leaves_no_row_waiting(
    shop: Shop, store: Store, touch: Callable[[ShopOrder], None]
) -> None:
    shipped_campaign()
    placed = ship(shop)
    Campaign.objects.update(is_active=False)
    add_number(placed, "JD01")
    touch(placed)
    hear(shop)
    assert mail.outbox == []
    assert rows() == [(SendState.SKIPPED, "The campaign has since been turned off.")]


def test_other_values_are_not_waited_for(shop: Shop, store: Store) -> None:
    """The control: nothing brings a name to a customer who gave none."""
    shipped_campaign("{{ customer.name }}")
    shop.place(email=None)
    placed = shop.place(email="x@example.com")
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.first_name = customer.last_name = ""
    shop.act(lambda c: shop_actions.ship(c, placed))
    hear(shop)
    assert [state for state, _reason in rows()] == [SendState.SKIPPED]
