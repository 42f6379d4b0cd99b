"""A reply goes to the address that wrote, fixed when the reply is written."""

from __future__ import annotations

import json
from html import unescape
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from inbox.channels import (
    api,
    recipients,
)
from inbox.contacts import address_edits
from inbox.conversations import services
from inbox.models import (
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
    Participant,
)
from inbox.tasks import sweep_outbox
from tests.inbox.conversations.test_senders import contact_of, push

pytestmark = pytest.mark.django_db(transaction=True)
OLD = {"external_id": "jane@old.example", "name": "Jane", "email": "jane@old.example"}
NEW = {"external_id": "jane@new.example", "name": "Jane", "email": "jane@new.example"}
BOB = {"external_id": "bob@example.com", "name": "Bob", "email": "bob@example.com"}


@pytest.fixture
def post(db: None) -> Channel:
    """By email; which proves who wrote."""
    return Channel.objects.create(name="Mail", kind=ChannelKind.EMAIL, proves_addresses=True)


@pytest.fixture
def jane(post: Channel, sara: User) -> Conversation:
    """Jane has two addresses; the older one is the first we knew."""
    push(post, OLD, talk="before")
    address_edits.add_address(contact=contact_of("before"), text="jane@new.example", by=sara)
    push(post, NEW, talk="t")
    found = Conversation.objects.get(external_id="t")
    assert found.contact == contact_of("before")
    return found


def reply(client: Client, conversation: Conversation, **more: Any) -> None:
    at = f"/inbox/conversations/{conversation.pk}/reply/"
    assert client.post(at, {"text": "Hello"} | more).status_code == 302


def page(client: Client, conversation: Conversation) -> str:
    return unescape(client.get(f"/inbox/conversations/{conversation.pk}/").content.decode())


def test_a_reply_goes_to_the_address_that_wrote(
    jane: Conversation, post: Channel, as_alice: Client
) -> None:
    assert "To jane@new.example" in page(as_alice, jane)
    reply(as_alice, jane)
    sweep_outbox()
    push(post, OLD, talk="t", text="From my old one again", external_id="t-2")
    assert "To jane@old.example" not in page(as_alice, jane).split("<select")[0]
    reply(as_alice, jane)
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [["jane@new.example"], ["jane@old.example"]]


def test_where_it_goes_is_fixed_when_it_is_written(
    jane: Conversation, post: Channel, as_alice: Client
) -> None:
    reply(as_alice, jane)
    push(post, OLD, talk="t", text="In between", external_id="t-2")
    assert Message.objects.get(kind=MessageKind.REPLY).recipient == "jane@new.example"
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [["jane@new.example"]]


def test_an_agent_chooses_among_those_who_write(
    jane: Conversation, post: Channel, as_alice: Client
) -> None:
    push(post, BOB, talk="t", text="Copied in", external_id="b-1")
    text = page(as_alice, jane)
    options = text.split('id="composer-to"')[1].split("</select>")[0]
    assert "Jane · jane@new.example" in options
    assert "Bob · bob@example.com" in options
    assert options.split("selected")[1].startswith(">Bob")
    chosen = Participant.objects.get(external_id="jane@new.example")
    reply(as_alice, jane, to=chosen.pk)
    reply(as_alice, jane)
    foreign = Participant.objects.get(external_id="jane@old.example")
    assert foreign.conversation_id != jane.pk
    at = f"/inbox/conversations/{jane.pk}/reply/"
    for to in (foreign.pk, 999_999, "x", "0", "-1", f"{chosen.pk} "):
        refused = as_alice.post(at, {"text": "Hello", "to": to})
        assert refused.status_code == 409, "the reply goes to no one else instead"
        assert "would now go to someone else" in b"".join(refused).decode()
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [["jane@new.example"], ["bob@example.com"]]


def test_a_reply_goes_to_the_recipient_the_agent_chose(
    post: Channel, as_alice: Client, sara: User
) -> None:
    """With no obvious recipient the page asked; it also says where the reply would go otherwise."""
    contact = Contact.objects.create(name="Jane")
    address_edits.add_address(contact=contact, text="jane@example.com", by=sara)
    talk = Conversation.objects.create(channel=post, contact=contact, external_id="old")
    colleague = talk.participants.create(
        contact=Contact.objects.create(name="Tom"), external_id="u-2", address="tom@example.com"
    )
    wish = {"text": "It left on Monday.", "expected_recipient": "jane@example.com"}
    at = f"/inbox/conversations/{talk.pk}/reply/"
    answer = as_alice.post(at, wish | {"to": colleague.pk}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert Message.objects.get().recipient == "tom@example.com"


def test_a_reply_goes_nowhere_but_where_the_page_said(
    post: Channel, as_alice: Client, sara: User
) -> None:
    """A conversation from before senders were kept: its contact's address has since been removed."""
    contact = Contact.objects.create(name="Jane")
    for address in ("jane@old.example", "jane@new.example"):
        address_edits.add_address(contact=contact, text=address, by=sara)
    talk = Conversation.objects.create(channel=post, contact=contact, external_id="old")
    shown = page(as_alice, talk)
    assert "To jane@old.example" in shown
    name = "expected_recipient"
    assert f'name="{name}" value="jane@old.example"' in shown
    wish = {"text": "Your code is 123", name: "jane@old.example"}
    address_edits.remove_identity(
        identity=contact.identities.get(value="jane@old.example"), by=sara
    )
    at = f"/inbox/conversations/{talk.pk}/reply/"
    answer = as_alice.post(at, wish, headers={"HX-Request": "true"})
    again = unescape(answer.content.decode())
    assert answer.status_code == 409
    assert "would now go to someone else" in again
    assert "Your code is 123</textarea>" in again
    assert f'name="{name}" value="jane@new.example"' in again
    assert not Message.objects.exists()
    reply(as_alice, talk, **wish | {name: "jane@new.example"})
    assert Message.objects.get().recipient == "jane@new.example"


def test_a_composer_that_refuses_the_text_keeps_who_was_chosen(
    jane: Conversation, post: Channel, as_alice: Client
) -> None:
    push(post, BOB, talk="t", text="Copied in", external_id="b-1")
    chosen = Participant.objects.get(external_id="jane@new.example")
    answer = as_alice.post(
        f"/inbox/conversations/{jane.pk}/reply/",
        {"text": "", "to": chosen.pk},
        headers={"HX-Request": "true"},
    )
    options = unescape(answer.content.decode()).split("<select")[1]
    assert options.split("selected")[1].startswith(">Jane · jane@new.example")


def test_an_unproven_address_gets_its_reply_and_no_confirmation(as_alice: Client) -> None:
    unproven = Channel.objects.create(name="Mail", kind=ChannelKind.EMAIL)
    push(unproven, NEW, talk="t")
    talk = Conversation.objects.get(external_id="t")
    assert recipients.recipient(talk) == "jane@new.example"
    assert recipients.news_recipient(talk) == ""


def news(conversation: Conversation) -> Message:
    return Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        text="Refunded",
        kind=MessageKind.CONFIRMATION,
        delivery_state=DeliveryState.PENDING,
        recipient=recipients.news_recipient(conversation),
    )


def test_a_confirmation_goes_to_a_proven_address_of_the_contact(
    jane: Conversation, post: Channel, alice: User
) -> None:
    push(post, BOB, talk="t", text="Copied in", external_id="b-1")
    assert news(jane).recipient == "jane@new.example"
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [["jane@new.example"]]
    # Not if it was taken from her before it left.
    late = news(jane)
    identity = jane.contact.identities.get(value="jane@new.example")
    address_edits.remove_identity(identity=identity, by=alice)
    sweep_outbox()
    late.refresh_from_db()
    assert (late.delivery_state, len(mail.outbox)) == (DeliveryState.FAILED, 1)
    assert recipients.news_recipient(jane) == "jane@old.example"


def test_a_reply_from_before_the_address_was_kept_goes_to_who_wrote(
    jane: Conversation, as_alice: Client, alice: User
) -> None:
    services.reply(conversation=jane, by=alice, text="Hello")
    Message.objects.filter(kind=MessageKind.REPLY).update(recipient="")
    sweep_outbox()
    assert [m.to for m in mail.outbox] == [["jane@new.example"]]


def test_a_messenger_is_told_the_recipient_of_a_reply(channel: Channel, alice: User) -> None:
    push(channel, OLD, talk="t")
    push(channel, BOB, talk="t", text="Copied in", external_id="b-1")
    message = services.reply(
        conversation=Conversation.objects.get(external_id="t"), by=alice, text="Hello"
    )
    assert message.recipient == "bob@example.com"
    sent = []

    def post(_url: str, body: bytes, _headers: Any) -> int:
        sent.append(json.loads(body))
        return 200

    with patch.object(api, "_post", post), patch.object(api, "check_address"):
        api.send(message)
    assert sent[0]["data"]["recipient"] == "bob@example.com"
