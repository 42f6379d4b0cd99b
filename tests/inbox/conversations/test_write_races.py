"""A message that arrives while an agent acts is handled before or after, never lost."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from inbox import read_marks
from inbox.contacts import address_edits
from inbox.conversations import (
    participants,
    services,
    writing,
)
from inbox.conversations.services import (
    Overtaken,
    Press,
)
from inbox.live import events
from inbox.models import Channel, Contact, Conversation, IdentityKind, Message, MessageKind
from tests.inbox.conversations.test_writes import customer_writes
from tests.orders.actions.locks.test_locks import elsewhere, is_locked

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Each on a connection of its own, started together; what each gave or raised."""
    ready, found = threading.Barrier(len(works)), list[Any](range(len(works)))

    def run(number: int, work: Callable[[], Any]) -> None:
        ready.wait()
        try:
            found[number] = work()
        except Exception as error:  # noqa: BLE001
            found[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def test_many_presses_of_one_button_are_one_message(
    conversation: Conversation, alice: User
) -> None:
    press = Press(client_id=uuid.uuid4(), seen=conversation.messages.get().pk)
    found = at_once(
        *[
            lambda: services.reply(conversation=conversation, by=alice, text="Hello", press=press)
            for _ in range(6)
        ]
    )
    assert len({message.pk for message in found}) == 1
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 1


def test_a_message_and_a_resolve_at_once_never_bury_the_message(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    for number in range(12):
        seen = conversation.messages.filter(kind=MessageKind.INBOUND).latest("pk").pk
        press = Press(seen=seen, state="open")
        came, closed = at_once(
            lambda: customer_writes(channel, f"Wait {number}"),  # noqa: B023
            lambda: services.resolve(conversation=conversation, by=alice, press=press),  # noqa: B023
        )
        assert isinstance(came, Message), came
        # Refused, or closed before it came, and opened again by it.
        assert closed is None or isinstance(closed, Overtaken), closed
        left = Conversation.objects.get()
        assert (left.state, left.is_unread, bool(left.waiting_since)) == ("open", True, True)


def test_replies_at_once_keep_ids_and_times_in_one_order(
    conversation: Conversation, alice: User, bob: User
) -> None:
    found = at_once(
        *[
            lambda author=author: services.reply(conversation=conversation, by=author, text="Hi")
            for author in (alice, bob, alice, bob)
        ]
    )
    assert all(isinstance(message, Message) for message in found), found
    by_id = list(Message.objects.filter(kind=MessageKind.REPLY).order_by("pk"))
    assert by_id == sorted(by_id, key=lambda message: message.created_at)
    assert len({message.created_at for message in by_id}) == 4


class Looks:
    """In the place of a function that a verb calls: is the conversation locked by then?"""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real, self.seen = real, list[bool]()

    def __call__(self, *words: Any, **more: Any) -> Any:
        self.seen.append(is_locked(Conversation, external_id="c-1"))
        return self.real(*words, **more)


@on_postgresql
@pytest.mark.parametrize("verb", ["set_aside", "make_contact"])
def test_changing_a_contact_holds_the_same_lock_as_receiving_a_message(
    verb: str, conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(events.announce)
    monkeypatch.setattr(events, "announce", looks)
    contact, other = conversation.contact, Contact.objects.create(name="Other")
    if verb == "set_aside":
        address_edits.set_aside(
            contact=contact, kind=IdentityKind.EMAIL, value="x@example.com", evidence="", by=alice
        )
    else:
        joined = conversation.participants.create(contact=other, external_id="u-2")
        participants.make_contact(conversation=conversation, participant=joined, by=alice)
    assert looks.seen == [True]


@on_postgresql
@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("reply", ("by", "text")),
        ("note", ("by", "text")),
        ("assign", ("to",)),
        ("snooze", ("hours",)),
        ("resolve", ()),
        ("reopen", ()),
    ],
)
def test_every_verb_holds_the_lock_to_its_end(
    verb: str,
    more: tuple[str, ...],
    conversation: Conversation,
    bob: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not is_locked(Conversation, external_id="c-1")
    # The last thing that a verb does before it commits.
    looks = Looks(events.announce)
    monkeypatch.setattr(events, "announce", looks)
    words: dict[str, Any] = {"by": bob, "to": bob, "text": "Hi", "hours": 1}
    getattr(services, verb)(conversation=conversation, **{name: words[name] for name in more})
    assert looks.seen == [True]


@on_postgresql
def test_a_message_is_taken_in_under_the_same_lock(
    conversation: Conversation, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is given under it: no message with a lower id is committed later (inbox.read_marks)."""
    looks = Looks(Message.objects.create)
    monkeypatch.setattr(Message.objects, "create", looks)
    customer_writes(channel, "Hello")
    assert looks.seen == [True]


@on_postgresql
def test_a_mark_is_set_under_the_same_lock(
    conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(read_marks.settle_unread)
    monkeypatch.setattr(read_marks, "settle_unread", looks)
    services.mark_read(conversation=conversation, by=alice, up_to=conversation.messages.get().pk)
    assert looks.seen == [True]


@on_postgresql
def test_without_the_lock_the_message_is_buried(
    conversation: Conversation, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: it is committed between the look and the change."""
    real = writing._refuse_if_overtaken

    def look(*words: Any, **more: Any) -> None:
        real(*words, **more)
        elsewhere(lambda: customer_writes(channel, "Wait!"))

    monkeypatch.setattr(writing, "_locked", lambda found: Conversation.objects.get(pk=found.pk))
    monkeypatch.setattr(writing, "_refuse_if_overtaken", look)
    press = Press(seen=conversation.messages.get().pk)
    services.resolve(conversation=conversation, by=alice, press=press)
    assert conversation.messages.filter(text="Wait!").exists()
    assert Conversation.objects.get().state == "resolved"
