"""Events learned of too late go on the timeline, and no message is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from inbox.campaigns.order_events import handle_event
from inbox.models import (
    Campaign,
    CampaignMessage,
    Conversation,
    DeliveryState,
    MessageKind,
    SendState,
    Via,
)
from inbox.suppression import lateness
from inbox.tasks import sweep_events, sweep_marketing, sweep_outbox
from orders import privacy
from orders.models import EventKind, EventSource, Order, OrderEvent, Store
from orders.snapshot import encode
from practice_store.changes import staff_actions as shop_actions
from tests.support.orders import snapshots
from tests.support.shop.in_process import Shop

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(db: None) -> Order:
    shop = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    snapshot = snapshots.order(email="jane@example.com")
    return Order.objects.create(
        store=shop,
        gid=snapshot.gid,
        legacy_id=1,
        name=snapshot.name,
        email=snapshot.email,
        currency="EUR",
        document=encode(snapshot),
    )


def refunded(order: Order, *, happened: timedelta, heard: timedelta = timedelta(0)) -> OrderEvent:
    """A refund that happened, and that we learned of, so long ago."""
    now = timezone.now()
    made = OrderEvent.objects.create(
        order=order,
        kind=EventKind.REFUNDED,
        key="refunded:1",
        occurred_at=now - happened,
        source=EventSource.SHOPIFY,
        amount=Decimal("7.00"),
        currency="EUR",
    )
    OrderEvent.objects.filter(pk=made.pk).update(recorded_at=now - heard)
    return made


def log() -> set[tuple[str, str, str]]:
    return set(CampaignMessage.objects.values_list("via", "state", "reason"))


def said(conversation: Conversation) -> list[str]:
    found = conversation.messages.filter(kind=MessageKind.CONFIRMATION)
    return list(found.values_list("text", flat=True))


def test_after_an_outage_old_events_send_no_message(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    late = refunded(order, happened=timedelta(days=90, hours=1))
    for _again in range(2):
        handle_event(late.pk)
        sweep_events()
        sweep_outbox()
    assert said(conversation) == []
    assert mail.outbox == []
    why = "It happened 90 days before we learned of it."
    assert log() == {(via, SendState.SKIPPED, why) for via in (Via.EMAIL, Via.CONVERSATION)}
    late.refresh_from_db()
    assert late.announced_at is not None


def test_without_the_question_they_would_be_told(
    order: Order,
    conversation: Conversation,
    campaigns: list[Campaign],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control."""
    monkeypatch.setattr(lateness, "refusal", lambda event, *, now: "")
    long_ago = timezone.now() - timedelta(days=100)
    Store.objects.update(connected_at=long_ago)
    Campaign.objects.update(created_at=long_ago)
    handle_event(refunded(order, happened=timedelta(days=90)).pk)
    sweep_outbox()
    assert said(conversation) == ["We are refunding €7.00 of #1001."]
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("happened", "heard", "reason"),
    [
        ({"hours": 47, "minutes": 59}, {}, ""),
        ({"hours": 47, "minutes": 59}, {"hours": 47}, ""),
        ({"hours": 48, "minutes": 1}, {}, "It happened 2 days before we learned of it."),
        # Heard in time, and no worker ran; or a little of both.
        ({"days": 5}, {"days": 5}, "It happened 5 days ago, and nothing could be sent in time."),
        (
            {"hours": 60},
            {"hours": 30},
            "It happened 2 days ago, and nothing could be sent in time.",
        ),
        # Shopify's clock is ahead of ours.
        ({"minutes": -5}, {}, ""),
    ],
)
def test_two_days_is_the_limit(
    order: Order, happened: dict[str, int], heard: dict[str, int], reason: str
) -> None:
    made = refunded(order, happened=timedelta(**happened), heard=timedelta(**heard))
    made.refresh_from_db()
    assert lateness.refusal(made, now=timezone.now()) == reason


def test_marketing_is_not_even_asked_for(order: Order) -> None:
    Campaign.objects.create(
        name="Review",
        event_kind="delivered",
        purpose="marketing",
        via_conversation=False,
        subject="How is it?",
        body="{{ unsubscribe_url }}",
    )
    late = refunded(order, happened=timedelta(days=3))
    OrderEvent.objects.filter(pk=late.pk).update(kind=EventKind.DELIVERED)
    handle_event(late.pk)
    assert log() == {(Via.EMAIL, SendState.SKIPPED, "It happened 3 days before we learned of it.")}


def test_marketing_that_waited_for_shopify_too_long_is_left_out(
    shop: Shop, seen: Seen, store: Store
) -> None:
    Campaign.objects.create(
        name="Thanks",
        event_kind="placed",
        purpose="marketing",
        via_conversation=False,
        subject="Thanks",
        body="{{ unsubscribe_url }}",
    )
    shop.place()
    seen()
    # As when no worker ran for three days.
    CampaignMessage.objects.update(
        state=SendState.WAITING, reason="", next_attempt_at=None, attempts=0
    )
    past = timezone.now() - timedelta(days=3)
    OrderEvent.objects.update(occurred_at=past, recorded_at=past)
    for customer in shop.store.world.shops["demo.myshopify.com"].customers.values():
        customer.email_consent = "SUBSCRIBED"
    sweep_marketing()
    sweep_outbox()
    assert mail.outbox == []
    why = "It happened 3 days ago, and nothing could be sent in time."
    assert log() == {(Via.EMAIL, SendState.SKIPPED, why)}


@pytest.mark.parametrize(("days", "sent"), [(1, 1), (3, 0)])
def test_what_was_written_and_could_not_leave_for_days_is_given_up(
    order: Order, conversation: Conversation, campaigns: list[Campaign], days: int, sent: int
) -> None:
    handle_event(refunded(order, happened=timedelta(0)).pk)
    mail.outbox.clear()
    row = CampaignMessage.objects.get(via=Via.EMAIL)
    message = conversation.messages.get(kind=MessageKind.CONFIRMATION)
    past = timezone.now() - timedelta(days=days)
    waits: dict[str, Any] = {"delivery_state": DeliveryState.PENDING, "next_attempt_at": None}
    CampaignMessage.objects.filter(pk=row.pk).update(written_at=past, attempts=0, **waits)
    conversation.messages.filter(pk=message.pk).update(created_at=past, attempts=0, **waits)
    sweep_outbox()
    row.refresh_from_db()
    message.refresh_from_db()
    assert len(mail.outbox) == sent
    if not sent:
        assert (row.delivery_state, row.error) == (
            DeliveryState.FAILED,
            "It could not be sent in time.",
        )
        assert (message.delivery_state, message.error) == (row.delivery_state, row.error)


def place_refunded(shop: Shop, ago: timedelta) -> None:
    """An order that was placed and refunded so long ago by the shop's clock."""
    shop.store.world.ahead_s -= ago.total_seconds()
    try:
        placed = shop.place()
        shop.act(lambda c: shop_actions.refund(c, placed, Decimal("7.00")))
    finally:
        shop.store.world.ahead_s += ago.total_seconds()


def send_all() -> None:
    sweep_events()
    sweep_outbox()


def connected(store: Store, ago: timedelta) -> datetime:
    at = timezone.now() - ago
    Store.objects.filter(pk=store.pk).update(connected_at=at)
    return at


def test_an_order_read_after_an_outage_has_its_history_and_no_message(
    shop: Shop, seen: Seen, store: Store, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    connected(store, timedelta(days=365))
    place_refunded(shop, timedelta(days=90))
    event = seen().events.get(kind=EventKind.REFUNDED)
    send_all()
    assert timezone.now() - event.occurred_at > timedelta(days=89)
    assert said(conversation) == []
    assert mail.outbox == []
    assert {reason for _via, _state, reason in log()} == {
        "It happened 90 days before we learned of it."
    }


@pytest.mark.parametrize("is_again", [True, False])
def test_a_store_that_comes_back_announces_nothing_from_its_absence(
    shop: Shop,
    seen: Seen,
    store: Store,
    conversation: Conversation,
    campaigns: list[Campaign],
    is_again: bool,
) -> None:
    """And without the uninstallation in between, its control, it does."""
    began = connected(store, timedelta(days=365))
    place_refunded(shop, timedelta(minutes=5))
    if is_again:
        privacy.note_uninstalled(store, now=timezone.now())
        privacy.note_installed(store)
    store.refresh_from_db()
    assert (store.connected_at > began, store.is_active) == (is_again, True)
    event = seen().events.get(kind=EventKind.REFUNDED)
    send_all()
    assert (event.announced_at == event.occurred_at) == is_again
    assert said(conversation) == ([] if is_again else ["We are refunding €7.00 of #1001."])
    assert len(mail.outbox) == (0 if is_again else 1)


def test_a_test_call_that_works_is_no_new_connection(store: Store) -> None:
    began = connected(store, timedelta(days=365))
    privacy.note_installed(store)
    store.refresh_from_db()
    assert store.connected_at == began
