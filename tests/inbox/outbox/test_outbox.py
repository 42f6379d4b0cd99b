"""Every message is sent once: claims, back-off, giving up, and waking workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core import mail
from django.utils import timezone

from inbox import outbox
from inbox.channels import SENDERS, email, sms
from inbox.channels.errors import NotSent
from inbox.live import events
from inbox.models import (
    Campaign,
    CampaignMessage,
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
    SendState,
    Via,
)
from inbox.outbox import claiming
from inbox.outbox.delivery_lanes import Way
from inbox.suppression import consent
from inbox.tasks import sweep_outbox
from orders.models import EventKind, EventSource, Order, OrderEvent, Store

pytestmark = pytest.mark.django_db
WAITS_S = [5, 30, 120, 600, 1800, 3600, 3600]


class Carrier:
    """In the place of a channel: takes what it is given, or raises."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.error: Exception | None = None
        self.states: list[str] = []

    def __call__(self, row: Any) -> None:
        if self.error:
            raise self.error
        self.taken.append(row.pk)


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    found = Carrier()
    monkeypatch.setitem(SENDERS, ChannelKind.API, found)
    monkeypatch.setitem(outbox.CARRIERS, Via.EMAIL, found)
    return found


@pytest.fixture
def message() -> Message:
    channel = Channel.objects.create(name="Messenger", proves_addresses=True)
    conversation = Conversation.objects.create(
        channel=channel, contact=Contact.objects.create(name="Jane"), external_id="c-1"
    )
    return Message.objects.create(
        conversation=conversation,
        channel=channel,
        kind=MessageKind.REPLY,
        text="Hello",
        delivery_state=DeliveryState.PENDING,
    )


@pytest.fixture
def row() -> CampaignMessage:
    """A campaign's message that hasn't been written yet."""
    store = Store.objects.create(domain="demo.myshopify.com")
    order = Order.objects.create(
        store=store, gid="gid://shopify/Order/1", legacy_id=1, email="jane@example.com"
    )
    event = OrderEvent.objects.create(
        order=order,
        key="canceled",
        kind=EventKind.CANCELED,
        occurred_at=timezone.now(),
        source=EventSource.SHOPIFY,
    )
    campaign = Campaign.objects.create(
        name="Canceled", event_kind=EventKind.CANCELED, subject="Hi", body="Gone"
    )
    return CampaignMessage.objects.create(
        campaign=campaign, event=event, via=Via.EMAIL, state=SendState.WAITING
    )


def written(row: CampaignMessage, **more: Any) -> CampaignMessage:
    draft = outbox.Draft(via=Via.EMAIL, recipient="jane@example.com", subject="Hi", body="Come")
    outbox.write_campaign(row, draft, now=timezone.now(), **more)
    row.refresh_from_db()
    return row


Deliver = Callable[[], object]


@pytest.fixture(params=["message", "campaign"])
def leaving(request: pytest.FixtureRequest) -> tuple[Any, Deliver]:
    """A row that is to leave, and the verb that sends it: both kinds behave alike."""
    if request.param == "message":
        found: Any = request.getfixturevalue("message")
        return found, lambda: outbox.deliver_message(found.pk)
    found = written(request.getfixturevalue("row"))
    return found, lambda: outbox.deliver_campaign(found.pk)


def test_what_was_taken_is_sent_and_leaves_no_more(
    leaving: tuple[Any, Deliver], carrier: Carrier
) -> None:
    row, deliver = leaving
    type(row).objects.update(error="It failed before.")
    began = timezone.now()
    deliver()
    deliver()
    assert carrier.taken == [row.pk]
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts, row.error) == (DeliveryState.SENT, 1, "")
    assert row.sent_at >= began
    assert row.next_attempt_at is None


def test_only_one_worker_has_it(leaving: tuple[Any, Deliver], carrier: Carrier) -> None:
    """The second comes while the first is sending, and finds nothing to do."""
    row, deliver = leaving
    seen: list[timedelta] = []

    class Slow(Carrier):
        def __call__(self, sent: Any) -> None:
            deliver()
            row.refresh_from_db()
            seen.append(row.lease_until - timezone.now())
            carrier(sent)

    for carriers, key in ((SENDERS, ChannelKind.API), (outbox.CARRIERS, Via.EMAIL)):
        carriers[key] = Slow()  # put back by the fixture
    deliver()
    assert carrier.taken == [row.pk]
    assert timedelta(seconds=50) < seen[0] <= outbox.LEASE


def test_a_dead_workers_attempt_counts_and_leaves_again_after_its_lease(
    leaving: tuple[Any, Deliver], carrier: Carrier, time_machine: Any
) -> None:
    row, deliver = leaving
    carrier.error = SoftTimeLimitExceeded()
    began = timezone.now()
    time_machine.move_to(began, tick=False)
    with pytest.raises(SoftTimeLimitExceeded):
        deliver()
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts) == (DeliveryState.PENDING, 1)
    carrier.error = None
    time_machine.move_to(began + outbox.LEASE - timedelta(seconds=1), tick=False)
    deliver()
    assert carrier.taken == []
    time_machine.move_to(began + outbox.LEASE + timedelta(seconds=1), tick=False)
    deliver()
    assert carrier.taken == [row.pk]


def test_a_row_that_kills_its_workers_backs_off_and_has_an_end(
    leaving: tuple[Any, Deliver], carrier: Carrier, time_machine: Any
) -> None:
    """The worker dies each time, so the attempt's outcome is never recorded."""
    row, deliver = leaving
    carrier.error = SoftTimeLimitExceeded()
    now, waits = timezone.now(), []
    for attempt in range(1, outbox.ATTEMPTS + 1):
        time_machine.move_to(now, tick=False)
        with pytest.raises(SoftTimeLimitExceeded):
            deliver()
        row.refresh_from_db()
        assert row.attempts == attempt
        again_at = max(row.next_attempt_at, row.lease_until) + timedelta(seconds=1)
        time_machine.move_to(again_at - timedelta(seconds=2), tick=False)
        deliver()
        row.refresh_from_db()
        assert row.attempts == attempt, "neither before its lease is over, nor its back-off"
        waits.append(again_at - now)
        now = again_at
    assert waits == sorted(waits)
    assert waits[-1] > timedelta(minutes=59)
    time_machine.move_to(now, tick=False)
    deliver()
    sweep_outbox()
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts) == (DeliveryState.FAILED, outbox.ATTEMPTS)
    assert row.error == "It was tried 8 times."


def test_a_failure_is_tried_again_ever_later_and_has_an_end(
    leaving: tuple[Any, Deliver], carrier: Carrier, time_machine: Any
) -> None:
    row, deliver = leaving
    carrier.error = NotSent("The line is down.")
    now = timezone.now()
    for wait_s in WAITS_S:
        time_machine.move_to(now, tick=False)
        deliver()
        row.refresh_from_db()
        assert row.delivery_state == DeliveryState.PENDING
        assert row.next_attempt_at == now + timedelta(seconds=wait_s)
        assert row.error == "The line is down."
        now = row.next_attempt_at
    time_machine.move_to(now, tick=False)
    deliver()
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts) == (DeliveryState.FAILED, len(WAITS_S) + 1)
    assert row.next_attempt_at is None
    carrier.error = None
    deliver()
    assert carrier.taken == []


def test_what_can_never_leave_is_not_tried_again(
    leaving: tuple[Any, Deliver], carrier: Carrier
) -> None:
    row, deliver = leaving
    carrier.error = NotSent("No such number." + "x" * 400, is_final=True)
    deliver()
    row.refresh_from_db()
    assert (row.delivery_state, row.attempts) == (DeliveryState.FAILED, 1)
    assert row.next_attempt_at is None
    assert row.sent_at is None
    assert row.error.startswith("No such number.")
    assert len(row.error) == 300


def test_whatever_a_channel_raises_counts_as_a_try(
    leaving: tuple[Any, Deliver], carrier: Carrier
) -> None:
    row, deliver = leaving
    carrier.error = KeyError("sid")
    deliver()
    row.refresh_from_db()
    assert (row.delivery_state, row.error) == (DeliveryState.PENDING, "It failed: KeyError.")


def test_what_is_kept_or_not_yet_due_does_not_leave(
    leaving: tuple[Any, Deliver], carrier: Carrier
) -> None:
    row, deliver = leaving
    model, now = type(row), timezone.now()
    assert list(outbox.due(model, now=now)) == [row]
    model.objects.update(next_attempt_at=now)
    assert list(outbox.due(model, now=now)) == [row]
    model.objects.update(next_attempt_at=now + timedelta(minutes=1))
    assert not outbox.due(model, now=now).exists()
    deliver()
    for state in (DeliveryState.KEPT, DeliveryState.SENT, DeliveryState.FAILED):
        model.objects.update(next_attempt_at=None, delivery_state=state)
        assert not outbox.due(model, now=now).exists()
        deliver()
    assert carrier.taken == []


def test_a_campaigns_email_is_what_was_written(row: CampaignMessage) -> None:
    found = written(row)
    assert (found.state, found.delivery_state) == (SendState.WRITTEN, DeliveryState.PENDING)
    assert found.written_at
    outbox.deliver_campaign(found.pk)
    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body) == (["jane@example.com"], "Hi", "Come")
    assert sent.extra_headers["Message-ID"] == f"<campaign-{found.pk}@agent-inbox>"


def test_a_campaigns_sms_is_what_was_written(
    row: CampaignMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []
    monkeypatch.setattr(sms, "send_text", lambda **words: sent.append(words))
    found = written(row)
    CampaignMessage.objects.update(via=Via.SMS, recipient="+4915112345678")
    # Whose number it is: tests/inbox/outbox/test_leaving.py.
    monkeypatch.setattr(consent, "leaving_refusal", lambda row, by_hand: "")
    outbox.deliver_campaign(found.pk)
    assert sent == [{"to": "+4915112345678", "text": "Come", "message_id": f"campaign-{found.pk}"}]


def test_a_row_that_was_tried_before_starts_over(row: CampaignMessage) -> None:
    CampaignMessage.objects.update(attempts=7, next_attempt_at=timezone.now())
    row.refresh_from_db()
    found = written(row)
    assert (found.attempts, found.next_attempt_at) == (0, None)
    assert (found.subject, found.body) == ("Hi", "Come")


def test_in_a_conversation_the_message_leaves_and_the_row_does_not(
    row: CampaignMessage,
    message: Message,
    rung: list[tuple[str, int]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        found = written(row, message=message)
    assert found.message == message
    assert (found.recipient, found.delivery_state) == ("", DeliveryState.KEPT)
    assert rung == []


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "core.queue.enqueue", lambda task, pk: found.append((task.rpartition(".")[2], pk))
    )
    return found


def test_a_worker_is_woken_after_the_commit(
    row: CampaignMessage,
    message: Message,
    rung: list[tuple[str, int]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        written(row)
        outbox.wake(message)
        assert rung == []
    assert rung == [("deliver_campaign", row.pk), ("deliver_message", message.pk)]
    rung.clear()
    message.delivery_state = DeliveryState.KEPT
    with django_capture_on_commit_callbacks(execute=True):
        outbox.wake(message)
    assert rung == []


def test_a_conversations_page_hears_of_it(
    message: Message, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, ...]] = []
    monkeypatch.setattr(events, "announce", lambda *topics: heard.append(topics))
    outbox.deliver_message(message.pk)
    carrier.error = NotSent("No.")
    outbox.deliver_message(message.pk)
    assert heard == [(f"conversation:{message.conversation_id}",)]


def test_a_slow_mail_server_is_not_handed_the_same_mail_twice(
    row: CampaignMessage, monkeypatch: pytest.MonkeyPatch, time_machine: Any
) -> None:
    outbox.write_campaign(
        row, outbox.Draft(via=Via.EMAIL, recipient="jane@example.com"), now=timezone.now()
    )
    # After the question to Shopify, and with a name that is looked up slowly.
    slow = timedelta(seconds=email.WITHIN_S + 12 + 30)
    taken: list[int] = []

    def send(found: CampaignMessage) -> None:
        taken.append(found.pk)
        if len(taken) == 1:
            time_machine.move_to(timezone.now() + slow)
            outbox.deliver_campaign(found.pk)

    monkeypatch.setitem(outbox.CARRIERS, Via.EMAIL, send)
    outbox.deliver_campaign(row.pk)
    assert taken == [row.pk]


def test_a_failed_enqueue_rolls_nothing_back(
    row: CampaignMessage,
    message: Message,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def broken(*_words: Any) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr("core.queue.enqueue", broken)
    with django_capture_on_commit_callbacks(execute=True) as rung:
        found = written(row)
        outbox.wake(message)
    assert len(rung) == 2
    assert list(outbox.due(CampaignMessage, now=timezone.now())) == [found]
    assert list(outbox.due(Message, now=timezone.now())) == [message]


LONG_AGO = timedelta(days=3)


@pytest.mark.parametrize("column", ["written_at", "created_at"])
def test_a_campaigns_message_of_long_ago_is_not_sent(
    row: CampaignMessage, carrier: Carrier, column: str
) -> None:
    """`written_at` is missing where an older version wrote the row."""
    found = written(row)
    then = timezone.now() - LONG_AGO
    CampaignMessage.objects.update(created_at=then, written_at=None)
    if column == "written_at":
        CampaignMessage.objects.update(written_at=then)
    sweep_outbox()
    found.refresh_from_db()
    assert (found.delivery_state, found.attempts) == (DeliveryState.FAILED, 0)
    assert found.error == "It could not be sent in time."
    assert carrier.taken == []


def test_a_row_of_long_ago_that_was_written_now_is_sent(
    row: CampaignMessage, carrier: Carrier
) -> None:
    found = written(row)
    CampaignMessage.objects.update(created_at=timezone.now() - LONG_AGO)
    outbox.deliver_campaign(found.pk)
    assert carrier.taken == [found.pk]


@pytest.mark.parametrize("kind", [MessageKind.REPLY, MessageKind.CONFIRMATION])
def test_a_message_of_long_ago_comes_back_to_the_team(
    message: Message, carrier: Carrier, kind: MessageKind
) -> None:
    Message.objects.update(kind=kind, created_at=timezone.now() - LONG_AGO)
    sweep_outbox()
    message.refresh_from_db()
    assert carrier.taken == []
    assert message.delivery_state == DeliveryState.FAILED
    assert Conversation.objects.get().has_undelivered


def test_a_row_of_a_campaign_that_was_turned_off_does_not_leave(
    row: CampaignMessage, carrier: Carrier
) -> None:
    found = written(row)
    Campaign.objects.update(is_active=False)
    outbox.deliver_campaign(found.pk)
    found.refresh_from_db()
    assert carrier.taken == []
    assert found.error == "The campaign has since been turned off."


def test_one_channel_sends_two_messages_at_a_time(message: Message) -> None:
    for number in range(3):
        talk = Conversation.objects.create(
            channel=message.channel,
            contact=message.conversation.contact,
            external_id=f"c-{number + 2}",
        )
        Message.objects.create(
            conversation=talk,
            channel=message.channel,
            kind=MessageKind.REPLY,
            text="x",
            delivery_state=DeliveryState.PENDING,
        )
    assert len(claiming.ready(Way.CALLBACK, now=timezone.now())) == 2
