"""A customer's answer comes into the conversation that we began, if it is certainly theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from inbox.contacts import address_edits
from inbox.conversations import customer_answers, services
from inbox.models import Channel, ChannelKind, Contact, Conversation, Identity, Message, Team
from inbox.tasks import sweep_outbox
from tests.inbox.conversations.test_receiving import at_once, only_pg
from tests.inbox.conversations.test_senders import push
from tests.orders.actions.locks.test_locks import is_locked

pytestmark = pytest.mark.django_db(transaction=True)
QUINN = "quinn@example.com"
SENDER: dict[str, Any] = {
    "external_id": "mail-7",
    "name": "Quinn Doe",
    "email": QUINN,
    "verified": ["email"],
}


@pytest.fixture
def mailbox(db: None) -> Channel:
    return Channel.objects.create(name="Support mail", kind=ChannelKind.EMAIL)


def begin(mailbox: Channel, by: User, contact: Contact | None = None) -> Conversation:
    return services.start(
        channel=mailbox,
        contact=contact,
        address=QUINN,
        name="Quinn",
        subject="Your order #1001",
        by=by,
        press=uuid4(),
    )


@pytest.fixture
def began(mailbox: Channel, alice: User) -> Conversation:
    """Alice began a conversation and has written in it."""
    made = begin(mailbox, alice)
    services.reply(conversation=made, by=alice, text="Your parcel waits.")
    return made


def test_an_answer_comes_into_the_conversation_that_we_began(
    mailbox: Channel, began: Conversation, alice: User, as_alice: Client
) -> None:
    services.resolve(conversation=began)
    answer = push(mailbox, SENDER, talk="thread-1", text="Where can I fetch it?")
    assert answer.status_code == 201
    assert answer.json()["conversation_id"] == began.pk
    found = Conversation.objects.get()
    assert (found.assignee, found.state, found.is_unread) == (alice, "open", True)
    assert Contact.objects.get() == found.contact
    shown = unescape(as_alice.get(f"/inbox/conversations/{began.pk}/").content.decode())
    assert "Your parcel waits." in shown
    assert "Where can I fetch it?" in shown
    # From now on it is the channel's conversation, and its sender the same as before.
    push(mailbox, SENDER | {"verified": []}, talk="thread-1", text="Hello?", external_id="e-2")
    assert Conversation.objects.get().messages.filter(kind="inbound").count() == 2
    assert found.participants.get().name == "Quinn Doe"
    mail.outbox.clear()
    seen = found.messages.latest("pk").pk
    as_alice.post(f"/inbox/conversations/{began.pk}/reply/", {"text": "Next door.", "seen": seen})
    sweep_outbox()
    assert [sent.to for sent in mail.outbox] == [[QUINN]]


def test_the_click_that_began_it_still_leads_there_after_the_answer(
    mailbox: Channel, alice: User
) -> None:
    press = uuid4()
    words: dict[str, Any] = {"channel": mailbox, "contact": None, "address": QUINN, "name": ""}
    words |= {"subject": "Hello", "by": alice, "press": press}
    made = services.start(**words)
    services.reply(conversation=made, by=alice, text="Hello")
    push(mailbox, SENDER, talk="thread-1")
    assert services.start(**words) == made
    assert Conversation.objects.count() == 1


def too_late(began: Conversation) -> None:
    Conversation.objects.update(created_at=timezone.now() - timedelta(days=31))


def nothing_written(began: Conversation) -> None:
    Message.objects.filter(kind="reply").delete()


def moved_to_another_team(began: Conversation) -> None:
    Conversation.objects.update(team=Team.objects.create(name="Other"), was_moved=True)


def address_taken_away(began: Conversation) -> None:
    assert began.assignee
    identity = Identity.objects.get(value=QUINN)
    # The contact stays known to the channel under this ID.
    Identity.objects.create(
        contact=began.contact, kind="channel_user", value=f"{began.channel_id}:mail-7"
    )
    address_edits.remove_identity(identity=identity, by=began.assignee)


def begun_twice(began: Conversation) -> None:
    assert began.assignee
    again = begin(began.channel, began.assignee, began.contact)
    services.reply(conversation=again, by=began.assignee, text="And another thing.")


def answered_already(began: Conversation) -> None:
    """By a channel whose own IDs look like ours."""
    push(began.channel, SENDER, talk="started-7")
    assert Conversation.objects.get().messages.filter(kind="inbound").exists()


def sender_is_someone_else(began: Conversation) -> None:
    """A customer of their own, who has proven Quinn's address as well."""
    other = Contact.objects.create(name="Other")
    user = f"{began.channel_id}:mail-7"
    for kind, value in (("channel_user", user), ("email", "other@example.com")):
        Identity.objects.create(contact=other, kind=kind, value=value)


def begun_with_another_address(began: Conversation) -> None:
    """Which is the same contact's."""
    began.participants.update(address="quinn@work.example")


@pytest.mark.parametrize(
    "change",
    [
        too_late,
        nothing_written,
        moved_to_another_team,
        address_taken_away,
        begun_twice,
        answered_already,
        sender_is_someone_else,
        begun_with_another_address,
    ],
)
def test_without_certainty_it_is_a_conversation_of_its_own(
    change: Callable[[Conversation], None], mailbox: Channel, began: Conversation
) -> None:
    change(began)
    before = set(Conversation.objects.values_list("pk", flat=True))
    answer = push(mailbox, SENDER, talk="thread-1")
    assert answer.status_code == 201
    assert answer.json()["conversation_id"] not in before


@pytest.mark.parametrize(
    "sender",
    [
        SENDER | {"verified": []},
        {"external_id": QUINN, "name": "Quinn Doe", "email": QUINN},
        SENDER | {"email": "other@example.com"},
    ],
    ids=["claims the address", "doesn't say", "has another"],
)
def test_only_who_proves_the_address_gets_into_it(
    sender: dict[str, Any], mailbox: Channel, began: Conversation
) -> None:
    assert push(mailbox, sender, talk="thread-1").json()["conversation_id"] != began.pk
    assert not began.messages.filter(kind="inbound").exists()


def test_another_channels_message_is_no_answer(began: Conversation) -> None:
    other = Channel.objects.create(name="Other mail", kind=ChannelKind.EMAIL)
    assert push(other, SENDER, talk="thread-1").json()["conversation_id"] != began.pk


def receive(mailbox: Channel, number: int, talk: str) -> Message:
    message, _is_new = services.receive(
        channel=mailbox,
        external_id=f"e-{number}",
        conversation_id=talk,
        sender=services.Sender(**SENDER | {"verified": ("email",)}),
        text="Hello",
        sent_at=timezone.now(),
    )
    return message


@only_pg
def test_the_channel_and_the_conversation_are_locked_while_an_answer_is_recognized(
    mailbox: Channel, began: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that it depends on changes before it has joined."""
    seen: list[bool] = []

    def look(*args: Any, **more: Any) -> None:
        seen.extend((is_locked(Channel, pk=mailbox.pk), is_locked(Conversation, pk=began.pk)))
        take(*args, **more)

    take = customer_answers.take
    monkeypatch.setattr(customer_answers, "take", look)
    assert receive(mailbox, 1, "one").conversation == began
    assert seen == [True, True]


@only_pg
@pytest.mark.parametrize(("talks", "count"), [(("one", "one"), 1), (("one", "two"), 2)])
def test_of_answers_at_once_one_begins_no_conversation(
    talks: tuple[str, str], count: int, mailbox: Channel, began: Conversation
) -> None:
    # Known to the channel, or the second would wait for the first to make this row.
    user = f"{mailbox.pk}:mail-7"
    Identity.objects.create(contact=began.contact, kind="channel_user", value=user)
    say = partial(receive, mailbox)
    at_once([partial(say, *pair) for pair in enumerate(talks)])
    assert Conversation.objects.count() == count
    assert Message.objects.filter(kind="inbound").count() == 2
    assert Message.objects.filter(kind="inbound", conversation=began).exists()
