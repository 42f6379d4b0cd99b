"""The conversation arrives while the order panel is still being computed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client

from inbox.models import Conversation
from inbox.panel import rendering, streamed_pages
from tests.support.browser.listening import cookie_of
from tests.support.shop.doors import native_door

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The panel waits until this is set."""
    go_on = threading.Event()

    def late(*_words: object) -> str:
        go_on.wait(20)
        return "<b>the panel</b>"

    monkeypatch.setattr(rendering, "html", late)
    yield go_on
    go_on.set()


def ask(port: int, client: Client, path: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    cookie = f"{settings.SESSION_COOKIE_NAME}={cookie_of(client)}"
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    )
    line.sendall(head.encode())
    return line


def read(line: socket.socket, until: bytes = b"") -> bytes:
    """Up to these words, or to the end. Raises TimeoutError."""
    found = b""
    while not until or until not in found:
        chunk = line.recv(65536)
        if not chunk:
            break
        found += chunk
    return found


def test_the_thread_is_there_while_the_panel_is_held_up(
    as_alice: Client, conversation: Conversation, held_up: threading.Event
) -> None:
    with native_door() as door:
        with ask(door.port, as_alice, f"/inbox/conversations/{conversation.pk}/") as line:
            first = read(line, b"Where is my order?</p>")
            assert b"Where is my order?" in first
            assert b"the panel" not in first
            assert not held_up.is_set()
            held_up.set()
            rest = read(line)
        assert b"<b>the panel</b>" in rest
        assert b"</html>" in rest
        assert streamed_pages.MARK.encode() not in first + rest


def test_another_server_sends_it_whole(
    as_alice: Client, conversation: Conversation, held_up: threading.Event
) -> None:
    held_up.set()
    page = as_alice.get(f"/inbox/conversations/{conversation.pk}/")
    assert not page.streaming
    assert "the panel" in page.content.decode()
