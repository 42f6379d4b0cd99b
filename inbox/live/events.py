"""What changed, told to the browsers that look at it. Ids only.

Each announcement is a row (LiveEvent), written with the change itself; Redis only says that there
is one. A page knows its position, and whoever gives it is told everything that came after
(inbox.live.stream). So nothing depends on who listened when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final, Self

import redis
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.crypto import salted_hmac

from inbox.models import LiveEvent
from inbox.models.live import CurrentTransaction

logger = logging.getLogger(__name__)

CHANNEL: Final = "inbox:live"
_SALT: Final = "live"
_FRAME_SALT: Final = "live.frame"
# As long as the frame's pass; each new pass brings a new one.
FRAME_TOKEN_AGE_S: Final = 600
# Who was away for longer looks at everything again. Rows are kept for longer than that.
CATCH_UP_S: Final = 3600.0
KEEP: Final = timedelta(hours=2)
# While Redis does not answer, a change must not wait for it each time.
_REST_S: Final = 5.0
_LARGEST: Final = 2**63 - 1
# Of a snapshot's transactions some may still be running: those are the ones that come later, with
# a lower `at` than what is read already. What is beyond a snapshot's end is none of its database:
# a dump brings the numbers of another server along, which would be news at every look.
_MARK: Final = {
    "postgresql": "SELECT pg_current_snapshot()::text",
    "sqlite": "SELECT COALESCE(MAX(at), 0) + 1 FROM inbox_liveevent",
}
_SINCE: Final = {
    "postgresql": """
        SELECT pg_current_snapshot()::text, event.id, event.at, event.topics
        FROM (SELECT 1) AS always LEFT JOIN inbox_liveevent AS event
        ON event.at >= %s AND event.at < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        AND NOT pg_visible_in_snapshot(event.at::text::xid8, %s::pg_snapshot)
        ORDER BY event.id LIMIT %s
    """,
    "sqlite": """
        SELECT (SELECT COALESCE(MAX(at), 0) + 1 FROM inbox_liveevent),
               event.id, event.at, event.topics
        FROM (SELECT 1) AS always LEFT JOIN inbox_liveevent AS event ON event.at >= %s
        ORDER BY event.id LIMIT %s
    """,
}
_resting_until = 0.0


def announce(*topics: str) -> None:
    """Tell browsers, once the running transaction commits, that something looks different.

    Topics: "inbox", "conversation:<id>", "contact:<id>", "order:<id>", "person:<hash>". Written in
    the caller's transaction, if there is one; raises what the database raises.
    """
    LiveEvent.objects.create(topics=" ".join(sorted(set(topics))), at=CurrentTransaction())
    transaction.on_commit(_poke, robust=True)


def _poke() -> None:
    """Wake the web processes. Never raises: they look by themselves every second."""
    global _resting_until
    if not settings.REDIS_URL or time.monotonic() < _resting_until:
        return
    try:
        _client().publish(CHANNEL, b"")
    except redis.RedisError:
        _resting_until = time.monotonic() + _REST_S
        logger.warning("live updates take up to a second: Redis does not answer")


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5)


# --- Positions -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Position:
    """How far something has read: every event whose `at` is lower was there to be seen.

    `ms` is the server's clock at that moment, which browsers count ages by.
    """

    at: int
    ms: int

    def __str__(self) -> str:
        return f"{self.at}-{self.ms}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None: not one of ours."""
        at, _, ms = text.partition("-")
        if not all(word.isascii() and word.isdigit() and len(word) < 20 for word in (at, ms)):
            return None
        return cls(int(at), int(ms)) if 0 < int(at) <= _LARGEST else None

    @property
    def age_s(self) -> float:
        return time.time() - self.ms / 1000


@dataclass(frozen=True, slots=True)
class Event:
    """`number` tells one from another; `at` compares with positions."""

    number: int
    at: int
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The events after a mark, and the mark to go on from."""

    mark: str
    events: tuple[Event, ...]

    @property
    def position(self) -> Position:
        return Position(at_of(self.mark), int(time.time() * 1000))


def at_of(mark: str) -> int:
    """The lowest `at` that may still come: of PostgreSQL's snapshots, the oldest transaction
    that was running."""
    return int(mark.partition(":")[0])


def position() -> Position:
    """Take it before reading what is shown: what is committed in between then counts as new."""
    found = int(time.time() * 1000)
    with connection.cursor() as cursor:
        cursor.execute(_MARK[connection.vendor])
        return Position(at_of(str(cursor.fetchone()[0])), found)


def mark_at(at: int) -> str:
    """The mark after which everything from `at` on is read."""
    return f"{at}:{at}:" if connection.vendor == "postgresql" else str(at)


def read(mark: str = "", *, at_most: int) -> Reading:
    """What was committed since a mark, in one statement; without one, nothing but the mark of now.

    More than `at_most` events: the first of these and one more.
    """
    if not mark:
        with connection.cursor() as cursor:
            cursor.execute(_MARK[connection.vendor])
            return Reading(str(cursor.fetchone()[0]), ())
    with connection.cursor() as cursor:
        words: list[Any] = [at_of(mark)]
        if connection.vendor == "postgresql":
            words.append(mark)
        cursor.execute(_SINCE[connection.vendor], [*words, at_most + 1])
        rows = cursor.fetchall()
    events = tuple(
        Event(number, at, tuple(topics.split()))
        for _mark, number, at, topics in rows
        if number is not None
    )
    return Reading(str(rows[0][0]), events)


def prune() -> int:
    """Remove what nobody catches up on any more; returns how many. The newest stays: on SQLite
    it says where the numbers go on."""
    newest = LiveEvent.objects.aggregate(newest=Max("pk"))["newest"]
    old = LiveEvent.objects.filter(created_at__lt=timezone.now() - KEEP)
    return old.exclude(pk=newest).delete()[0]


# --- Frames --------------------------------------------------------------------------------------
def person_topic(address: str) -> str:
    """Of an e-mail address or phone number, for panels that know no contact of ours."""
    return f"person:{salted_hmac(_SALT, address, algorithm='sha256').hexdigest()[:24]}"


def frame_stream_token(topics: Iterable[str], *, agent_id: int) -> str:
    """Opens a stream that tells of these people's orders only, for as long as it is valid and
    its agent has a role. A frame has no cookie that would say who looks."""
    return signing.dumps([agent_id, sorted(topics)], salt=_FRAME_SALT)


def open_frame_token(token: str) -> tuple[int, frozenset[str]]:
    """The agent's id and the topics. Raises BadSignature."""
    agent_id, topics = signing.loads(token, salt=_FRAME_SALT, max_age=FRAME_TOKEN_AGE_S)
    return agent_id, frozenset(topics)
