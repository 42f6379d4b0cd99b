"""Drafts keep their text and mode, privately, until they are sent."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from inbox.conversations import (
    drafts,
    services,
)
from inbox.models import Conversation, Draft, Message, MessageKind
from orders.privacy import retention
from tests.conftest import logged_in

HTMX = {"HX-Request": "true"}


class Page:
    """A page of the conversation in a browser, as js/drafts.js works it."""

    def __init__(self, web: Client, conversation: Conversation) -> None:
        self.web, self.at = web, f"/inbox/conversations/{conversation.pk}/"
        self.read(self.web.get(self.at, headers={"X-Fragment": "view"}).content.decode())

    def read(self, html: str) -> None:
        form = html[html.index('id="composer"') :]
        field = re.search(r"<textarea[^>]*>([^<]*)</textarea>", form)
        checked = re.search(r'name="mode" value="(\w+)"[^>]* checked', form)
        assert field
        assert checked
        self.text, self.mode = unescape(field[1]), checked[1]
        self.client_id = self._hidden(form, "client_id")
        version = self._hidden(form, "version")
        self.seen = [version] if version else []

    @staticmethod
    def _hidden(form: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', form)
        assert found
        return found[1]

    def types(self, text: str, mode: str = "reply") -> dict[str, Any]:
        """A save that is on its way: its fields."""
        version, follows = str(uuid.uuid4()), list(self.seen)
        self.seen.append(version)
        return {
            "text": text,
            "mode": mode,
            "client_id": self.client_id,
            "version": version,
            "follows": follows,
        }

    def arrives(self, save: dict[str, Any]) -> dict[str, Any]:
        answer = self.web.post(f"{self.at}draft/", save)
        assert answer.status_code == 200, answer.content
        told: dict[str, Any] = answer.json()
        return told

    def writes(self, text: str, mode: str = "reply") -> dict[str, Any]:
        return self.arrives(self.types(text, mode))

    def sends(self, text: str, mode: str = "reply") -> Any:
        fields = {"text": text, "mode": mode, "client_id": self.client_id}
        answer = self.web.post(f"{self.at}{mode}/", fields, headers=HTMX)
        if answer.status_code == 200:
            self.read(answer.content.decode())
        return answer


@pytest.fixture
def page(as_alice: Client, conversation: Conversation) -> Page:
    return Page(as_alice, conversation)


def whole(answer: Any) -> str:
    found: bytes = b"".join(answer) if answer.streaming else answer.content
    return found.decode()


def shown(user: User, conversation: Conversation) -> tuple[str, str]:
    """What another browser of theirs shows, or this one after a reload or a new login."""
    found = Page(logged_in(user), conversation)
    return found.mode, found.text


# --- The mode comes back with the text ----------------------------------------------------------


def test_a_note_that_was_begun_is_a_note_again(
    page: Page, alice: User, conversation: Conversation
) -> None:
    page.writes("She is furious, careful", mode="note")
    assert shown(alice, conversation) == ("note", "She is furious, careful")
    # The whole page, without JavaScript, too.
    html = whole(page.web.get(page.at))
    assert re.search(r'name="mode" value="note"[^>]* checked', html)
    assert not re.search(r'name="mode" value="reply"[^>]* checked', html)


def test_the_choice_alone_is_saved_as_well(
    page: Page, alice: User, conversation: Conversation
) -> None:
    page.writes("Half a thought")
    page.writes("Half a thought", mode="note")
    assert shown(alice, conversation) == ("note", "Half a thought")


def test_the_browser_brings_no_choice_of_its_own_back(page: Page) -> None:
    html = page.web.get(page.at, headers={"X-Fragment": "view"}).content.decode()
    for radio in re.findall(r'<input type="radio" name="mode"[^>]*>', html):
        assert 'autocomplete="off"' in radio


# --- Whose it is --------------------------------------------------------------------------------


def test_a_draft_is_visible_only_to_its_author(
    page: Page, sara: User, bob: User, conversation: Conversation
) -> None:
    page.writes("Only mine", mode="note")
    for other in (sara, bob):
        assert shown(other, conversation) == ("reply", "")
        rows = logged_in(other).get("/inbox/rows/").content.decode()
        assert re.search(r'class="draft-mark" hidden', rows)


def test_two_agents_write_in_the_same_conversation(
    page: Page, alice: User, bob: User, conversation: Conversation
) -> None:
    page.writes("From Alice")
    Page(logged_in(bob), conversation).writes("From Bob", mode="note")
    assert shown(alice, conversation) == ("reply", "From Alice")
    assert shown(bob, conversation) == ("note", "From Bob")


def test_who_may_only_look_saves_nothing(conversation: Conversation, db: None) -> None:
    admin = User.objects.create_superuser("root")
    save = {
        "text": "x",
        "mode": "reply",
        "client_id": uuid.uuid4(),
        "version": uuid.uuid4(),
    }
    answer = logged_in(admin).post(f"/inbox/conversations/{conversation.pk}/draft/", save)
    assert answer.status_code == 403
    assert not Draft.objects.exists()


def test_the_list_marks_it_with_one_query(
    page: Page, alice: User, conversation: Conversation, django_assert_num_queries: Any
) -> None:
    assert "draft-mark" in page.web.get("/inbox/rows/").content.decode()
    assert re.search(r'class="draft-mark" hidden', page.web.get("/inbox/rows/").content.decode())
    page.writes("Begun")
    rows = page.web.get("/inbox/rows/").content.decode()
    assert re.search(r'class="draft-mark">', rows)
    with django_assert_num_queries(1):
        drafts.begun_in(alice, [conversation.pk])


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "shout"},
        {"client_id": "no"},
        {"version": ""},
        {"text": "x" * 40_001},
        {"text": "nul\x00"},
    ],
)
def test_what_is_no_draft_is_refused(page: Page, change: dict[str, str]) -> None:
    answer = page.web.post(f"{page.at}draft/", page.types("Hello") | change)
    assert answer.status_code == 422
    # What its author can mend is said.
    assert bool(answer.json()["problem"]) == ("text" in change)
    assert not Draft.objects.exists()


# --- Sent, it is gone ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["reply", "note"])
def test_what_was_sent_is_no_draft_any_more(
    page: Page, alice: User, conversation: Conversation, mode: str
) -> None:
    page.writes("On its way", mode=mode)
    assert page.sends("On its way", mode=mode).status_code == 200
    assert (page.mode, page.text) == ("reply", "")
    assert shown(alice, conversation) == ("reply", "")
    assert not Draft.objects.exists()


@pytest.mark.parametrize("mode", ["reply", "note"])
def test_a_save_that_comes_after_its_message_brings_nothing_back(
    page: Page, alice: User, conversation: Conversation, mode: str
) -> None:
    late = page.types("On its way", mode=mode)
    client_id = page.client_id
    page.sends("On its way, truly", mode=mode)
    told = page.arrives(late)
    assert (told["outcome"], told["text"], told["mode"]) == ("sent", "On its way, truly", mode)
    assert page.client_id != client_id
    assert not Draft.objects.exists()
    assert shown(alice, conversation) == ("reply", "")


def test_the_draft_goes_only_if_the_message_is_written(
    page: Page, alice: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.writes("Stays")
    page.web.raise_request_exception = False

    def fails(*_: Any) -> None:
        raise RuntimeError("the broker's row could not be written")

    monkeypatch.setattr("inbox.outbox.wake", fails)
    assert page.sends("Stays").status_code == 500
    assert not Message.objects.filter(kind=MessageKind.REPLY).exists()
    assert shown(alice, conversation) == ("reply", "Stays")


def test_what_stands_in_another_window_is_not_thrown_away(
    page: Page, alice: User, conversation: Conversation
) -> None:
    other = Page(page.web, conversation)
    other.writes("Something quite different")
    page.sends("Sent from here")
    assert shown(alice, conversation) == ("reply", "Something quite different")


def test_a_message_that_is_refused_keeps_its_draft(
    page: Page, alice: User, conversation: Conversation
) -> None:
    page.writes("x" * 20)
    answer = page.sends("x" * 10_001)
    assert answer.status_code == 422
    assert shown(alice, conversation) == ("reply", "x" * 20)


@pytest.fixture
def slow_sender(
    page: Page, conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """A message whose transaction is held open just before its end; called, it ends."""
    written, may_end = threading.Event(), threading.Event()
    real = drafts.settle

    def settle(**what: Any) -> None:
        real(**what)
        written.set()
        assert may_end.wait(10)

    monkeypatch.setattr(drafts, "settle", settle)

    def send() -> None:
        page.sends("The words")
        connection.close()

    sender = threading.Thread(target=send)
    sender.start()
    assert written.wait(10)
    yield may_end.set
    may_end.set()
    sender.join(10)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time anyway")
@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_save_at_the_same_moment_waits_for_the_message(
    page: Page,
    conversation: Conversation,
    alice: User,
    slow_sender: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    is_guarded: bool,
) -> None:
    """False, the negative control: without the lock, the sent words are a draft again."""
    looked, real = threading.Event(), drafts._write

    def write(*what: Any) -> Draft:
        looked.set()
        return real(*what)

    if not is_guarded:
        monkeypatch.setattr(drafts, "_lock", lambda conversation: None)
        monkeypatch.setattr(drafts, "_write", write)
    save, client_id = page.types("The words"), page.client_id
    told: list[drafts.Kept] = []

    def arrive() -> None:
        words = drafts.Words(
            text="The words",
            mode="reply",
            client_id=uuid.UUID(client_id),
            version=uuid.UUID(save["version"]),
        )
        told.append(drafts.save(conversation=conversation, by=alice, words=words, follows=[]))
        connection.close()

    saver = threading.Thread(target=arrive)
    saver.start()
    assert is_guarded or looked.wait(10), "it has seen no message yet"
    slow_sender()
    saver.join(10)
    for _ in range(100):
        if Message.objects.filter(client_id=client_id).exists():
            break
        threading.Event().wait(0.05)
    assert Draft.objects.exists() is not is_guarded
    assert told[0].outcome == ("sent" if is_guarded else "saved")


# --- Late, twice, out of order, and from two windows ---------------------------------------------


def test_an_older_save_that_comes_later_changes_nothing(
    page: Page, alice: User, conversation: Conversation
) -> None:
    first, second = page.types("Hel"), page.types("Hello", mode="note")
    assert page.arrives(second)["outcome"] == "saved"
    told = page.arrives(first)
    assert (told["outcome"], told["version"]) == ("other", second["version"])
    assert shown(alice, conversation) == ("note", "Hello")


def test_the_same_save_twice_is_one(page: Page, alice: User, conversation: Conversation) -> None:
    save = page.types("Hello")
    assert [page.arrives(save)["outcome"] for _ in range(2)] == ["saved", "saved"]
    assert Draft.objects.count() == 1


def test_what_was_cleared_does_not_come_back_with_a_late_save(
    page: Page, alice: User, conversation: Conversation
) -> None:
    page.writes("Hello")
    late, cleared = page.types("Hello you"), page.types("")
    page.arrives(cleared)
    page.arrives(late)
    assert shown(alice, conversation) == ("reply", "")
    assert page.writes("Again")["outcome"] == "saved"
    assert shown(alice, conversation) == ("reply", "Again")


def test_a_window_that_has_not_seen_them_does_not_replace_the_words_of_another(
    page: Page, alice: User, conversation: Conversation
) -> None:
    other = Page(page.web, conversation)
    page.writes("From the office", mode="note")
    told = other.writes("From home")
    assert (told["outcome"], told["text"], told["mode"]) == ("other", "From the office", "note")
    assert shown(alice, conversation) == ("note", "From the office")
    # It has shown them, and goes on with its own.
    other.seen.append(told["version"])
    assert other.writes("From home")["outcome"] == "saved"
    assert shown(alice, conversation) == ("reply", "From home")


# --- A note never leaves ------------------------------------------------------------------------


@pytest.mark.parametrize(("address", "mode"), [("reply", "note"), ("note", "reply")])
@pytest.mark.parametrize("headers", [HTMX, {}])
def test_a_button_that_does_not_fit_the_choice_writes_nothing(
    page: Page, address: str, mode: str, headers: dict[str, str]
) -> None:
    fields = {"text": "She lies", "mode": mode, "client_id": page.client_id}
    answer = page.web.post(f"{page.at}{address}/", fields, headers=headers)
    assert answer.status_code == 422
    html = whole(answer)
    assert "Nothing was sent" in html
    assert "She lies</textarea>" in html
    assert re.search(rf'name="mode" value="{mode}"[^>]* checked', html)
    assert not Message.objects.exclude(kind=MessageKind.INBOUND).exists()


def test_a_note_with_a_mistake_is_shown_again_as_a_note(page: Page) -> None:
    answer = page.web.post(f"{page.at}note/", {"text": " "}, headers=HTMX)
    assert answer.status_code == 422
    assert re.search(r'name="mode" value="note"[^>]* checked', answer.content.decode())


def test_an_address_without_a_choice_says_it_all(page: Page) -> None:
    page.web.post(f"{page.at}note/", {"text": "For the team"}, headers=HTMX)
    assert Message.objects.get(text="For the team").kind == MessageKind.NOTE


# --- How long -----------------------------------------------------------------------------------


def test_an_old_draft_goes_in_the_end(page: Page, settings: Any) -> None:
    page.writes("Forgotten")
    now = timezone.now()
    assert retention.apply(now=now + timedelta(days=89))["drafts"] == 0
    assert retention.apply(now=now + timedelta(days=91))["drafts"] == 1
    assert not Draft.objects.exists()


def test_words_that_came_in_a_form_stand_after_those_of_another_window(
    page: Page, alice: User, conversation: Conversation
) -> None:
    page.writes("For the team", mode="note")
    drafts.put(
        conversation=conversation, by=alice, mode="reply", text="Dear Jane", client_id=uuid.uuid4()
    )
    assert shown(alice, conversation) == ("note", "For the team\n\nDear Jane")
    press = services.Press(client_id=uuid.uuid4())
    message = services.reply(conversation=conversation, by=alice, text="Sent", press=press)
    assert message.client_id
    drafts.put(
        conversation=conversation, by=alice, mode="reply", text="Sent", client_id=message.client_id
    )
    assert shown(alice, conversation) == ("note", "For the team\n\nDear Jane")
