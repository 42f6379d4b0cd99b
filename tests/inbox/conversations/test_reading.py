"""Each agent has their own read mark, and it never covers messages that came later."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from inbox import read_marks
from inbox.conversations import (
    listing,
    services,
)
from inbox.models import Channel, Conversation, ReadMark
from tests.conftest import logged_in
from tests.inbox.conversations.test_writes import customer_writes

pytestmark = pytest.mark.django_db(transaction=True)


def is_bold(agent: User, conversation: Conversation) -> bool:
    found = listing.conversation_list(agent, scope="all", state="open", query="", after="")
    return next(row.is_unread for row in found.rows if row.pk == conversation.pk)


def is_unread(conversation: Conversation) -> bool:
    return Conversation.objects.get(pk=conversation.pk).is_unread


def test_a_second_viewer_does_not_read_for_the_assignee(
    conversation: Conversation, alice: User, bob: User
) -> None:
    logged_in(bob).get(f"/inbox/conversations/{conversation.pk}/")
    assert is_unread(conversation)
    assert (is_bold(alice, conversation), is_bold(bob, conversation)) == (True, False)
    logged_in(alice).get(f"/inbox/conversations/{conversation.pk}/")
    assert not is_unread(conversation)
    assert not is_bold(alice, conversation)


def test_any_agent_marks_an_unassigned_conversation_as_read(
    conversation: Conversation, alice: User, bob: User
) -> None:
    services.assign(conversation=conversation, to=None)
    logged_in(bob).get(f"/inbox/conversations/{conversation.pk}/")
    assert not is_unread(conversation)
    assert is_bold(alice, conversation), "who has not opened it has not read it"
    services.assign(conversation=conversation, to=alice)
    assert is_unread(conversation), "whose it is now has not read it"


def test_each_new_message_is_unread_again(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    web, at = logged_in(alice), f"/inbox/conversations/{conversation.pk}/"
    web.get(at)
    customer_writes(channel, "One more thing")
    assert is_bold(alice, conversation)
    assert is_unread(conversation)
    # An agent's own words are no news.
    web.get(at)
    services.note(conversation=conversation, by=alice, text="vip")
    assert not is_bold(alice, conversation)


PART = {"X-Fragment": "view"}
LIVE = {"HX-Request": "true"}


@pytest.mark.parametrize(
    ("part", "headers"), [("", PART), ("thread/", LIVE), ("thread/", {}), ("", None)]
)
def test_what_is_handed_to_a_script_is_not_read_by_that(
    conversation: Conversation, alice: User, part: str, headers: dict[str, str] | None
) -> None:
    """The response may be lost or never looked at. None: a whole page in a browser with scripts,
    which does not differ from one without but for a cookie."""
    web = logged_in(alice)
    if headers is None:
        web.cookies["scripts"] = "1"
    page = web.get(f"/inbox/conversations/{conversation.pk}/{part}", headers=headers or {})
    seen = conversation.messages.get().pk
    assert f'data-seen="{seen}" data-read-url="/inbox/conversations/{conversation.pk}/read/"' in (
        page.content.decode()
    )
    assert not ReadMark.objects.exists()
    assert is_unread(conversation)


@pytest.mark.parametrize("status", [200, 409])
def test_the_answer_to_a_write_is_not_read_by_being_sent(
    conversation: Conversation, channel: Channel, alice: User, status: int
) -> None:
    """Only what the page showed before is."""
    seen = conversation.messages.get().pk
    came = customer_writes(channel, "One more thing").pk
    verb = "note" if status == 200 else "reply"
    answer = logged_in(alice).post(
        f"/inbox/conversations/{conversation.pk}/{verb}/",
        {"text": "Hi", "seen": seen},
        headers=LIVE,
    )
    assert answer.status_code == status
    assert f'data-seen="{came}" data-read-url=' in answer.content.decode()
    assert (read_marks.mark_of(alice, conversation) or 0) < came
    assert is_unread(conversation)


def test_a_page_says_what_was_seen_on_it_and_no_further(
    conversation: Conversation, channel: Channel, alice: User
) -> None:
    web, at = logged_in(alice), f"/inbox/conversations/{conversation.pk}/"
    seen = conversation.messages.get().pk
    customer_writes(channel, "Written while it lay there")
    web.post(f"{at}read/", {"seen": seen})
    assert ReadMark.objects.get(user=alice).last_message_id == seen
    assert is_unread(conversation)
    assert is_bold(alice, conversation)
    # Neither what does not exist nor what is no number is read.
    for words in ({}, {"seen": "x"}):
        web.post(f"{at}read/", words)
    assert is_unread(conversation)
    web.post(f"{at}read/", {"seen": 999_999_999})
    assert not is_unread(conversation)
    assert "data-read-url" not in web.get(at, headers=PART).content.decode(), "nothing is new"
    customer_writes(channel, "And later")
    assert is_unread(conversation)


def test_an_agent_who_is_away_marks_nothing_as_read(
    conversation: Conversation, alice: User
) -> None:
    """The page asks by itself, five minutes after anybody touched it."""
    at = f"/inbox/conversations/{conversation.pk}/read/"
    words = {"seen": conversation.messages.get().pk}
    assert logged_in(alice).post(at, words, headers={"X-Background": "1"}).status_code == 204
    assert not ReadMark.objects.exists()
    logged_in(alice).post(at, words)
    assert not is_unread(conversation)


def test_a_mark_never_goes_back(conversation: Conversation, channel: Channel, alice: User) -> None:
    first = conversation.messages.get().pk
    second = customer_writes(channel, "More").pk
    for up_to in (second, first, 0):
        services.mark_read(conversation=conversation, by=alice, up_to=up_to)
    assert read_marks.mark_of(alice, conversation) == second


def test_who_administers_reads_nothing(conversation: Conversation) -> None:
    root = User.objects.create_superuser("root")
    assert logged_in(root).get(f"/inbox/conversations/{conversation.pk}/").status_code == 403
    assert not ReadMark.objects.exists()
    assert is_unread(conversation)


def test_a_conversation_a_colleague_resolved_is_not_unread_for_me(
    conversation: Conversation, alice: User, bob: User
) -> None:
    services.mark_read(conversation=conversation, by=alice, up_to=conversation.messages.get().pk)
    services.resolve(conversation=conversation, by=alice)
    found = listing.conversation_list(bob, scope="all", state="resolved", query="", after="")
    assert [row.is_unread for row in found.rows] == [False]


def test_the_list_asks_once_whatever_its_length(
    channel: Channel, alice: User, django_assert_num_queries: Any
) -> None:
    services.receive(
        channel=channel,
        external_id="a",
        conversation_id="a",
        text="Hi",
        sender=services.Sender(external_id="a"),
        sent_at=Conversation._meta.get_field("last_message_at").default(),
    )

    def look() -> Any:
        return listing.conversation_list(alice, scope="all", state="open", query="", after="")

    look()
    # The rows, which of them are unread, and where there is a draft.
    with django_assert_num_queries(3):
        assert len(look().rows) == 1
    for name in "bcdefghij":
        services.receive(
            channel=channel,
            external_id=name,
            conversation_id=name,
            text="Hi",
            sender=services.Sender(external_id=name),
            sent_at=Conversation._meta.get_field("last_message_at").default(),
        )
    with django_assert_num_queries(3):
        assert len(look().rows) == 10
