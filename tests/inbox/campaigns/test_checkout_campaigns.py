"""Abandoned checkouts, from the webhook or the sweep to a message or the reason for none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.campaigns import checkouts as checkout_campaigns
from inbox.models import Campaign, CampaignMessage, CampaignTranslation, SendState
from inbox.suppression import consent
from inbox.tasks import sweep_marketing, sweep_outbox
from orders.models import Checkout, Store
from practice_store.sales import checkouts
from shopify_sync.models import EventState, WebhookEvent
from tests.support.shop.in_process import DOMAIN, Shop
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reminder(store: Store) -> Campaign:
    made = Campaign.objects.create(
        name="Reminder",
        event_kind="checkout_abandoned",
        purpose="marketing",
        via_conversation=False,
        abandoned_after_minutes=60,
        subject="Your basket",
        body="{{ amount }} waits at {{ checkout.url }}. Stop: {{ unsubscribe_url }}",
        created_at=timezone.now() - timedelta(days=1),
    )
    CampaignTranslation.objects.create(
        campaign=made,
        language="de",
        subject="Ihr Warenkorb",
        body="{{ amount }} warten: {{ checkout.url }}. Abmelden: {{ unsubscribe_url }}",
    )
    return made


def abandoned(shop: Shop, *, times: int = 1, **more: Any) -> Any:
    """Begun and left two hours ago, and heard of then."""
    row = shop.check_out(hours_ago=2, **more)
    shop.deliver(Client(), times=times)
    Checkout.objects.update(active_at=timezone.now() - timedelta(hours=2))
    return row


def waiting(shop: Shop) -> Any:
    """Abandoned, and its row written; Shopify has not been asked about the message yet."""
    row = abandoned(shop)
    now = timezone.now()
    with messages_lost():
        checkout_campaigns.read_unread(now=now)
        checkout_campaigns.ask_due(now=now)
    assert CampaignMessage.objects.get().state == SendState.WAITING
    return row


def run() -> None:
    CampaignMessage.objects.filter(state=SendState.WAITING).update(next_attempt_at=None)
    sweep_marketing()
    sweep_outbox()


def reasons() -> list[str]:
    return list(CampaignMessage.objects.values_list("reason", flat=True))


def test_an_abandoned_checkout_is_reminded_of_once(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    row = abandoned(shop, times=3)
    for _again in range(3):
        run()
    [sent] = mail.outbox
    assert sent.to == ["jane@example.com"]
    assert sent.body == (
        f"€1,234.50 waits at https://{DOMAIN}/checkouts/ac/{row.token}/recover?"
        f"key={row.number_id % 99991}. Stop: "
        f"https://{DOMAIN}/account/unsubscribe?id={row.customer_number}"
    )
    assert CampaignMessage.objects.count() == 1


def test_without_the_approval_for_its_address_a_checkout_is_read_all_the_same(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    """The address is non-null: refused, it would hide the whole checkout."""
    shop.store.world.shops[DOMAIN].sees_customer_pages = False
    abandoned(shop)
    run()
    assert mail.outbox == []
    assert "checkout.url" in reasons()[0], "a text that needs it says what it lacks"
    Campaign.objects.update(body="{{ amount }} waits. Stop: {{ unsubscribe_url }}")
    CampaignTranslation.objects.all().delete()
    CampaignMessage.objects.all().delete()
    abandoned(shop, email="second@example.com")
    run()
    assert "1,234.50 waits" in mail.outbox[0].body


def test_a_german_customer_is_written_to_in_german(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    row = abandoned(shop)
    shop.store.world.shops[DOMAIN].customers[row.customer_number].locale = "de-DE"
    run()
    [sent] = mail.outbox
    assert sent.subject == "Ihr Warenkorb"
    assert sent.body.startswith("1.234,50\xa0€ warten: ")


def test_before_its_time_nothing_is_sent(shop: Shop, store: Store, reminder: Campaign) -> None:
    shop.check_out(hours_ago=0)
    shop.deliver(Client())
    run()
    assert CampaignMessage.objects.count() == 0
    assert mail.outbox == []


def test_a_completed_checkout_whose_webhook_was_lost_is_not_reminded_of(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    row = waiting(shop)
    shop.act(lambda c: checkouts.complete(c, row))
    shop.held.clear()  # no webhook arrives
    run()
    assert mail.outbox == []
    assert reasons() == ["The checkout has become an order."]


@pytest.mark.parametrize(("hours", "mails"), [(46, 1), (48, 0)])
def test_a_row_that_an_outage_kept_speaks_of_no_basket_long_left(
    shop: Shop, store: Store, reminder: Campaign, hours: int, mails: int
) -> None:
    """It fell silent an hour ago; the workers come back so many hours later."""
    waiting(shop)
    later = timezone.now() + timedelta(hours=hours)
    with patch.object(timezone, "now", lambda: later):
        run()
    assert len(mail.outbox) == mails
    late = "It happened 2 days ago, and nothing could be sent in time."
    assert reasons() == ["" if mails else late]


def test_without_the_fresh_read_the_customer_who_paid_would_be_reminded(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    """Negative control of the test above: believing the webhook alone."""
    row = waiting(shop)
    shop.act(lambda c: checkouts.complete(c, row))
    shop.held.clear()
    with patch.object(consent, "checkout_refusal", lambda checkout, read: ""):
        run()
    assert len(mail.outbox) == 1


def test_another_order_of_the_customer_since_then_counts_as_theirs(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    waiting(shop)
    shop.place()
    shop.held.clear()
    run()
    assert reasons() == ["The customer has since placed an order."]


def test_a_checkout_with_new_activity_is_looked_at_again_later(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    row = waiting(shop)
    shop.act(lambda c: checkouts.come_back(c, row))
    shop.held.clear()
    run()
    left = CampaignMessage.objects.get()
    assert left.state == SendState.WAITING
    assert left.next_attempt_at is not None
    assert left.next_attempt_at > timezone.now() + timedelta(minutes=50)
    assert mail.outbox == []


def test_deliveries_out_of_order_remind_of_nothing_that_is_gone(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    row = shop.check_out(hours_ago=2)
    shop.act(lambda c: checkouts.remove(c, row))
    shop.held.reverse()
    shop.deliver(Client(), times=2)
    Checkout.objects.update(active_at=timezone.now() - timedelta(hours=2))
    run()
    assert Checkout.objects.get().deleted_at is not None
    assert CampaignMessage.objects.count() == 0


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("NOT_SUBSCRIBED", "Consent to marketing: Not subscribed."),
        ("UNSUBSCRIBED", "Consent to marketing: Unsubscribed."),
        ("PENDING", "Consent to marketing: Pending confirmation."),
    ],
)
def test_without_consent_no_reminder_is_sent(
    shop: Shop, store: Store, reminder: Campaign, state: str, reason: str
) -> None:
    row = abandoned(shop)
    shop.store.world.shops[DOMAIN].customers[row.customer_number].email_consent = state
    run()
    assert mail.outbox == []
    assert reasons() == [reason]


def test_while_shopify_cannot_be_asked_the_row_waits(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    abandoned(shop)
    shop.fault(phase="500_before")
    run()
    assert CampaignMessage.objects.get().state == SendState.WAITING
    assert mail.outbox == []
    shop.store.faults.set([])
    run()
    assert len(mail.outbox) == 1


def test_until_a_campaign_asks_shopify_is_not_asked_who_it_was(shop: Shop, store: Store) -> None:
    abandoned(shop)
    run()
    found = Checkout.objects.get()
    assert (found.read_at, found.email, found.customer_gid) == (None, "", "")


def test_the_same_customer_is_left_alone_for_the_quiet_time(
    shop: Shop, store: Store, reminder: Campaign
) -> None:
    abandoned(shop)
    run()
    abandoned(shop)
    run()
    assert len(mail.outbox) == 1
    assert sorted(reasons()) == [
        "",
        "The customer already got this campaign within its quiet period.",
    ]
    CampaignMessage.objects.update(written_at=timezone.now() - timedelta(days=8))
    abandoned(shop)
    run()
    assert len(mail.outbox) == 2


def test_a_checkout_webhook_without_an_id_is_dead_and_blocks_no_other(
    shop: Shop, store: Store
) -> None:
    shop.check_out()
    state, topic, body, headers = shop.held[0]
    shop.held[:] = [(state, topic, body, headers)]
    shop.deliver(Client())
    event = WebhookEvent.objects.get()
    assert event.state == EventState.DONE
    assert event.customer_number == json.loads(body)["customer"]["id"]
    WebhookEvent.objects.update(body=b'{"id": "x"}', state=EventState.WAITING, next_attempt_at=None)
    shop.deliver(Client())
    from shopify_sync.tasks import sweep_webhooks

    sweep_webhooks()
    assert "names no checkout" in WebhookEvent.objects.get().error
