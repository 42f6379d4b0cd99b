"""Teams change while messages arrive and agents act: no conversation ends up where no one sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from inbox.conversations import moving, receiving
from inbox.models import Channel, Conversation, Team
from tests.inbox.conversations.test_writes import customer_writes
from tests.orders.actions.locks.test_locks import _waiters, elsewhere

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
)


@pytest.fixture(autouse=True)
def _no_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that moves what is left with the old team has already run when the customer's message
    is stored, as in production it might."""
    monkeypatch.setattr(moving, "_wake", lambda _task, _pk: None)


@contextmanager
def concurrently(work: Callable[[], Any]) -> Iterator[None]:
    """While a transaction is open here, the work runs elsewhere, to its end or until it waits."""
    thread = threading.Thread(target=elsewhere, args=(work,))
    with transaction.atomic():
        yield
        thread.start()
        until = time.monotonic() + 20
        while thread.is_alive() and not _waiters() and time.monotonic() < until:
            time.sleep(0.005)
    thread.join(timeout=20)


def _give_while_a_customer_writes(channel: Channel, sara: User) -> Conversation:
    """The first team takes the channel over while the first message of a conversation arrives."""
    team = Team.objects.create(name="First")
    with concurrently(lambda: customer_writes(channel, "Hello?")):
        moving.give_channels(team=team, channels=[channel], by=sara)
    return Conversation.objects.get()


@on_postgresql
def test_a_new_conversation_gets_the_team_its_channel_is_given_at_that_moment(
    channel: Channel, sara: User
) -> None:
    assert _give_while_a_customer_writes(channel, sara).team == Team.objects.get()


@on_postgresql
def test_without_the_lock_no_one_would_see_it(
    channel: Channel, sara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the channel's team is only read."""
    rows = Channel.objects.values_list("team_id", flat=True)
    monkeypatch.setattr(receiving, "_team_of", lambda channel: rows.get(pk=channel.pk))
    assert _give_while_a_customer_writes(channel, sara).team is None
