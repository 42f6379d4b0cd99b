"""Messages leave in a conversation's order, within the lanes of a route, and never for a channel
that is switched off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox import outbox
from inbox.channels.errors import NotSent
from inbox.conversations import services
from inbox.models import (
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
)
from inbox.outbox import claiming, delivery_lanes
from inbox.outbox.delivery_lanes import Way
from inbox.tasks import sweep_outbox
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db(transaction=True)


class Carrier:
    """In the place of the callback: notes what it is given; refuses what a bad channel sends."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.bad: set[int] = set()
        self.is_final = False

    def __call__(self, message: Message) -> None:
        if message.channel_id in self.bad:
            raise NotSent("No.", is_final=self.is_final)
        self.texts.append(message.text)


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    found = Carrier()
    monkeypatch.setitem(outbox.SENDERS, ChannelKind.API, found)
    return found


@pytest.fixture
def talking(conversation: Conversation) -> Conversation:
    """Its replies leave."""
    Channel.objects.update(callback_url="https://chat.example/callback")
    return Conversation.objects.select_related("channel", "contact").get(pk=conversation.pk)


def another(channel: Channel, name: str) -> Conversation:
    contact = Contact.objects.create(name=name)
    return Conversation.objects.create(channel=channel, contact=contact, external_id=name)


def pending(conversation: Conversation, text: str) -> Message:
    return Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.REPLY,
        text=text,
        delivery_state=DeliveryState.PENDING,
    )


def test_a_quick_second_reply_does_not_overtake_the_first(
    talking: Conversation, carrier: Carrier, alice: User
) -> None:
    carrier.bad = {talking.channel_id}
    services.reply(conversation=talking, by=alice, text="First")
    carrier.bad = set()
    services.reply(conversation=talking, by=alice, text="Second")
    sweep_outbox()
    assert carrier.texts == []
    Message.objects.update(next_attempt_at=None)
    sweep_outbox()
    assert carrier.texts == ["First", "Second"]


def test_without_the_order_it_would(
    talking: Conversation, carrier: Carrier, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    monkeypatch.setattr(claiming, "sendable", claiming.due)
    carrier.bad = {talking.channel_id}
    services.reply(conversation=talking, by=alice, text="First")
    carrier.bad = set()
    services.reply(conversation=talking, by=alice, text="Second")
    Message.objects.update(next_attempt_at=None)
    sweep_outbox()
    assert carrier.texts == ["Second", "First"]


def test_what_comes_after_one_that_was_given_up_leaves(
    talking: Conversation, carrier: Carrier, alice: User
) -> None:
    carrier.bad, carrier.is_final = {talking.channel_id}, True
    first = services.reply(conversation=talking, by=alice, text="First")
    carrier.bad = set()
    services.reply(conversation=talking, by=alice, text="Second")
    first.refresh_from_db()
    assert (first.delivery_state, carrier.texts) == (DeliveryState.FAILED, ["Second"])


def test_one_conversation_that_fails_holds_no_other(
    talking: Conversation, carrier: Carrier
) -> None:
    other = Channel.objects.create(name="Other", callback_url="https://other.example/")
    carrier.bad = {talking.channel_id}
    for number in range(5):
        pending(talking, f"bad {number}")
    pending(another(other, "John"), "good")
    sweep_outbox()
    assert carrier.texts == ["good"]
    tried = Message.objects.filter(attempts__gt=0, delivery_state=DeliveryState.PENDING)
    assert [message.text for message in tried] == ["bad 0"]


def under_way(message: Message) -> Message:
    """A worker is sending it."""
    Message.objects.filter(pk=message.pk).update(
        lease_until=timezone.now() + outbox.LEASE, attempts=1
    )
    return message


def test_no_channel_has_more_than_its_lanes(talking: Conversation, carrier: Carrier) -> None:
    for number in range(delivery_lanes.LANES_PER_CHANNEL):
        under_way(pending(another(talking.channel, f"slow {number}"), "slow"))
    waiting = pending(another(talking.channel, "Jane"), "waits")
    outbox.deliver_message(waiting.pk)
    sweep_outbox()
    assert carrier.texts == []
    other = Channel.objects.create(name="Other", callback_url="https://other.example/")
    outbox.deliver_message(pending(another(other, "John"), "has room").pk)
    assert carrier.texts == ["has room"]
    # One of the slow ones has ended.
    Message.objects.filter(conversation__external_id="slow 0").update(
        lease_until=None, delivery_state=DeliveryState.SENT
    )
    sweep_outbox()
    assert carrier.texts == ["has room", "waits"]


def test_all_callbacks_together_leave_the_mail_server_its_lanes(
    talking: Conversation, carrier: Carrier
) -> None:
    for number in range(delivery_lanes.LANES[Way.CALLBACK]):
        channel = Channel.objects.create(name=f"C{number}", callback_url="https://c.example/")
        under_way(pending(another(channel, "slow"), "slow"))
    waiting = pending(talking, "waits")
    assert outbox.deliver_message(waiting.pk) is None
    by_mail = Channel.objects.create(name="Mail", kind=ChannelKind.EMAIL)
    john = another(by_mail, "John")
    john.contact.identities.create(kind="email", value="john@example.com")
    outbox.deliver_message(pending(john, "by mail").pk)
    assert [(m.to, m.body) for m in mail.outbox] == [(["john@example.com"], "by mail")]
    assert carrier.texts == []


def test_a_worker_that_finishes_takes_the_next_message_of_the_lane(
    talking: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first is being sent its channel is full; the next one needs no further wake-up."""
    from inbox.tasks import deliver_message

    taken: list[str] = []
    monkeypatch.setattr(claiming, "LANES_PER_CHANNEL", 1)
    first = pending(another(talking.channel, "a"), "first")
    later = [pending(another(talking.channel, f"b{n}"), f"later {n}") for n in range(3)]

    def carry(message: Message) -> None:
        if not taken:
            for row in later:
                deliver_message(row.pk)
        taken.append(message.text)

    monkeypatch.setitem(outbox.SENDERS, ChannelKind.API, carry)
    deliver_message(first.pk)
    assert taken == ["first", "later 0", "later 1", "later 2"]


def test_one_that_cannot_go_on_keeps_no_other_waiting(
    talking: Conversation, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has taken the first of those that were ready."""
    from inbox.tasks import deliver_message

    began = pending(another(talking.channel, "a"), "began")
    lost = pending(another(talking.channel, "b"), "lost")
    pending(another(talking.channel, "c"), "other")
    real = outbox.ready

    def ready(*words: Any, **more: Any) -> list[outbox.Job]:
        jobs = real(*words, **more)
        if lost.pk in [job.pk for job in jobs]:
            under_way(lost)
        return jobs

    monkeypatch.setattr(outbox, "ready", ready)
    deliver_message(began.pk)
    assert carrier.texts == ["began", "other"]


def test_a_channel_that_is_switched_off_sends_nothing_and_says_so(
    talking: Conversation, carrier: Carrier, as_alice: Client
) -> None:
    waiting = pending(talking, "Hello")
    Channel.objects.update(is_active=False)
    for _ in range(2):
        sweep_outbox()
        outbox.deliver_message(waiting.pk)
    waiting.refresh_from_db()
    assert (carrier.texts, waiting.delivery_state) == ([], DeliveryState.PENDING)
    page = as_alice.get(f"/inbox/conversations/{talking.pk}/thread/").content.decode()
    assert "Waiting: Messenger is turned off." in page
    Channel.objects.update(is_active=True)
    sweep_outbox()
    assert carrier.texts == ["Hello"]


def test_what_waited_too_long_for_its_channel_comes_back(
    talking: Conversation, carrier: Carrier, alice: User
) -> None:
    waiting = pending(talking, "Hello")
    Channel.objects.update(is_active=False)
    Message.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(hours=49))
    sweep_outbox()
    waiting.refresh_from_db()
    assert (waiting.delivery_state, waiting.error) == (
        DeliveryState.FAILED,
        "The channel is turned off.",
    )
    page = logged_in(alice).get(f"/inbox/conversations/{talking.pk}/").content.decode()
    assert "A reply was not delivered." in page
    assert "The channel is turned off." in page


def test_a_sweep_sends_nothing_itself(
    talking: Conversation, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rings, for as many as there is room for: one mute host must not keep it."""
    rung: list[int] = []
    monkeypatch.setattr("core.queue.enqueue", lambda task, pk: rung.append(pk))
    rows = [pending(another(talking.channel, f"n{number}"), "x") for number in range(20)]
    sweep_outbox()
    assert rung == [row.pk for row in rows[: delivery_lanes.LANES_PER_CHANNEL]]
    assert carrier.texts == []
