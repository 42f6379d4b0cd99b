"""Redacting a person who wrote in another customer's conversation keeps the other's messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from inbox.conversations import services
from inbox.models import Channel, Contact, Conversation, Message, Participant
from orders.models import Store
from orders.privacy import retention
from tests.privacy import filling
from tests.privacy.filling import canary, dump, fill
from tests.privacy.test_nothing_left_behind import found_of, redact

pytestmark = pytest.mark.django_db(transaction=True)


def write(channel: Channel, number: int, *, into: int, **more: Any) -> Message:
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"x-{canary(number)}",
        conversation_id=f"c-{canary(into)}",
        sender=services.Sender(
            external_id=f"u-{canary(number)}", name=canary(number), email=filling.email(number)
        ),
        text=f"I am {canary(number)}",
        sent_at=timezone.now(),
        **more,
    )
    return message


@pytest.fixture
def talk(store: Store, channel: Channel, alice: User) -> Conversation:
    """The first customer's conversation, in which the second writes and is answered."""
    fill(store, channel, alice, 2)
    message = write(channel, 1, into=0)
    Channel.objects.update(proves_addresses=False)
    services.reply(conversation=message.conversation, by=alice, text=f"Hello {canary(1)}")
    return Conversation.objects.get(pk=message.conversation_id)


def test_a_redacted_participants_messages_are_deleted_from_anothers_conversation(
    store: Store, channel: Channel, talk: Conversation
) -> None:
    redact(store, 1)
    assert found_of(dump(), [0, 1]) == [0]
    talk.refresh_from_db()
    assert talk.contact.name == canary(0)
    words = talk.messages.filter(kind="inbound").order_by("pk").values_list("text", flat=True)
    assert canary(0) in words[0]
    assert words[1] == "[removed]"
    assert Participant.objects.filter(conversation=talk).count() == 2


def test_the_conversations_own_customer_goes_and_the_other_stays(
    store: Store, channel: Channel, talk: Conversation
) -> None:
    redact(store, 0)
    assert found_of(dump(), [0, 1]) == [1]
    names = set(talk.participants.values_list("name", flat=True))
    assert names == {"", canary(1)}


def test_the_list_shows_no_preview_of_a_redacted_person(
    store: Store, channel: Channel, talk: Conversation, alice: User
) -> None:
    """The customer wrote last, and the answer was to the other one."""
    write(channel, 0, into=0)
    second = talk.participants.get(external_id=f"u-{canary(1)}")
    services.reply(conversation=talk, by=alice, text=f"Dear {canary(1)}", to=second)
    redact(store, 1)
    assert found_of(dump(), [0, 1]) == [0]
    talk.refresh_from_db()
    assert talk.last_message_preview == ""


def test_the_list_keeps_the_preview_of_the_person_who_stays(
    store: Store, channel: Channel, talk: Conversation, alice: User
) -> None:
    write(channel, 0, into=0)
    first = talk.participants.get(external_id=f"u-{canary(0)}")
    services.reply(conversation=talk, by=alice, text=f"Dear {canary(0)}", to=first)
    redact(store, 1)
    talk.refresh_from_db()
    assert talk.last_message_preview == f"Dear {canary(0)}"


def test_the_list_shows_no_preview_of_a_deleted_message(
    conversation: Conversation, alice: User
) -> None:
    now = timezone.now()
    conversation.messages.update(created_at=now - timedelta(days=4000))
    services.note(conversation=conversation, by=alice, text="A friend of the house")
    retention.apply(now=now)
    conversation.refresh_from_db()
    assert conversation.messages.count() == 1
    assert conversation.last_message_preview == ""


def test_a_participant_of_a_recent_conversation_is_not_deleted_as_too_old(
    channel: Channel, conversation: Conversation
) -> None:
    bob, _is_new = services.receive(
        channel=channel,
        external_id="b-1",
        conversation_id=conversation.external_id,
        sender=services.Sender(external_id="u-2", name="Bob"),
        text="Hi",
        sent_at=timezone.now(),
    )
    Contact.objects.update(created_at=timezone.now() - timedelta(days=4000))
    retention.apply(now=timezone.now())
    assert bob.sender is not None
    assert Contact.objects.filter(pk=bob.sender.contact_id).exists()
    # Nor is anything in its way when the conversation goes.
    retention.apply(now=timezone.now() + timedelta(days=4000))
    assert not Message.objects.exists()
    assert not Participant.objects.exists()
