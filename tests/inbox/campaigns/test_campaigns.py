"""Order events and their messages: each is sent once, and one action gets one message."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from inbox import tasks
from inbox.campaigns import order_events as campaigns_of_orders
from inbox.campaigns.order_events import handle_event
from inbox.models import (
    Campaign,
    CampaignCondition,
    CampaignMessage,
    Comparison,
    Conversation,
    MessageKind,
    SendState,
    Via,
)
from inbox.tasks import sweep_events, sweep_outbox
from orders.models import (
    ActionKind,
    ActionState,
    EventKind,
    EventSource,
    Order,
    OrderAction,
    OrderEvent,
    Store,
)
from orders.snapshot import encode
from tests.support.orders import snapshots

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(db: None) -> Order:
    """Jane's order #1001."""
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo", currency="EUR")
    snapshot = snapshots.order(email="jane@example.com")
    return Order.objects.create(
        store=store,
        gid=snapshot.gid,
        legacy_id=snapshot.legacy_id,
        name=snapshot.name,
        email=snapshot.email,
        currency="EUR",
        document=encode(snapshot),
    )


def event(order: Order, kind: EventKind, action: OrderAction | None = None) -> OrderEvent:
    refund = {"amount": Decimal("5.00"), "currency": "EUR"}
    return OrderEvent.objects.create(
        order=order,
        kind=kind,
        key=str(kind),
        occurred_at=timezone.now(),
        source=EventSource.AGENT if action else EventSource.SHOPIFY,
        action=action,
        **(refund if kind == EventKind.REFUNDED else {}),
    )


def cancel_and_refund(order: Order, by: User, conversation: Conversation) -> OrderAction:
    return OrderAction.objects.create(
        order=order,
        kind=ActionKind.CANCEL_AND_REFUND,
        state=ActionState.PENDING,
        requested_by=by,
        origin=conversation.origin,
        nonce="n",
        digest="d",
        proposal={},
        steps=[],
        amount=Decimal("5.00"),
        currency="EUR",
    )


def confirmations(conversation: Conversation) -> list[str]:
    said = conversation.messages.filter(kind=MessageKind.CONFIRMATION)
    return list(said.order_by("pk").values_list("text", flat=True))


def test_a_refund_is_told_once_on_each_channel_however_often_it_is_heard_of(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    refunded = event(order, EventKind.REFUNDED)
    for _again in range(3):
        handle_event(refunded.pk)
        sweep_events()
        sweep_outbox()
    assert confirmations(conversation) == ["We are refunding €5.00 of #1001."]
    assert [(m.to, m.subject) for m in mail.outbox] == [(["jane@example.com"], "Your order #1001")]


def test_without_the_mark_on_the_event_the_rows_still_keep_it_to_once(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    refunded = event(order, EventKind.REFUNDED)
    handle_event(refunded.pk)
    OrderEvent.objects.update(announced_at=None)
    handle_event(refunded.pk)
    assert len(confirmations(conversation)) == 1
    first = CampaignMessage.objects.filter(via=Via.EMAIL).get()
    with pytest.raises(IntegrityError), transaction.atomic():
        CampaignMessage.objects.create(
            campaign=first.campaign, event=refunded, via=Via.EMAIL, state=SendState.WRITTEN
        )


def test_without_mark_and_rows_the_customer_would_be_told_twice(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    """Negative control of the two tests above."""
    refunded = event(order, EventKind.REFUNDED)
    for _again in range(2):
        handle_event(refunded.pk)
        OrderEvent.objects.update(announced_at=None)
        CampaignMessage.objects.all().delete()
    assert len(confirmations(conversation)) == 2


def test_a_lost_signal_is_found_by_the_sweep(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    event(order, EventKind.CANCELED)
    sweep_events()
    assert confirmations(conversation) == ["#1001 was canceled."]
    assert not OrderEvent.objects.unannounced().exists()


def test_a_cancellation_waits_for_its_refund_and_announces_both_in_one_message(
    order: Order, conversation: Conversation, campaigns: list[Campaign], alice: User
) -> None:
    action = cancel_and_refund(order, alice, conversation)
    canceled = event(order, EventKind.CANCELED, action)
    assert handle_event(canceled.pk) is False
    assert confirmations(conversation) == []
    event(order, EventKind.REFUNDED, action)
    sweep_events()
    sweep_events()
    assert confirmations(conversation) == ["#1001 was canceled. We are refunding €5.00."]


def test_a_refund_hours_after_its_cancellation_has_a_message_of_its_own(
    order: Order, conversation: Conversation, campaigns: list[Campaign], alice: User
) -> None:
    action = cancel_and_refund(order, alice, conversation)
    canceled = event(order, EventKind.CANCELED, action)
    OrderEvent.objects.update(recorded_at=timezone.now() - timedelta(hours=2))
    assert handle_event(canceled.pk) is True
    event(order, EventKind.REFUNDED, action)
    sweep_events()
    assert confirmations(conversation) == [
        "#1001 was canceled.",
        "We are refunding €5.00 of #1001.",
    ]


def test_without_a_message_for_cancellations_the_refund_is_told_by_itself(
    order: Order, conversation: Conversation, campaigns: list[Campaign], alice: User
) -> None:
    Campaign.objects.filter(event_kind=EventKind.CANCELED).update(is_active=False)
    action = cancel_and_refund(order, alice, conversation)
    event(order, EventKind.CANCELED, action)
    event(order, EventKind.REFUNDED, action)
    sweep_events()
    assert confirmations(conversation) == ["We are refunding €5.00 of #1001."]


@pytest.fixture
def left_out(
    order: Order, conversation: Conversation, campaigns: list[Campaign], alice: User
) -> tuple[OrderEvent, OrderEvent]:
    """A cancellation and its refund, of a customer outside the audience of the cancellation's campaign."""
    CampaignCondition.objects.create(
        campaign=campaigns[0],
        event_kind=EventKind.CANCELED,
        comparison=Comparison.AT_LEAST,
        count=2,
    )
    action = cancel_and_refund(order, alice, conversation)
    return event(order, EventKind.CANCELED, action), event(order, EventKind.REFUNDED, action)


def test_a_refund_waits_for_its_cancellations_message_and_is_told_by_itself_where_there_is_none(
    left_out: tuple[OrderEvent, OrderEvent], conversation: Conversation
) -> None:
    canceled, refunded = left_out
    assert handle_event(refunded.pk) is False
    assert not CampaignMessage.objects.exists()
    assert handle_event(canceled.pk) is True
    assert set(CampaignMessage.objects.values_list("state", "reason")) == {
        (SendState.SKIPPED, "The customer isn’t in the campaign’s audience.")
    }
    assert confirmations(conversation) == []
    sweep_events()
    assert confirmations(conversation) == ["We are refunding €5.00 of #1001."]


def test_a_refund_that_did_not_wait_would_never_be_announced(
    left_out: tuple[OrderEvent, OrderEvent], conversation: Conversation
) -> None:
    """Negative control: it relies on a message whose delivery is still unknown."""
    canceled, refunded = left_out
    with patch.object(campaigns_of_orders, "_must_wait", lambda *_: False):
        assert handle_event(refunded.pk) is True
        handle_event(canceled.pk)
    sweep_events()
    assert confirmations(conversation) == []


def test_a_cancellation_that_was_only_considered_would_swallow_its_refund(
    left_out: tuple[OrderEvent, OrderEvent], conversation: Conversation
) -> None:
    """Negative control: a row that says why nothing was written, taken for a message."""
    for row in left_out:
        handle_event(row.pk)
        CampaignMessage.objects.filter(event=left_out[0]).update(state=SendState.WRITTEN)
    assert not OrderEvent.objects.unannounced().exists()
    assert confirmations(conversation) == []


def test_a_refund_does_not_wait_for_ever(
    left_out: tuple[OrderEvent, OrderEvent],
) -> None:
    OrderEvent.objects.update(recorded_at=timezone.now() - timedelta(hours=2))
    assert handle_event(left_out[1].pk) is True


def test_a_customer_notified_by_shopify_gets_no_second_message(
    order: Order, conversation: Conversation, campaigns: list[Campaign], alice: User
) -> None:
    action = cancel_and_refund(order, alice, conversation)
    OrderAction.objects.update(notify=True)
    event(order, EventKind.REFUNDED, action)
    event(order, EventKind.CANCELED, action)
    sweep_events()
    sweep_outbox()
    assert confirmations(conversation) == []
    assert mail.outbox == []
    states = set(CampaignMessage.objects.values_list("state", "reason"))
    assert states == {(SendState.SKIPPED, "Shopify notifies the customer.")}


def test_a_customers_name_that_reads_like_a_placeholder_stays_text(
    order: Order, conversation: Conversation, campaigns: list[Campaign]
) -> None:
    Order.objects.update(
        document=encode(snapshots.order(name="{{ store.name }}", email="jane@example.com"))
    )
    Order.objects.update(name="{{ store.name }}")
    event(order, EventKind.CANCELED)
    sweep_events()
    assert confirmations(conversation) == ["{{ store.name }} was canceled."]


def test_without_an_address_and_a_conversation_the_reason_is_on_the_rows(
    order: Order, campaigns: list[Campaign]
) -> None:
    Order.objects.update(email="")
    event(order, EventKind.CANCELED)
    sweep_events()
    reasons = dict(CampaignMessage.objects.values_list("via", "reason"))
    assert reasons == {
        Via.EMAIL: "The order has no email address.",
        Via.CONVERSATION: "The customer has no conversation.",
    }


def test_an_event_that_fails_does_not_keep_the_next_one_waiting(
    order: Order,
    conversation: Conversation,
    campaigns: list[Campaign],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, next_one = event(order, EventKind.PLACED), event(order, EventKind.CANCELED)
    real = campaigns_of_orders.handle_event

    def fails(event_id: int) -> bool:
        if event_id == broken.pk:
            raise ValueError("as a bug would")
        return real(event_id)

    monkeypatch.setattr(campaigns_of_orders, "handle_event", fails)
    monkeypatch.setattr(tasks, "SWEEP_ROWS", 1)
    sweep_events()
    assert confirmations(conversation) == ["#1001 was canceled."]
    assert [row.pk for row in OrderEvent.objects.unannounced()] == [broken.pk]
    assert next_one.pk > broken.pk
