"""Each press acts once, and never on messages or changes the agent hasn't seen."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inbox.conversations import services
from inbox.models import Channel, Conversation, DeliveryState, Message, MessageKind
from tests.conftest import logged_in

pytestmark = pytest.mark.django_db(transaction=True)
HTMX = {"HX-Request": "true"}


def customer_writes(channel: Channel, text: str, **more: Any) -> Message:
    number = Message.objects.count() + 1
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"m-{number}",
        conversation_id="c-1",
        sender=services.Sender(external_id="u-1", name="Jane Doe", email="jane@example.com"),
        text=text,
        sent_at=more.get("sent_at", timezone.now()),
    )
    return message


class Tab:
    """A page of a conversation that an agent has open: it posts what its forms hold."""

    def __init__(self, user: User, conversation: Conversation, query: str = "") -> None:
        self.web = logged_in(user)
        self.at = f"/inbox/conversations/{conversation.pk}/"
        self.fields: dict[str, str] = {}
        self.learn(self.web.get(self.at + query).content.decode())

    def learn(self, page: str) -> str:
        """The hidden fields of the composer, or of the header where there is no composer."""
        form = page[page.index('id="composer-form"') :] if "composer-form" in page else page
        names = "client_id|seen|expected_state|expected_state_mark|expected_assignee"
        for name, value in re.findall(f'name="({names})" value="([^"]*)"', form)[:5]:
            self.fields[name] = value
        return page

    def post(self, verb: str, **more: Any) -> Any:
        return self.web.post(f"{self.at}{verb}/", self.fields | more, headers=HTMX)


def now(conversation: Conversation) -> Conversation:
    return Conversation.objects.get(pk=conversation.pk)


# --- each press once


def test_the_same_press_again_is_the_first_message(
    conversation: Conversation, channel: Channel, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    Channel.objects.update(callback_url="https://messenger.example/hook")
    woken: list[int] = []
    monkeypatch.setattr(
        "inbox.conversations.writing.outbox.wake", lambda message: woken.append(message.pk)
    )
    tab = Tab(alice, conversation)
    # The answer to the first one is lost: the page still holds its fields.
    first, second = (tab.post("reply", text="On its way!") for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    reply = Message.objects.get(kind=MessageKind.REPLY)
    assert (reply.text, reply.delivery_state) == ("On its way!", DeliveryState.PENDING)
    assert woken == [reply.pk], "it leaves once"
    # Also if the customer has written and another agent has taken it since.
    customer_writes(channel, "Thanks!")
    services.assign(conversation=conversation, to=None)
    assert tab.post("reply", text="On its way!").status_code == 200
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 1


def test_two_presses_are_two_messages(conversation: Conversation, alice: User) -> None:
    """Negative control: the same words, meant twice."""
    tab = Tab(alice, conversation)
    tab.learn(tab.post("reply", text="Ok").content.decode())
    tab.post("reply", text="Ok")
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 2


def test_a_note_is_written_once_and_on_any_page(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    customer_writes(channel, "One more thing")
    assert [tab.post("note", text="vip").status_code for _ in range(2)] == [200, 200]
    assert Message.objects.filter(kind=MessageKind.NOTE).count() == 1


def test_a_press_whose_text_was_changed_since_sends_nothing_and_says_so(
    conversation: Conversation, alice: User
) -> None:
    tab = Tab(alice, conversation)
    tab.post("reply", text="On its way!")
    answer = tab.post("reply", text="On its way! Number 7.")
    page = tab.learn(answer.content.decode())
    assert answer.status_code == 409
    assert "You already sent this" in page
    assert "On its way! Number 7.</textarea>" in page
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 1
    assert tab.post("reply", text="On its way! Number 7.").status_code == 200
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 2


def test_one_persons_id_is_not_anothers(
    conversation: Conversation, alice: User, sara: User
) -> None:
    press = services.Press(client_id=uuid.uuid4())
    for author in (alice, sara):
        services.reply(conversation=conversation, by=author, text="Hello", press=press)
    assert Message.objects.filter(kind=MessageKind.REPLY).count() == 2


def test_a_press_of_resolve_whose_answer_was_lost_changes_nothing_the_second_time(
    conversation: Conversation, alice: User
) -> None:
    tab = Tab(alice, conversation)
    assert [tab.post("resolve").status_code for _ in range(2)] == [200, 200]
    assert now(conversation).state == "resolved"
    # Another button of the same form is another press.
    tab = Tab(alice, conversation)
    tab.post("reopen")
    tab = Tab(alice, conversation)
    assert tab.post("snooze", hours="1").status_code == 200
    assert tab.post("snooze", hours="4").status_code == 409
    until = now(conversation).snoozed_until
    assert until is not None
    assert until < timezone.now() + timedelta(hours=2)


# --- never over what was not seen


def test_a_reply_to_an_older_state_is_not_sent_and_shows_what_is_new(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    customer_writes(channel, "WAIT, cancel it instead!")
    answer = tab.post("reply", text="Shipped today.")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert not Message.objects.filter(kind=MessageKind.REPLY).exists()
    notice = page[page.index('id="overtaken"') :]
    assert "Jane Doe has written in the meantime" in notice
    assert "WAIT, cancel it instead!" in notice
    assert "Send anyway" in notice
    assert "Shipped today.</textarea>" in page, "what was typed stays"
    for part in ("composer", "header", "thread"):
        assert f'id="{part}"' in page
    assert now(conversation).waiting_since
    # The answer shows it: pressing once more is meant.
    tab.learn(page)
    assert tab.post("reply", text="Shipped today.").status_code == 200
    assert now(conversation).waiting_since is None
    assert Message.objects.filter(text="Shipped today.").count() == 1


def test_the_second_press_is_refused_by_yet_another_message(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    for text in ("First", "Second"):
        customer_writes(channel, text)
        answer = tab.post("reply", text="Hello")
        assert answer.status_code == 409
        tab.learn(answer.content.decode())
    assert tab.post("reply", text="Hello").status_code == 200


@pytest.mark.parametrize(("verb", "more"), [("resolve", {}), ("snooze", {"hours": "4"})])
def test_nothing_unseen_is_closed(
    verb: str, more: dict[str, str], conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    customer_writes(channel, "WAIT, I was charged twice!")
    answer = tab.post(verb, **more)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "WAIT, I was charged twice!" in page
    assert f"{verb.title()} anyway" in page
    assert (now(conversation).state, bool(now(conversation).waiting_since)) == ("open", True)
    tab.learn(page)
    assert tab.post(verb, **more).status_code == 200
    assert now(conversation).state != "open"


def test_what_a_page_shows_is_known_even_if_it_does_not_say(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    """Pages that were loaded before these fields existed, and programs."""
    web, at = logged_in(alice), f"/inbox/conversations/{conversation.pk}/"
    web.get(at)
    customer_writes(channel, "WAIT!")
    for _ in range(2):
        assert web.post(f"{at}resolve/").status_code == 409
        assert web.post(f"{at}reply/", {"text": "Shipped."}).status_code == 409
    assert (now(conversation).state, now(conversation).is_unread) == ("open", True)
    web.get(at)
    assert web.post(f"{at}reply/", {"text": "Shipped."}).status_code == 302
    assert web.post(f"{at}resolve/").status_code == 302
    assert now(conversation).state == "resolved"


def test_who_was_never_shown_it_hides_nothing(conversation: Conversation, alice: User) -> None:
    web, at = logged_in(alice), f"/inbox/conversations/{conversation.pk}/"
    assert web.post(f"{at}reply/", {"text": "Hello"}).status_code == 302
    assert now(conversation).waiting_since
    assert now(conversation).is_unread
    assert web.post(f"{at}resolve/").status_code == 409
    assert now(conversation).state == "open"


def test_a_message_that_was_written_long_ago_and_comes_now_is_shown_too(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    for number in range(60):
        services.note(conversation=conversation, by=alice, text=f"Note {number}")
    tab = Tab(alice, conversation)
    late = timezone.now() - timedelta(days=3)
    customer_writes(channel, "Pushed late", sent_at=late)
    answer = tab.post("resolve")
    assert answer.status_code == 409
    page = tab.learn(answer.content.decode())
    assert page.count("Pushed late") == 2, "in the notice and in the thread"
    assert tab.post("resolve").status_code == 200


# --- nor over a colleague


def test_assign_to_me_on_an_old_page_takes_it_from_no_one(
    conversation: Conversation, alice: User, bob: User
) -> None:
    services.assign(conversation=conversation, to=None)
    tab = Tab(alice, conversation)
    services.assign(conversation=conversation, to=bob, by=bob)
    answer = tab.post("assign", assignee=alice.pk)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert re.search(r"Bob took this conversation at \d\d:\d\d", page)
    assert "Take over anyway" in page
    assert now(conversation).assignee == bob
    tab.learn(page)
    assert tab.post("assign", assignee=alice.pk).status_code == 200
    assert now(conversation).assignee == alice


def test_assign_to_me_of_a_page_that_does_not_say_who_had_it(
    conversation: Conversation, alice: User, bob: User
) -> None:
    services.assign(conversation=conversation, to=None)
    web, at = logged_in(alice), f"/inbox/conversations/{conversation.pk}/"
    web.get(at)
    services.assign(conversation=conversation, to=bob, by=bob)
    assert web.post(f"{at}assign/", {"assignee": alice.pk}).status_code == 409
    web.get(at)
    assert web.post(f"{at}assign/", {"assignee": alice.pk}).status_code == 302
    assert now(conversation).assignee == alice


@pytest.mark.parametrize("verb", ["reply", "resolve", "snooze"])
def test_a_conversation_a_colleague_took_is_not_answered_or_closed_unknowingly(
    verb: str, conversation: Conversation, alice: User, bob: User
) -> None:
    tab = Tab(alice, conversation)
    services.assign(conversation=conversation, to=bob, by=bob)
    answer = tab.post(verb, text="Hello", hours="1")
    assert answer.status_code == 409
    assert "Bob took this conversation" in answer.content.decode()
    assert now(conversation).state == "open"
    assert not Message.objects.filter(kind=MessageKind.REPLY).exists()


def test_a_state_that_is_another_one_is_not_changed(
    conversation: Conversation, alice: User, sara: User
) -> None:
    tab = Tab(alice, conversation)
    services.resolve(conversation=conversation, by=sara)
    answer = tab.post("snooze", hours="1")
    assert answer.status_code == 409
    assert re.search(r"Sara resolved this conversation at \d\d:\d\d", answer.content.decode())
    assert now(conversation).state == "resolved"
    # There is nothing left to resolve.
    done = tab.post("resolve")
    assert (done.status_code, b"Resolve anyway" in done.content) == (409, False)


@pytest.mark.parametrize(("verb", "more"), [("resolve", {}), ("snooze", {"hours": "4"})])
def test_a_reopened_conversation_is_not_closed_again_unknowingly(
    verb: str, more: dict[str, str], conversation: Conversation, alice: User, sara: User
) -> None:
    """It is open, as the page shows it; and was not in between."""
    tab = Tab(alice, conversation)
    # The answer to this press is lost: the page still shows what was before.
    assert tab.post(verb, **more).status_code == 200
    services.reopen(conversation=conversation, by=sara)
    answer = tab.post(verb, **more)
    page = tab.learn(answer.content.decode())
    assert answer.status_code == 409
    assert re.search(r"Sara reopened this conversation at \d\d:\d\d", page)
    assert now(conversation).state == "open"
    assert tab.post(verb, **more).status_code == 200
    assert now(conversation).state != "open"


def test_a_reply_does_not_mind_who_has_reopened_it(
    conversation: Conversation, alice: User, sara: User
) -> None:
    """Negative control: it hides nothing."""
    tab = Tab(alice, conversation)
    services.resolve(conversation=conversation, by=sara)
    services.reopen(conversation=conversation, by=sara)
    assert tab.post("reply", text="Hello").status_code == 200


# --- without JavaScript, and the page afterwards


@pytest.mark.slow
def test_without_javascript_the_whole_page_shows_what_is_new(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    customer_writes(channel, "WAIT!")
    at = tab.at
    answer = tab.web.post(f"{at}reply/", tab.fields | {"text": "Shipped.", "mode": "reply"})
    page = tab.learn(b"".join(answer).decode() if answer.streaming else answer.content.decode())
    assert answer.status_code == 409
    assert page.startswith("<!DOCTYPE html>")
    assert "Jane Doe has written in the meantime" in page
    assert "Shipped.</textarea>" in page
    assert tab.web.post(f"{at}reply/", tab.fields | {"text": "Shipped."}).status_code == 302
    refused = Tab(alice, conversation)
    customer_writes(channel, "And another thing")
    answer = refused.web.post(f"{at}resolve/", refused.fields)
    assert answer.status_code == 409
    assert "Resolve anyway" in b"".join(answer).decode()


def test_an_empty_note_is_asked_for_again_as_a_note(
    conversation: Conversation, alice: User
) -> None:
    page = Tab(alice, conversation).post("note", text=" ")
    assert page.status_code == 422
    assert 'value="note" checked' in page.content.decode()


def test_a_reply_from_a_page_of_the_past_shows_the_newest_messages(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    for number in range(60):
        services.note(conversation=conversation, by=alice, text=f"Note {number}")
    customer_writes(channel, "Still there?")
    newest = Tab(alice, conversation)
    older = re.search(r'href="[^"]*(\?before=\d+)"', newest.web.get(newest.at).content.decode())
    assert older
    tab = Tab(alice, conversation, older[1])
    current = {"HX-Current-URL": f"http://testserver{tab.at}{older[1]}"}
    answer = tab.web.post(
        f"{tab.at}reply/", tab.fields | {"text": "Hello there"}, headers=HTMX | current
    )
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Hello there</p>" in page[page.index('id="thread"') :]
    assert "data-live-src" in page[page.index('id="thread"') :][:900]
    assert answer["HX-Replace-Url"] == tab.at


@pytest.mark.parametrize("verb", ["reply", "resolve"])
def test_an_answer_shows_the_thread_from_where_the_page_did(
    verb: str, conversation: Conversation, channel: Channel, alice: User
) -> None:
    """An agent who has scrolled up keeps their place."""
    first = conversation.messages.get()
    for number in range(60):
        services.note(conversation=conversation, by=alice, text=f"Note {number}.")
    tab = Tab(alice, conversation)
    for text in ("More", "Still more"):
        customer_writes(channel, text)
        tab.fields["seen"] = str(Message.objects.latest("pk").pk - (text == "Still more"))
    answer = tab.post(verb, text="Hello", since=first.pk)
    page = answer.content.decode()
    assert answer.status_code == 409
    thread = page[page.index('id="thread"') :]
    assert f'id="message-{first.pk}"' in thread
    assert f"?since={first.pk}" in thread
    tab.learn(page)
    again = tab.post("reply", text="Hello", since=first.pk)
    assert again.status_code == 200
    assert f'id="message-{first.pk}"' in again.content.decode()


def test_a_note_can_be_added_once_more_by_its_own_address(
    conversation: Conversation, alice: User
) -> None:
    """The button stands outside the form, whose own address is the replies'."""
    tab = Tab(alice, conversation)
    tab.post("note", text="vip", mode="note")
    page = tab.post("note", text="vip, since 2019", mode="note").content.decode()
    button = re.search(r"<button[^>]*>Add as another note", page)
    assert button
    assert 'type="submit"' in button[0]
    assert f'hx-post="{tab.at}note/"' in button[0]


@pytest.mark.parametrize(("text", "status"), [("Hello", 409), (" ", 422)])
def test_what_was_not_sent_keeps_its_press(
    text: str, status: int, conversation: Conversation, channel: Channel, alice: User
) -> None:
    tab = Tab(alice, conversation)
    mine = tab.fields["client_id"]
    customer_writes(channel, "WAIT!")
    answer = tab.post("reply", text=text)
    assert answer.status_code == status
    tab.learn(answer.content.decode())
    assert tab.fields["client_id"] == mine


def test_an_answer_says_what_else_has_changed(conversation: Conversation, alice: User) -> None:
    tab = Tab(alice, conversation)
    assert tab.post("reply", text="Hello")["X-Changed"] == "inbox"
    assert "conversation-orders" in tab.post("resolve")["X-Changed"]


def test_replies_are_in_the_order_of_their_presses(
    conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = services.reply(conversation=conversation, by=alice, text="First")
    # Another server's clock is behind.
    behind = first.created_at - timedelta(seconds=5)
    monkeypatch.setattr("inbox.conversations.writing.timezone.now", lambda: behind)
    second = services.reply(conversation=conversation, by=alice, text="Second")
    assert second.created_at > first.created_at
    assert now(conversation).last_message_preview == "Second"


def test_a_program_without_a_page_acts_on_whatever_there_is(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    customer_writes(channel, "WAIT!")
    services.reply(conversation=conversation, by=alice, text="Hello")
    assert now(conversation).waiting_since is None
    services.resolve(conversation=conversation)
    assert conversation.state == now(conversation).state == "resolved"
    assert Client().post(f"/inbox/conversations/{conversation.pk}/resolve/").status_code == 302
