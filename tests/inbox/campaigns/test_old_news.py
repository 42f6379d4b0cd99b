"""However an old event is discovered, it appears on the timeline and no customer is messaged.

Each way has its control, in which the same event is news.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from inbox.campaigns import order_events as campaign_verbs
from inbox.models import Campaign, CampaignMessage, SendState
from inbox.suppression import lateness
from inbox.tasks import sweep_events, sweep_marketing, sweep_outbox
from orders import privacy
from orders.models import Checkout, EventKind, EventSource, Order, OrderEvent, Store
from orders.snapshot import OrderSnapshot, Refund, RefundTransaction, encode
from practice_store.changes import staff_actions as shop_actions
from shopify_sync.models import WebhookEvent
from shopify_sync.tasks import sweep_webhooks
from shopify_sync.webhooks import replay
from tests.support.orders import snapshots
from tests.support.shop.in_process import Shop, fetch_dirty
from tests.support.shop.queues import messages_lost

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(days=60)


@pytest.fixture
def campaign(db: None) -> Campaign:
    return Campaign.objects.create(
        name="Refund",
        event_kind="refunded",
        via_conversation=False,
        subject="Refund",
        body="{{ amount }}",
        created_at=timezone.now() - LONG_AGO,
    )


@pytest.fixture
def demo(db: None) -> Store:
    return Store.objects.create(
        domain="demo.myshopify.com",
        name="Demo",
        currency="EUR",
        connected_at=timezone.now() - LONG_AGO,
    )


@pytest.fixture
def as_admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def refunded(store: Store, ago: timedelta) -> OrderEvent:
    snapshot = snapshots.order(email="jane@example.com")
    order = Order.objects.create(
        store=store,
        gid=snapshot.gid,
        legacy_id=1,
        name=snapshot.name,
        email=snapshot.email,
        currency="EUR",
        document=encode(snapshot),
    )
    made = OrderEvent.objects.create(
        order=order,
        kind=EventKind.REFUNDED,
        key="refunded:1",
        source=EventSource.SHOPIFY,
        occurred_at=timezone.now() - ago,
        amount=Decimal("7.00"),
        currency="EUR",
    )
    OrderEvent.objects.filter(pk=made.pk).update(recorded_at=timezone.now() - ago)
    return made


def tell() -> None:
    """As the scheduler does, twice, whatever was put off."""
    for _again in range(2):
        OrderEvent.objects.update(announce_after=None)
        sweep_events()
        sweep_marketing()
        sweep_outbox()


def reasons() -> set[str]:
    return set(CampaignMessage.objects.values_list("reason", flat=True))


def switch(client: Client, campaign: Campaign, *, on: bool) -> None:
    """By its page in the admin."""
    empty = {
        f"{name}-{key}": 0
        for name in ("conditions", "translations")
        for key in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    form: dict[str, Any] = {
        "name": campaign.name,
        "event_kind": campaign.event_kind,
        "purpose": campaign.purpose,
        "language": "en",
        "via_email": "on",
        "subject": campaign.subject,
        "body": campaign.body,
        "abandoned_after_minutes": 60,
        "quiet_days": 7,
        "staff_refund_minimum": "0",
        "staff_refund_wait_minutes": 0,
    } | empty
    address = f"/admin/inbox/campaign/{campaign.pk}/change/"
    answer = client.post(address, form | ({"is_active": "on"} if on else {}))
    assert answer.status_code == 302, answer.content.decode()


@pytest.mark.parametrize("was_off", [True, False])
def test_a_campaign_that_is_switched_on_speaks_of_nothing_before(
    demo: Store, campaign: Campaign, as_admin: Client, was_off: bool
) -> None:
    """Workers were down: the event was recorded, but no customer was messaged yet."""
    refunded(demo, timedelta(hours=10))
    if was_off:
        switch(as_admin, campaign, on=False)
    switch(as_admin, campaign, on=True)
    tell()
    assert len(mail.outbox) == (0 if was_off else 1)
    assert reasons() == {"It happened before the campaign was turned on." if was_off else ""}


@pytest.mark.parametrize("is_new", [True, False])
def test_a_new_campaign_speaks_of_nothing_before(
    demo: Store, campaign: Campaign, is_new: bool
) -> None:
    refunded(demo, timedelta(hours=10))
    if is_new:
        Campaign.objects.update(created_at=timezone.now())
    tell()
    assert len(mail.outbox) == (0 if is_new else 1)


@pytest.mark.parametrize("changed", [True, False])
def test_a_campaign_that_is_given_another_event_is_new_to_it(
    demo: Store, campaign: Campaign, changed: bool
) -> None:
    if changed:
        Campaign.objects.update(event_kind="placed")
    refunded(demo, timedelta(hours=10))
    campaign.save()
    tell()
    assert len(mail.outbox) == (0 if changed else 1)


def set_store(client: Client, store: Store, *, on: bool) -> None:
    """By its page in the admin."""
    store.refresh_from_db()
    form: dict[str, Any] = {
        "domain": store.domain,
        "name": store.name,
        "currency": "EUR",
        "time_zone": "UTC",
        "country": "DE",
        "undo_seconds": 0,
        "hidden_cancel_reasons": "[]",
    }
    address = f"/admin/orders/store/{store.pk}/change/"
    answer = client.post(address, form | ({"is_active": "on"} if on else {}))
    assert answer.status_code == 302, answer.content.decode()
    store.refresh_from_db()
    assert store.is_active is on


@pytest.mark.parametrize("was_off", [True, False])
def test_what_happened_while_a_store_was_off_is_history_when_it_is_on_again(
    shop: Shop, store: Store, campaign: Campaign, as_admin: Client, was_off: bool
) -> None:
    Store.objects.update(connected_at=timezone.now() - LONG_AGO)
    if was_off:
        set_store(as_admin, store, on=False)
    shop.store.world.ahead_s -= 3600
    placed = shop.place()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    shop.store.world.ahead_s += 3600
    if was_off:
        set_store(as_admin, store, on=True)
    # However it is found: a webhook, a reconciliation, an agent who opens the order.
    shop.deliver(Client())
    tell()
    assert OrderEvent.objects.filter(kind=EventKind.REFUNDED).exists()
    assert len(mail.outbox) == (0 if was_off else 1)


@pytest.mark.parametrize("is_off", [True, False])
def test_while_a_store_is_off_its_customers_are_told_nothing(
    demo: Store, campaign: Campaign, as_admin: Client, is_off: bool
) -> None:
    refunded(demo, timedelta(minutes=1))
    if is_off:
        set_store(as_admin, demo, on=False)
    tell()
    assert len(mail.outbox) == (0 if is_off else 1)
    assert reasons() == {"The store is turned off." if is_off else ""}


@pytest.mark.parametrize("is_again", [True, False])
def test_what_was_waiting_when_the_app_was_uninstalled_is_history_after_the_installation(
    demo: Store, campaign: Campaign, is_again: bool
) -> None:
    refunded(demo, timedelta(hours=10))
    if is_again:
        privacy.note_uninstalled(demo, now=timezone.now())
        privacy.note_installed(demo)
    tell()
    assert len(mail.outbox) == (0 if is_again else 1)


@pytest.mark.parametrize("is_careful", [True, False])
def test_after_a_restored_backup_no_one_is_messaged_again(
    shop: Shop, store: Store, campaign: Campaign, is_careful: bool
) -> None:
    Store.objects.update(connected_at=timezone.now() - LONG_AGO)
    placed = shop.place()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    shop.deliver(Client())
    tell()
    assert len(mail.outbox) == 1
    at = OrderEvent.objects.get(kind=EventKind.REFUNDED).occurred_at
    # The backup was made before all this.
    CampaignMessage.objects.all().delete()
    OrderEvent.objects.all().delete()
    Order.objects.all().delete()
    # Still in the second of the refund, as Shopify tells it.
    with patch.object(timezone, "now", lambda: at + timedelta(microseconds=999_999)):
        if is_careful:
            call_command("skip_old_news")
    shop.act(lambda c: shop_actions.ship(c, placed))
    shop.deliver(Client())
    tell()
    assert OrderEvent.objects.filter(kind=EventKind.REFUNDED).exists()
    assert len(mail.outbox) == (1 if is_careful else 2)


def test_what_a_restored_backup_was_about_to_send_stays_here(
    demo: Store, campaign: Campaign
) -> None:
    refunded(demo, timedelta(minutes=1))
    with messages_lost("inbox.tasks.deliver_campaign"):
        sweep_events()
    call_command("skip_old_news")
    sweep_outbox()
    assert mail.outbox == []
    row = CampaignMessage.objects.get()
    assert row.error == "A backup was restored, so this may have been sent before."


def test_a_replayed_webhook_sends_no_second_message(
    shop: Shop, store: Store, campaign: Campaign
) -> None:
    placed = shop.place()
    shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    shop.deliver(Client())
    tell()
    assert replay.replay(WebhookEvent.objects.all(), by=None) > 0
    sweep_webhooks()
    fetch_dirty()
    tell()
    assert len(mail.outbox) == 1


def seen_delivered(shop: Shop, *, before: bool) -> None:
    """A parcel that Shopify shows as delivered without saying when."""
    placed = shop.place()
    shop.act(lambda c: shop_actions.ship(c, placed))
    if before:
        shop.deliver(Client())
    shop.act(lambda c: shop_actions.carrier_says(c, placed, "DELIVERED"))
    for parcel in placed.fulfillments:
        parcel.delivered_at = None
    shop.deliver(Client())


@pytest.mark.parametrize("before", [False, True])
def test_a_delivery_without_a_date_is_news_only_where_the_parcel_was_seen_on_its_way(
    shop: Shop, store: Store, before: bool
) -> None:
    Campaign.objects.create(
        name="Here", event_kind="delivered", via_conversation=False, subject="s", body="b"
    )
    seen_delivered(shop, before=before)
    tell()
    assert OrderEvent.objects.filter(kind=EventKind.DELIVERED).exists()
    assert len(mail.outbox) == (1 if before else 0)


def _partial(event: OrderEvent, snapshot: OrderSnapshot) -> None:
    Order.objects.filter(pk=event.order_id).update(is_partial=True, document=encode(snapshot))


@pytest.mark.parametrize("days", [20, 1])
def test_a_refund_whose_payments_are_read_later_is_as_old_as_it_is(
    demo: Store, campaign: Campaign, days: int
) -> None:
    """A back-fill brings orders without their payments, so that its bank seems silent."""
    event = refunded(demo, timedelta(days=days))
    unread = Refund(gid="1", created_at=event.occurred_at, total=snapshots.bag("7.00"))
    _partial(event, snapshots.order(email="jane@example.com", refunds=(unread,)))
    sweep_events()
    event.refresh_from_db()
    assert event.unsettled_at is None
    moved = RefundTransaction(gid="t", status="SUCCESS", amount=snapshots.bag("7.00"))
    whole = snapshots.order(
        email="jane@example.com", refunds=(replace(unread, transactions=(moved,)),)
    )
    Order.objects.update(is_partial=False, document=encode(whole))
    tell()
    assert len(mail.outbox) == (1 if days == 1 else 0)


@pytest.mark.parametrize(("away", "sent"), [(timedelta(days=3), 0), (timedelta(hours=2), 1)])
def test_a_bank_response_during_an_outage_is_announced_for_two_days(
    demo: Store, campaign: Campaign, away: timedelta, sent: int
) -> None:
    event = refunded(demo, timedelta(days=9))
    OrderEvent.objects.filter(pk=event.pk).update(unsettled_at=timezone.now() - away)
    tell()
    assert len(mail.outbox) == sent


def wait_two_days(then: Callable[[], object]) -> None:
    later = timezone.now() + lateness.TOLD_WITHIN + timedelta(minutes=1)
    with patch.object(timezone, "now", lambda: later):
        then()


@pytest.mark.parametrize("is_late", [True, False])
def test_a_checkout_that_was_left_before_the_campaign_was_on_is_not_reminded_of(
    shop: Shop, store: Store, is_late: bool
) -> None:
    made: datetime = timezone.now() - (timedelta(0) if is_late else timedelta(days=1))
    reminder = Campaign.objects.create(
        name="Reminder",
        event_kind="checkout_abandoned",
        purpose="marketing",
        via_conversation=False,
        subject="s",
        body="{{ unsubscribe_url }}",
        created_at=made,
    )
    shop.check_out(hours_ago=2)
    shop.deliver(Client())
    Checkout.objects.update(active_at=timezone.now() - timedelta(hours=2))
    tell()
    assert reminder.messages.filter(state=SendState.WRITTEN).count() == (0 if is_late else 1)


@pytest.mark.parametrize("is_again", [True, False])
def test_a_checkout_that_was_left_before_the_store_came_back_is_not_reminded_of(
    shop: Shop, store: Store, is_again: bool
) -> None:
    Campaign.objects.create(
        name="Reminder",
        event_kind="checkout_abandoned",
        purpose="marketing",
        via_conversation=False,
        subject="s",
        body="{{ unsubscribe_url }}",
        created_at=timezone.now() - LONG_AGO,
    )
    Store.objects.update(connected_at=timezone.now() - LONG_AGO)
    shop.check_out(hours_ago=10)
    shop.deliver(Client())
    Checkout.objects.update(active_at=timezone.now() - timedelta(hours=10))
    if is_again:
        privacy.note_uninstalled(store, now=timezone.now())
        privacy.note_installed(store)
    tell()
    assert len(mail.outbox) == (0 if is_again else 1)


def test_an_event_that_failed_for_days_is_given_up(
    demo: Store, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    refunded(demo, timedelta(0))
    with monkeypatch.context() as broken:
        broken.setattr(campaign_verbs, "_write", lambda event, now: 1 / 0)
        sweep_events()
    wait_two_days(tell)
    assert mail.outbox == []
    assert reasons() == {"It happened 2 days ago, and nothing could be sent in time."}
