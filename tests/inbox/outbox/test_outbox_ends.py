"""Failed messages come back to the team: reopened, marked, counted, sent again or dismissed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import Mock, patch

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox import (
    dashboard,
    outbox,
)
from inbox.campaigns.order_events import handle_event
from inbox.channels.errors import NotSent
from inbox.conversations import services
from inbox.live import events
from inbox.models import (
    Campaign,
    Channel,
    ChannelKind,
    Conversation,
    ConversationState,
    DeliveryState,
    Message,
    MessageKind,
)
from inbox.outbox import outcomes, status_text
from inbox.outbox.claiming import Claimed
from inbox.tasks import sweep_outbox
from orders.models import EventKind, EventSource, Order, OrderEvent, Store
from orders.snapshot import encode
from tests.conftest import logged_in
from tests.support.orders import snapshots

pytestmark = pytest.mark.django_db(transaction=True)
HX = {"HX-Request": "true"}
BADGE = "Not delivered"


@pytest.fixture
def down() -> Iterator[list[str]]:
    """The messenger takes nothing, until the list of its refusals is emptied."""
    answers = ["The messenger responded with 500."]

    def carry(message: Message) -> None:
        if answers:
            raise NotSent(answers[0])

    with patch.dict(outbox.SENDERS, {ChannelKind.API: carry}):
        yield answers


@pytest.fixture
def given_up(conversation: Conversation, alice: User, down: list[str]) -> Message:
    """Alice replied and resolved; the reply was tried to its end."""
    Channel.objects.update(callback_url="https://chat.example/callback")
    found = Conversation.objects.select_related("channel", "contact").get(pk=conversation.pk)
    message = services.reply(conversation=found, by=alice, text="Your money is on its way")
    Conversation.objects.update(state=ConversationState.RESOLVED, is_unread=False)
    for _ in range(outbox.ATTEMPTS):
        Message.objects.filter(delivery_state="pending").update(next_attempt_at=None)
        sweep_outbox()
    message.refresh_from_db()
    return message


def metric(name: str, **labels: str) -> float:
    [found] = [m for m in dashboard.metrics(timezone.now()) if m.name == name]
    return next(s.value for s in found.samples if dict(s.labels) == labels)


def press(client: Client, message: Message, verb: str, **more: Any) -> Any:
    address = f"/inbox/conversations/{message.conversation_id}/{verb}/{message.pk}/"
    failed_at = message.failed_at.isoformat() if message.failed_at else ""
    return client.post(address, {"failed_at": failed_at}, **more)


def test_a_reply_that_finally_failed_opens_and_marks_its_conversation(
    given_up: Message, as_alice: Client
) -> None:
    assert (given_up.delivery_state, given_up.attempts) == (DeliveryState.FAILED, outbox.ATTEMPTS)
    found = Conversation.objects.get()
    assert found.state == ConversationState.OPEN
    assert found.has_undelivered
    assert found.is_unread
    assert found.waiting_since == given_up.created_at
    listed = as_alice.get("/inbox/rows/?scope=mine").content.decode()
    assert BADGE in listed
    page = as_alice.get(f"/inbox/conversations/{found.pk}/").content.decode()
    for words in ("A reply was not delivered.", "The messenger responded with 500.", "Send again"):
        assert words in page
    assert metric("agent_inbox_undelivered_messages", kind="reply") == 1


def test_a_snoozed_conversation_wakes_for_it(
    conversation: Conversation, alice: User, down: list[str]
) -> None:
    Channel.objects.update(callback_url="https://chat.example/callback")
    found = Conversation.objects.select_related("channel", "contact").get(pk=conversation.pk)
    message = services.reply(conversation=found, by=alice, text="x")
    services.snooze(conversation=found, hours=4)
    message.refresh_from_db()
    outcomes.give_up(message, "No.", now=timezone.now())
    found.refresh_from_db()
    assert (found.state, found.snoozed_until) == (ConversationState.OPEN, None)


def test_a_confirmation_that_finally_failed_comes_back_as_well(
    conversation: Conversation, as_alice: Client
) -> None:
    message = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.CONFIRMATION,
        text="We are refunding €7.00.",
        delivery_state=DeliveryState.PENDING,
    )
    outcomes.give_up(message, "No.", now=timezone.now())
    page = as_alice.get(f"/inbox/conversations/{conversation.pk}/").content.decode()
    assert "A confirmation was not delivered." in page
    assert metric("agent_inbox_undelivered_messages", kind="confirmation") == 1


def test_open_pages_hear_of_it(given_up: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: set[str] = set()
    monkeypatch.setattr(events, "announce", lambda *topics: heard.update(topics))
    Message.objects.filter(pk=given_up.pk).update(delivery_state=DeliveryState.PENDING)
    outcomes.give_up(given_up, "No.", now=timezone.now())
    assert heard == {"inbox", f"conversation:{given_up.conversation_id}"}


@pytest.mark.parametrize("headers", [{}, HX])
def test_send_again_sends_the_same_message(
    given_up: Message, down: list[str], as_alice: Client, alice: User, headers: dict[str, str]
) -> None:
    down.clear()
    answer = press(as_alice, given_up, "again", headers=headers, follow=True)
    shown = answer.content.decode()
    given_up.refresh_from_db()
    assert (given_up.delivery_state, given_up.attempts) == (DeliveryState.SENT, 1)
    assert (given_up.handled_by, given_up.error) == (alice, "")
    assert not Conversation.objects.get().has_undelivered
    assert f"undelivered-{given_up.pk}" not in shown
    assert "Sent again by Alice" in shown
    assert BADGE not in as_alice.get("/inbox/rows/").content.decode()
    assert metric("agent_inbox_undelivered_messages", kind="reply") == 0
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 1


def test_a_second_press_and_a_colleagues_change_nothing_more(
    given_up: Message, down: list[str], as_alice: Client, bob: User
) -> None:
    """Each press names the failure it answers."""
    press(as_alice, given_up, "again")
    Message.objects.update(next_attempt_at=None)
    pressed = Message.objects.get(pk=given_up.pk)
    press(as_alice, given_up, "again")
    press(logged_in(bob), given_up, "dismiss")
    again = Message.objects.get(pk=given_up.pk)
    assert again.attempts == pressed.attempts
    assert again.queued_at == pressed.queued_at
    assert again.handled_by == pressed.handled_by
    assert again.delivery_state == DeliveryState.PENDING


def test_it_comes_back_if_it_fails_again(
    given_up: Message, down: list[str], as_alice: Client
) -> None:
    press(as_alice, given_up, "again")
    for _ in range(outbox.ATTEMPTS):
        Message.objects.filter(delivery_state="pending").update(next_attempt_at=None)
        sweep_outbox()
    first = given_up.failed_at
    given_up.refresh_from_db()
    assert (given_up.delivery_state, given_up.handled_by) == (DeliveryState.FAILED, None)
    assert given_up.failed_at != first
    assert Conversation.objects.get().has_undelivered


def test_an_old_message_that_is_sent_again_is_not_too_old(
    given_up: Message, down: list[str], as_alice: Client
) -> None:
    Message.objects.update(created_at=timezone.now() - timedelta(days=9))
    press(as_alice, given_up, "again")
    assert metric("agent_inbox_oldest_outbox_seconds") < 60
    down.clear()
    Message.objects.update(next_attempt_at=None)
    sweep_outbox()
    given_up.refresh_from_db()
    assert given_up.delivery_state == DeliveryState.SENT


def confirmation_of_long_ago(conversation: Conversation) -> Message:
    """It was written in time, and given up after an outage of three days."""
    snapshot = snapshots.order(email="jane@example.com")
    order = Order.objects.create(
        store=Store.objects.create(domain="demo.myshopify.com", currency="EUR"),
        gid=snapshot.gid,
        legacy_id=1,
        name=snapshot.name,
        email=snapshot.email,
        currency="EUR",
        document=encode(snapshot),
    )
    event = OrderEvent.objects.create(
        order=order,
        kind=EventKind.REFUNDED,
        key="refunded:1",
        occurred_at=timezone.now(),
        source=EventSource.SHOPIFY,
        amount=Decimal("7.00"),
        currency="EUR",
    )
    handle_event(event.pk)
    past = timezone.now() - timedelta(days=3)
    OrderEvent.objects.update(occurred_at=past, recorded_at=past)
    message = conversation.messages.get(kind=MessageKind.CONFIRMATION)
    Message.objects.filter(pk=message.pk).update(
        delivery_state=DeliveryState.PENDING, created_at=past
    )
    message.refresh_from_db()
    outcomes.give_up(message, "No.", now=timezone.now())
    message.refresh_from_db()
    return message


def nothing() -> None:
    pass


def switch_campaign_off() -> None:
    Campaign.objects.update(is_active=False)


def untick_channel() -> None:
    Campaign.objects.update(via_conversation=False)


def switch_store_off() -> None:
    Store.objects.update(is_active=False)


def redact() -> None:
    Order.objects.update(masked_at=timezone.now())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (nothing, ""),
        (switch_campaign_off, ""),
        (untick_channel, ""),
        (switch_store_off, "The store is turned off."),
        (redact, "The customer’s data was deleted."),
    ],
)
def test_a_confirmation_of_long_ago_that_an_agent_sends_again_leaves(
    conversation: Conversation,
    campaigns: list[Campaign],
    as_alice: Client,
    down: list[str],
    change: Callable[[], None],
    reason: str,
) -> None:
    """Neither its age nor the campaign's switches stand above the agent who has read it; the
    customer's own word does."""
    message = confirmation_of_long_ago(conversation)
    down.clear()
    change()
    press(as_alice, message, "again")
    sweep_outbox()
    message.refresh_from_db()
    state = DeliveryState.FAILED if reason else DeliveryState.SENT
    assert (message.delivery_state, message.error) == (state, reason)


def test_an_old_message_that_no_agent_sent_again_is_held_back(
    conversation: Conversation, campaigns: list[Campaign], down: list[str]
) -> None:
    """The control of the above."""
    message = confirmation_of_long_ago(conversation)
    down.clear()
    now = timezone.now()
    Message.objects.filter(pk=message.pk).update(
        delivery_state=DeliveryState.PENDING, failed_at=None, queued_at=now
    )
    sweep_outbox()
    message.refresh_from_db()
    assert message.error == "It happened 3 days ago, and nothing could be sent in time."


@pytest.mark.parametrize("headers", [{}, HX])
def test_dismissing_leaves_it_undelivered_and_unmarks_the_conversation(
    given_up: Message, as_alice: Client, alice: User, headers: dict[str, str]
) -> None:
    shown = press(as_alice, given_up, "dismiss", headers=headers, follow=True).content.decode()
    given_up.refresh_from_db()
    assert (given_up.delivery_state, given_up.handled_by) == (DeliveryState.FAILED, alice)
    assert not Conversation.objects.get().has_undelivered
    assert f"undelivered-{given_up.pk}" not in shown
    assert "Dismissed by Alice" in shown
    assert metric("agent_inbox_undelivered_messages", kind="reply") == 0


def test_the_mark_stays_while_another_one_is_undelivered(
    given_up: Message, as_alice: Client, alice: User
) -> None:
    second = Message.objects.create(
        conversation=given_up.conversation,
        channel=given_up.channel,
        kind=MessageKind.REPLY,
        text="And a second",
        delivery_state=DeliveryState.PENDING,
    )
    outcomes.give_up(second, "No.", now=timezone.now())
    press(as_alice, given_up, "dismiss")
    assert Conversation.objects.get().has_undelivered


@pytest.mark.parametrize("failed_at", ["", "yesterday", "2026-13-45T00:00:00Z", "2026-11-26"])
def test_a_press_that_names_no_failure_changes_nothing(
    given_up: Message, as_alice: Client, failed_at: str
) -> None:
    address = f"/inbox/conversations/{given_up.conversation_id}/again/{given_up.pk}/"
    assert as_alice.post(address, {"failed_at": failed_at}).status_code == 302
    given_up.refresh_from_db()
    assert given_up.delivery_state == DeliveryState.FAILED


def test_a_message_of_another_conversation_is_not_found(
    given_up: Message, as_alice: Client
) -> None:
    assert as_alice.get(f"/inbox/conversations/1/again/{given_up.pk}/").status_code == 405
    other = Conversation.objects.create(
        channel=given_up.channel, contact=given_up.conversation.contact, external_id="c-2"
    )
    address = f"/inbox/conversations/{other.pk}/again/{given_up.pk}/"
    assert as_alice.post(address, {}).status_code == 404


def test_a_viewer_cannot_send_again(given_up: Message, db: None) -> None:
    admin = User.objects.create_superuser("root", password="x")
    assert press(logged_in(admin), given_up, "again").status_code == 403
    given_up.refresh_from_db()
    assert given_up.delivery_state == DeliveryState.FAILED


def test_what_leaves_after_all_ends_its_failure(given_up: Message) -> None:
    """A worker that was slower than its lease: the customer has the message."""
    claimed = Claimed(
        Message.objects.select_related("conversation").get(pk=given_up.pk), "callback:1"
    )
    outcomes.sent(claimed)
    given_up.refresh_from_db()
    assert given_up.delivery_state == DeliveryState.SENT
    assert not Conversation.objects.get().has_undelivered


def test_a_failure_of_an_earlier_attempt_takes_nothing_from_a_later_one(
    given_up: Message, down: list[str], as_alice: Client
) -> None:
    press(as_alice, given_up, "again")
    old = Message.objects.select_related("conversation").get(pk=given_up.pk)
    Message.objects.update(attempts=old.attempts + 1, error="of the later one")
    outcomes.failed(Claimed(old, "callback:1"), NotSent("of the earlier one"))
    given_up.refresh_from_db()
    assert given_up.error == "of the later one"


def test_what_leaves_after_all_ends_a_failure_that_came_while_it_was_under_way(
    given_up: Message,
) -> None:
    """Its worker has read the conversation before that."""
    row = Message.objects.select_related("conversation").get(pk=given_up.pk)
    row.conversation.has_undelivered = False
    outcomes.sent(Claimed(row, "callback:1"))
    assert not Conversation.objects.get().has_undelivered


@pytest.mark.parametrize("differs", ["attempts", "lease"])
def test_an_earlier_attempt_gives_nothing_up_that_was_taken_again(
    conversation: Conversation, differs: str
) -> None:
    """Its worker was slower than its lease; an agent may have restarted the attempts."""
    later = timezone.now() + outbox.LEASE
    row = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.REPLY,
        text="x",
        delivery_state=DeliveryState.PENDING,
        attempts=1,
        lease_until=later - timedelta(minutes=5),
    )
    taken = {"attempts": 2} if differs == "attempts" else {"lease_until": later}
    Message.objects.update(**taken)
    lease = Message.objects.get(pk=row.pk).lease_until
    outcomes.failed(Claimed(row, "callback:1"), NotSent("No such number.", is_final=True))
    outcomes.failed(Claimed(row, "callback:1"), NotSent("of the earlier one"))
    now = Message.objects.get(pk=row.pk)
    assert (now.delivery_state, now.lease_until, now.error) == (DeliveryState.PENDING, lease, "")
    outcomes.failed(Claimed(now, "callback:1"), NotSent("No such number.", is_final=True))
    now.refresh_from_db()
    assert now.delivery_state == DeliveryState.FAILED


def test_a_message_accepted_in_between_is_not_given_up_for_its_age(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.REPLY,
        text="x",
        delivery_state=DeliveryState.PENDING,
        created_at=timezone.now() - timedelta(days=3),
    )
    real = outcomes.overdue

    def overdue(*words: Any, **more: Any) -> Any:
        found = list(real(*words, **more))
        Message.objects.update(attempts=1, lease_until=timezone.now() + outbox.LEASE)
        rows = Mock()
        rows.filter.return_value.first.return_value = found[0]
        return rows

    monkeypatch.setattr(outcomes, "overdue", overdue)
    outcomes.end_overdue(Message, row.pk)
    row.refresh_from_db()
    assert row.delivery_state == DeliveryState.PENDING


def test_two_who_settle_the_last_two_at_once_leave_no_mark(
    given_up: Message, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second counts once the first is done: the conversation is locked before that."""
    asked: list[str] = []
    with CaptureQueriesContext(connection) as done:
        assert given_up.failed_at
        outbox.dismiss(message=given_up, failed_at=given_up.failed_at, by=alice)
    for query in done.captured_queries:
        sql = query["sql"]
        if sql.startswith("SELECT") and '"inbox_conversation"."id" = ' in sql:
            asked.append("locks")
        elif sql.startswith("SELECT") and '"inbox_message"."handled_at" IS NULL' in sql:
            asked.append("counts")
    assert asked == ["locks", "counts"]


def test_of_two_that_failed_at_the_same_moment_only_the_named_one_is_handled(
    given_up: Message, down: list[str], alice: User
) -> None:
    failed_at = given_up.failed_at
    assert failed_at is not None
    other = Message.objects.create(
        conversation=given_up.conversation,
        channel=given_up.channel,
        kind=MessageKind.REPLY,
        text="And a second",
        delivery_state=DeliveryState.FAILED,
        failed_at=failed_at,
    )
    down.clear()
    assert outcomes.send_again(message=given_up, failed_at=failed_at, by=alice)
    other.refresh_from_db()
    assert (other.delivery_state, other.handled_by) == (DeliveryState.FAILED, None)
    assert not outcomes.send_again(message=given_up, failed_at=failed_at, by=alice)
    third = Message.objects.create(
        conversation=given_up.conversation,
        channel=given_up.channel,
        kind=MessageKind.REPLY,
        text="And a third",
        delivery_state=DeliveryState.FAILED,
        failed_at=failed_at,
    )
    assert outcomes.dismiss(message=other, failed_at=failed_at, by=alice)
    third.refresh_from_db()
    assert third.handled_by is None
    assert not outcomes.dismiss(message=other, failed_at=failed_at, by=alice)


def test_what_is_sent_again_waits_for_no_earlier_lease_or_back_off(
    given_up: Message, down: list[str], as_alice: Client
) -> None:
    later = timezone.now() + timedelta(hours=1)
    Message.objects.filter(pk=given_up.pk).update(lease_until=later, next_attempt_at=later)
    down.clear()
    press(as_alice, given_up, "again")
    given_up.refresh_from_db()
    assert given_up.delivery_state == DeliveryState.SENT


def test_every_undelivered_message_is_listed_oldest_first(given_up: Message) -> None:
    for text in ("Second", "Third"):
        Message.objects.create(
            conversation=given_up.conversation,
            channel=given_up.channel,
            kind=MessageKind.REPLY,
            text=text,
            delivery_state=DeliveryState.FAILED,
            failed_at=timezone.now(),
        )
    found = status_text.undelivered(Conversation.objects.get())
    assert [one.text for one in found] == ["Your money is on its way", "Second", "Third"]


def test_sending_again_starts_over_and_names_the_failure_it_answers(
    given_up: Message, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "wake", lambda _message: None)
    failed_at = given_up.failed_at
    assert failed_at is not None
    earlier = failed_at - timedelta(seconds=1)
    assert not outcomes.send_again(message=given_up, failed_at=earlier, by=alice)
    assert not outcomes.dismiss(message=given_up, failed_at=earlier, by=alice)
    assert outcomes.send_again(message=given_up, failed_at=failed_at, by=alice)
    found = Message.objects.get(pk=given_up.pk)
    assert (found.delivery_state, found.attempts) == (DeliveryState.PENDING, 0)
    assert (found.error, found.failed_at) == ("", None)
    assert not Conversation.objects.get().has_undelivered
