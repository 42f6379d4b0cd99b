"""Before each attempt to send a message, it is checked whether it is still right to send it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.models import Campaign, CampaignMessage, SendState
from inbox.suppression import consent
from inbox.tasks import sweep_events, sweep_marketing
from orders.errors import ShopUnreachable
from orders.models import Order, Store
from practice_store.sales import checkouts
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)

Change = Callable[[Shop], object]


def subscribe(shop: Shop, state: str = "SUBSCRIBED") -> None:
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email_consent = state


def unsubscribe(shop: Shop) -> None:
    subscribe(shop, "UNSUBSCRIBED")


def change_address(shop: Shop) -> None:
    for customer in shop.store.world.shops[DOMAIN].customers.values():
        customer.email = "jane@new.example"


def switch_campaign_off(shop: Shop) -> None:
    Campaign.objects.update(is_active=False)


def untick_channel(shop: Shop) -> None:
    Campaign.objects.update(via_email=False)


def switch_store_off(shop: Shop) -> None:
    Store.objects.update(is_active=False)


def redact(shop: Shop) -> None:
    Order.objects.update(masked_at=timezone.now())


def change_order(shop: Shop) -> None:
    Order.objects.update(email="other@example.com")


def nothing(shop: Shop) -> None:
    """The control of every case."""


def written(shop: Shop, purpose: str) -> CampaignMessage:
    """An email that was written and has not left."""
    Campaign.objects.create(
        name="Thanks",
        event_kind="placed",
        purpose=purpose,
        via_conversation=False,
        subject="Thank you",
        body="{{ order.number }} {{ unsubscribe_url|-}}",
    )
    shop.place()
    subscribe(shop)
    with messages_lost("inbox.tasks.deliver_campaign"):
        shop.deliver(Client())
        sweep_events()
        sweep_marketing()
    row = CampaignMessage.objects.get()
    assert (row.state, mail.outbox) == (SendState.WRITTEN, [])
    return row


OFF = "The campaign has since been turned off."
MOVED = "The customer’s address has since been changed or removed."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("purpose", "change", "reason"),
    [
        ("marketing", nothing, ""),
        ("marketing", unsubscribe, "Consent to marketing: Unsubscribed."),
        ("marketing", change_address, MOVED),
        ("marketing", switch_campaign_off, OFF),
        ("marketing", switch_store_off, "The store is turned off."),
        ("marketing", redact, "The customer’s data was deleted."),
        ("transactional", nothing, ""),
        ("transactional", unsubscribe, ""),
        ("transactional", change_order, MOVED),
        ("transactional", untick_channel, OFF),
        ("transactional", switch_store_off, "The store is turned off."),
        ("transactional", redact, "The customer’s data was deleted."),
    ],
)
def test_a_message_is_held_back_by_what_happened_since_it_was_written(
    shop: Shop, store: Store, purpose: str, change: Change, reason: str
) -> None:
    row = written(shop, purpose)
    change(shop)
    row = CampaignMessage.objects.get(pk=row.pk)
    assert consent.leaving_refusal(row) == reason
    # An agent who sends it again has decided about the switches of the campaign, and no more.
    assert consent.leaving_refusal(row, by_hand=True) == ("" if reason == OFF else reason)


def test_a_customer_who_has_bought_since_is_not_reminded(shop: Shop, store: Store) -> None:
    Campaign.objects.create(
        name="Reminder",
        event_kind="checkout_started",
        purpose="marketing",
        via_conversation=False,
        subject="Your basket",
        body="{{ unsubscribe_url }}",
        created_at=timezone.now() - timedelta(hours=1),
    )
    begun: Any = shop.check_out()
    with messages_lost("inbox.tasks.deliver_campaign"):
        shop.deliver(Client())
        sweep_marketing()
    row = CampaignMessage.objects.get()
    assert row.state == SendState.WRITTEN
    assert consent.leaving_refusal(row) == ""
    shop.act(lambda c: checkouts.complete(c, begun))
    assert consent.leaving_refusal(row) == "The checkout has become an order."


def test_while_shopify_cannot_be_asked_marketing_has_to_wait(shop: Shop, store: Store) -> None:
    row = written(shop, "marketing")
    shop.fault(phase="500_before")
    with pytest.raises(ShopUnreachable):
        consent.leaving_refusal(row)
