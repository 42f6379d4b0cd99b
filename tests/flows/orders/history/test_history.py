"""What an order looked like when the customer wrote."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from inbox.conversations import services as talks
from inbox.models import Conversation, Message
from orders.models import Order, OrderVersion, Store
from orders.services import record_snapshot
from orders.versions import time_travel
from practice_store.changes import staff_actions
from tests.flows.test_main_job import panel
from tests.support.shop.in_process import Shop, fetch_dirty

pytestmark = pytest.mark.django_db(transaction=True)


def shipped(shop: Shop, order: Any) -> None:
    shop.act(lambda context: staff_actions.ship(context, order))


def delivered(shop: Shop, order: Any) -> None:
    shop.act(lambda context: staff_actions.carrier_says(context, order, "DELIVERED"))


def history(client: Client, conversation: Conversation, order: Order, **headers: str) -> str:
    address = f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/history/"
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def writes_again(conversation: Conversation) -> Message:
    message, _ = talks.receive(
        channel=conversation.channel,
        external_id=f"m-{Message.objects.count() + 1}",
        conversation_id="c-1",
        sender=talks.Sender(external_id="u-1", name="Jane Doe", email="jane@example.com"),
        text="And now?",
        sent_at=timezone.now(),
    )
    return message


def arrives(shop: Shop) -> None:
    shop.deliver(Client())
    fetch_dirty()


def test_the_panel_tells_what_changed_since_the_customer_wrote(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    order = shop.place()
    arrives(shop)
    writes_again(conversation)
    assert "Changed since" not in panel(as_alice, conversation)
    shipped(shop, order)
    arrives(shop)
    shown = panel(as_alice, conversation)
    assert "Changed since the customer wrote (" in shown
    assert "Unfulfilled → Fulfilled" in shown
    writes_again(conversation)
    assert "Changed since the customer wrote" not in panel(as_alice, conversation)


def test_the_history_has_every_state_with_its_time(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    order = shop.place()
    arrives(shop)
    for change in (shipped, delivered):
        change(shop, order)
        arrives(shop)
    row = Order.objects.get()
    assert OrderVersion.objects.count() == 2
    text = history(as_alice, conversation, row)
    assert "Earliest known version" in text
    assert text.index("current version") < text.index("Earliest known version")
    first = OrderVersion.objects.order_by("number")[0]
    assert first.snapshot.fulfillments == ()
    found = time_travel.as_of(row, first.since + timedelta(microseconds=1))
    assert found is not None
    assert found.fulfillments == ()


def test_reading_the_same_again_adds_no_state(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    shop.place()
    arrives(shop)
    row = Order.objects.get()
    now = timezone.now()
    record_snapshot(
        order=row, snapshot=row.snapshot, seq=row.dirty_seq, read_started_at=now, now=now
    )
    assert OrderVersion.objects.count() == 0


def test_a_state_is_never_changed(
    shop: Shop, store: Store, as_alice: Client, conversation: Conversation
) -> None:
    order = shop.place()
    arrives(shop)
    shipped(shop, order)
    arrives(shop)
    with pytest.raises(DatabaseError):
        OrderVersion.objects.update(number=99)


def test_without_keeping_states_nothing_is_told(
    shop: Shop,
    store: Store,
    as_alice: Client,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control."""
    monkeypatch.setattr("orders.projection.record.keep_state", lambda *a, **k: timezone.now())
    order = shop.place()
    arrives(shop)
    writes_again(conversation)
    shipped(shop, order)
    arrives(shop)
    assert "Changed since" not in panel(as_alice, conversation)
