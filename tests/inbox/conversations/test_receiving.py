"""Receiving messages: late, concurrent, long and empty ones; and the end of a snooze."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inbox.channels import keys
from inbox.conversations import (
    listing,
    receiving,
    services,
)
from inbox.models import Channel, Contact, Conversation, Identity, Message, MessageKind
from tests.inbox.conversations.test_senders import JANE, push

pytestmark = pytest.mark.django_db(transaction=True)


def page(client: Client) -> str:
    talk = Conversation.objects.get(external_id="c-9")
    return unescape(client.get(f"/inbox/conversations/{talk.pk}/").content.decode())


def first_page(agent: User) -> list[str]:
    shown = listing.conversation_list(agent, scope="all", state="open", query="", after="")
    ids = [row.pk for row in shown.rows]
    names = dict(Conversation.objects.values_list("pk", "external_id"))
    return [names[pk] for pk in ids]


def say(channel: Channel, number: int, *, talk: str = "c-9", ago: timedelta, text: str) -> Message:
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"{talk}-{number}",
        conversation_id=talk,
        sender=services.Sender(external_id=f"u-{talk}", name="Jane Doe"),
        text=text,
        sent_at=timezone.now() - ago,
    )
    return message


def test_a_message_pushed_late_is_on_top_of_the_list(channel: Channel, alice: User) -> None:
    for number in range(listing.PAGE + 5):
        say(channel, 1, talk=f"x-{number}", ago=timedelta(minutes=1), text="Hi")
    say(channel, 1, talk="late", ago=timedelta(days=2), text="Two days under way")
    assert first_page(alice)[0] == "late"


def test_a_late_message_leaves_the_newest_words_and_is_noticed(
    channel: Channel, as_alice: Client
) -> None:
    say(channel, 1, ago=timedelta(0), text="new")
    Conversation.objects.update(is_unread=False)
    before = Conversation.objects.get().last_message_at
    late = say(channel, 2, ago=timedelta(days=3), text="older")
    talk = Conversation.objects.get()
    assert talk.last_message_preview == "new"
    assert talk.last_message_at > before
    assert talk.is_unread
    text = page(as_alice)
    assert text.index("older") < text.index(">new<")
    assert "arrived late" in text
    assert f'id="late-{late.pk}"' in text
    assert f'href="#message-{late.pk}"' in text


@pytest.mark.slow
def test_a_late_message_beyond_the_first_page_is_announced_there(
    channel: Channel, as_alice: Client
) -> None:
    for number in range(60):
        say(channel, number, ago=timedelta(minutes=60 - number), text=f"word {number}.")
    late = say(channel, 99, ago=timedelta(minutes=55, seconds=30), text="from the past")
    text = page(as_alice)
    assert "from the past" not in text
    assert f'id="late-{late.pk}"' in text
    where = text.split(f'id="late-{late.pk}"')[1].split('<a href="')[1].split("#")[0]
    older = unescape(as_alice.get(where).content.decode())
    assert f'id="message-{late.pk}"' in older


def test_only_messages_received_in_between_are_checked_for_lateness(
    channel: Channel, as_alice: Client
) -> None:
    """A conversation of years: what came late long ago is neither read nor announced, and what
    was under way for a moment takes no late message's place."""
    old = say(channel, 1000, ago=timedelta(days=9), text="late, years ago")
    for number in range(60):
        say(channel, number, ago=timedelta(minutes=60 - number), text=f"word {number}.")
    late = say(channel, 99, ago=timedelta(minutes=55, seconds=30), text="from the past")
    for number in range(6):
        brief = say(channel, 200 + number, ago=timedelta(minutes=55), text="a moment")
        Message.objects.filter(pk=brief.pk).update(
            arrived_at=brief.created_at + timedelta(minutes=9)
        )
    Message.objects.filter(pk=old.pk).update(arrived_at=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        text = page(as_alice)
    assert f'id="late-{late.pk}"' in text
    assert f'id="late-{old.pk}"' not in text
    looks = [q["sql"] for q in queries if '"arrived_at" >' in q["sql"]]
    assert len(looks) == 1
    assert '"id" >' in looks[0], "by the index of what customers wrote"


def thread_of(web: Client, query: str = "") -> str:
    at = f"/inbox/conversations/{Conversation.objects.get().pk}/thread/{query}"
    return web.get(at).content.decode()


def test_a_readers_place_stays_when_late_messages_come(channel: Channel, as_alice: Client) -> None:
    """Their ids are higher than those of what stands below them."""
    first = say(channel, 0, ago=timedelta(days=1), text="The first one.")
    rest = [
        say(channel, number, ago=timedelta(minutes=90 - number), text=f"word {number}.")
        for number in range(1, 60)
    ]
    # The first that is shown came late itself.
    edge = say(channel, 99, ago=timedelta(hours=2), text="The edge.")
    shown = thread_of(as_alice, f"?since={edge.pk}")
    assert shown.count('class="message"') == 60
    assert f"?since={edge.pk}" in shown
    assert f'id="message-{rest[0].pk}"' in shown
    assert f'id="message-{first.pk}"' not in shown


def test_the_first_look_reaches_back_to_what_the_customer_last_wrote(
    channel: Channel, as_alice: Client, alice: User
) -> None:
    asked = say(channel, 1, ago=timedelta(days=1), text="Where is it?")
    for number in range(70):
        services.note(conversation=asked.conversation, by=alice, text=f"Note {number}")
    shown = thread_of(as_alice)
    assert "Where is it?" in shown
    assert f'data-seen="{asked.pk}"' in shown


def test_messages_that_arrive_at_once_are_not_called_late(
    channel: Channel, as_alice: Client
) -> None:
    say(channel, 1, ago=timedelta(seconds=30), text="one")
    say(channel, 2, ago=timedelta(0), text="two")
    assert "arrived" not in page(as_alice).split('id="thread"')[1].split("</section>")[0]


def test_a_clock_that_runs_ahead_pins_nothing(channel: Channel, alice: User) -> None:
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    push(channel, JANE, talk="ahead", sent_at=tomorrow)
    assert Message.objects.get().created_at <= timezone.now()
    say(channel, 1, talk="now", ago=timedelta(0), text="From today")
    assert first_page(alice) == ["now", "ahead"]


def test_a_snooze_that_ends_is_noticed(channel: Channel, alice: User, as_alice: Client) -> None:
    say(channel, 1, ago=timedelta(0), text="Next week, please")
    talk = Conversation.objects.get()
    services.snooze(conversation=talk, hours=1)
    Conversation.objects.update(is_unread=False)
    say(channel, 1, talk="other", ago=timedelta(0), text="Hi")
    assert services.wake_snoozed(now=timezone.now() + timedelta(minutes=59)) == 0
    now = timezone.now() + timedelta(hours=2)
    assert services.wake_snoozed(now=now) == 1
    assert services.wake_snoozed(now=now) == 0
    talk.refresh_from_db()
    assert (talk.state, talk.is_unread, talk.snoozed_until) == ("open", True, None)
    assert first_page(alice) == ["c-9", "other"]
    assert talk.last_message_preview == "Next week, please"
    assert "The snooze has ended." in page(as_alice)
    assert talk.messages.filter(kind=MessageKind.SYSTEM).count() == 1


@pytest.mark.parametrize("length", [20_001, 100_000, 100_001])
def test_a_long_message_is_taken_in(channel: Channel, as_alice: Client, length: int) -> None:
    answer = push(channel, JANE, text="x" * length)
    assert answer.status_code == 201
    message = Message.objects.get()
    assert len(message.text) == min(length, 100_000)
    text = page(as_alice)
    assert ("it had 100001 characters" in text) is (length > 100_000)


def test_a_photo_without_words_is_seen(channel: Channel, as_alice: Client) -> None:
    files = [
        {"name": "broken.jpg", "url": "https://cdn.example/1", "content_type": "image/jpeg"},
        {"name": "", "url": "javascript:alert(1)", "content_type": "video/mp4"},
    ]
    answer = push(channel, JANE, text="", attachments=files)
    assert answer.status_code == 201
    text = page(as_alice)
    assert "[Photo or file: open it in the messenger]" in text
    assert 'href="https://cdn.example/1"' in text
    assert "broken.jpg" in text
    assert "video/mp4" in text
    assert "javascript:" not in text
    assert "A message without text" in as_alice.get("/inbox/").content.decode()


def test_a_message_of_nothing_is_seen(channel: Channel, as_alice: Client) -> None:
    body = {"external_id": "e-1", "conversation": "c-9", "sender": JANE}
    key = keys.new_key(channel)
    answer = Client().post(
        f"/api/v1/channels/{channel.pk}/messages/",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 201
    assert "A message without text" in page(as_alice)


@pytest.mark.parametrize("files", ["x", [1], [{"href": "x"}], [{"name": "x" * 256}], [{}] * 51])
def test_nonsense_is_no_attachment(channel: Channel, files: Any) -> None:
    assert push(channel, JANE, attachments=files).status_code == 400
    assert not Message.objects.exists()


# --- At once


def at_once(work: list[Any]) -> list[Any]:
    """Each in a thread with a connection of its own, begun together."""
    start = threading.Barrier(len(work))

    def run(one: Any) -> Any:
        try:
            start.wait(timeout=20)
            return one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


def pushes(channel: Channel, senders: list[dict[str, Any]], *, talk: str) -> list[Any]:
    key = keys.new_key(channel)

    def one(number: int, sender: dict[str, Any]) -> Any:
        body = {
            "external_id": f"{talk}-{number}",
            "conversation": talk,
            "sender": sender,
            "text": f"word {number}",
        }
        return Client(raise_request_exception=False).post(
            f"/api/v1/channels/{channel.pk}/messages/",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )

    return [lambda n=n, s=s: one(n, s) for n, s in enumerate(senders)]


only_pg = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")


@only_pg
@pytest.mark.parametrize("who", ["one person", "two accounts of one", "two people"])
def test_first_messages_at_once_make_one_conversation(channel: Channel, who: str) -> None:
    """Ten rounds: each is a race of its own."""
    for turn in range(10):
        jane = {"external_id": f"u-{turn}", "name": "Jane", "email": f"jane{turn}@example.com"}
        second = {
            "one person": jane,
            "two accounts of one": jane | {"external_id": f"v-{turn}"},
            "two people": {"external_id": f"w-{turn}", "email": f"bob{turn}@example.com"},
        }[who]
        answers = at_once(pushes(channel, [jane, second] * 3, talk=f"t-{turn}"))
        assert [a.status_code for a in answers] == [201] * 6
    assert Conversation.objects.count() == 10
    assert Message.objects.count() == 60
    people = 20 if who == "two people" else 10
    assert Contact.objects.count() == people
    assert Identity.objects.filter(kind="email").count() == people
    # Every sender keeps an identity.
    assert not Contact.objects.filter(identities=None).exists()


def overtaken(channel: Channel) -> Any:
    """A message whose sender another message makes known in the moment before."""
    real = receiving._contact
    calls: list[int] = []
    mine, first = pushes(channel, [JANE, JANE | {"external_id": "u-9"}], talk="c-9")

    def late(user: str, sender: Any, addresses: Any) -> Contact:
        made = real(user, sender, addresses)
        if not calls:
            calls.append(1)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(first).result(timeout=30)
                pool.submit(connections.close_all).result(timeout=30)
        return made

    with patch.object(receiving, "_contact", late):
        return mine()


@only_pg
@pytest.mark.parametrize("tries", [5, 1], ids=["guarded", "control"])
def test_a_receiver_that_lost_a_race_starts_over_and_leaves_nothing_behind(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """The control tries once: the message is lost."""
    monkeypatch.setattr(receiving, "_TRIES", tries)
    answer = overtaken(channel)
    assert answer.status_code == (201 if tries > 1 else 500)
    assert Message.objects.count() == (2 if tries > 1 else 1)
    assert Contact.objects.count() == 1


def test_a_collision_is_tried_again(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any database: the first try loses and leaves no contact behind."""
    real = receiving._joined
    calls: list[int] = []

    def losing(*args: Any, **kwargs: Any) -> Any:
        if len(calls) < 3:
            calls.append(1)
            raise IntegrityError("inbox_one_conversation_per_external_id")
        return real(*args, **kwargs)

    monkeypatch.setattr(receiving, "_joined", losing)
    assert push(channel, JANE).status_code == 201
    assert (Contact.objects.count(), Conversation.objects.count()) == (1, 1)
