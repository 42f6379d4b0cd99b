"""Announcements of changes to the browsers that show them; they carry IDs only.

Each announcement is a row (LiveEvent) written together with the change; Redis only signals that
there is one. A page knows its position and sends it along, and gets everything that came after it
(inbox.live.stream). So nothing depends on who was listening when.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final, Self

import redis
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.crypto import salted_hmac

from core import redis_servers
from core.encryption import box
from inbox.models import LiveEvent
from inbox.models.live import CurrentTransaction

logger = logging.getLogger(__name__)

# Begin the topics of one session, and of all sessions of a person.
SESSION: Final = "session:"
SESSIONS: Final = "sessions:"
CHANNEL: Final = "inbox:live"
_SALT: Final = "live"
# The lifetime of a frame's pass; each new pass comes with a new token.
FRAME_TOKEN_AGE_S: Final = 600
# A page that was away for longer reloads everything. Rows are kept for longer than that.
CATCH_UP_S: Final = 3600.0
KEEP: Final = timedelta(hours=2)
# While Redis is down, skip it for a while instead of delaying every change.
_PAUSE_S: Final = 5.0
_LARGEST: Final = 2**63 - 1
# Transactions that were still running at a snapshot may commit later with an `at` lower than what
# has been read, so `at` alone is no cursor; the snapshot is. Rows beyond the snapshot's xmax come
# from a dump of another server, and without the bound they would look new at every poll.
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


def session_topic(session_key: str) -> str:
    """Return the topic of one session. Streams read it; it isn't passed on to browsers."""
    return f"{SESSION}{salted_hmac(_SALT, session_key, algorithm='sha256').hexdigest()[:24]}"


def sessions_of(user_id: int) -> str:
    """Return the topic of a person's sessions. Streams read it; it isn't passed on to browsers."""
    return f"{SESSIONS}{user_id}"


def announce(*topics: str) -> None:
    """Tell browsers, once the running transaction commits, that something looks different.

    Topics: "inbox", "approvals", "decisions", "conversation:<id>", "conversation-orders:<id>", "contact:<id>", "order:<id>",
    "person:<hash>", "sessions:<user id>" (`sessions_of`),
    "session:<hash>" (`session_topic`). Writes in the caller's transaction, if any; raises what the
    database raises.
    """
    LiveEvent.objects.create(topics=" ".join(sorted(set(topics))), at=CurrentTransaction())
    transaction.on_commit(_signal, robust=True)


def _signal() -> None:
    """Wake the web processes. Never raises, because they also poll once a second."""
    global _resting_until
    if not settings.REDIS_URL or time.monotonic() < _resting_until:
        return
    try:
        _client().publish(CHANNEL, b"")
    except redis.RedisError:
        _resting_until = time.monotonic() + _PAUSE_S
        logger.warning("live updates take up to a second: Redis does not respond")


@cache
def _client() -> redis.Redis:
    return redis_servers.client(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5)


# --- Positions -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Position:
    """How far a page or stream has read: every event with a lower `at` was visible to it.

    `ms` is the server's time at that moment, which browsers use to compute ages.
    """

    at: int
    ms: int

    def __str__(self) -> str:
        return f"{self.at}-{self.ms}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse "at-ms"; None if malformed or out of range."""
        at, _, ms = text.partition("-")
        if not all(word.isascii() and word.isdigit() and len(word) < 20 for word in (at, ms)):
            return None
        return cls(int(at), int(ms)) if 0 < int(at) <= _LARGEST else None

    @property
    def age_s(self) -> float:
        """Seconds since the position was taken, by this server's clock."""
        return time.time() - self.ms / 1000


@dataclass(frozen=True, slots=True)
class Event:
    """An announcement. `number` is its unique ID; `at` compares with positions.

    `owners` maps its topics to the teams or stores that may hear them (inbox.live.audience); None if
    there are no teams, so that everyone may.
    """

    number: int
    at: int
    topics: tuple[str, ...]
    owners: Mapping[str, frozenset[int]] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The events after a mark, and the mark to continue from.

    A mark is PostgreSQL's pg_snapshot in text form, or on SQLite the next `at`.
    """

    mark: str
    events: tuple[Event, ...]

    @property
    def position(self) -> Position:
        """Where a browser that has received these events continues."""
        return Position(at_of(self.mark), int(time.time() * 1000))


def at_of(mark: str) -> int:
    """Return the lowest `at` that may still appear after this mark: in a PostgreSQL snapshot, the
    oldest transaction that was still running (xmin)."""
    return int(mark.partition(":")[0])


def position() -> Position:
    """Return the current position. Call it before reading what a page shows, so that a change
    committed in between counts as new."""
    found = int(time.time() * 1000)
    with connection.cursor() as cursor:
        cursor.execute(_MARK[connection.vendor])
        return Position(at_of(str(cursor.fetchone()[0])), found)


def mark_at(at: int) -> str:
    """Return the mark from which `read` returns everything from `at` on."""
    return f"{at}:{at}:" if connection.vendor == "postgresql" else str(at)


def read(mark: str = "", *, at_most: int) -> Reading:
    """Return what was committed since a mark, in one statement; without a mark, no events and the
    current mark.

    If there are more than `at_most` events, returns one more than that, so that the caller notices.
    """
    if not mark:
        with connection.cursor() as cursor:
            cursor.execute(_MARK[connection.vendor])
            return Reading(str(cursor.fetchone()[0]), ())
    with connection.cursor() as cursor:
        params: list[Any] = [at_of(mark)]
        if connection.vendor == "postgresql":
            params.append(mark)
        cursor.execute(_SINCE[connection.vendor], [*params, at_most + 1])
        rows = cursor.fetchall()
    events = tuple(
        Event(number, at, tuple(topics.split()))
        for _mark, number, at, topics in rows
        if number is not None
    )
    return Reading(str(rows[0][0]), events)


def prune() -> int:
    """Delete rows too old for any page to catch up from; return how many. The newest row stays,
    because SQLite continues numbering from it."""
    newest = LiveEvent.objects.aggregate(newest=Max("pk"))["newest"]
    old = LiveEvent.objects.filter(created_at__lt=timezone.now() - KEEP)
    return old.exclude(pk=newest).delete()[0]


# --- Frames --------------------------------------------------------------------------------------
def person_topic(address: str) -> str:
    """Return the topic of an email address or phone number, for panels without a contact."""
    return f"person:{salted_hmac(_SALT, address, algorithm='sha256').hexdigest()[:24]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStream:
    """What a frame's stream token is bound to: an agent, their topics, and the login behind it.

    That is `session_key`, their session with us, or if empty, the help desk's word for them, which
    counts until the Unix timestamp `vouched_until`.
    """

    agent_id: int
    topics: tuple[str, ...]
    session_key: str = ""
    vouched_until: int = 0


def frame_stream_token(stream: FrameStream) -> str:
    """Seal a token that opens this stream, for a frame, which has no session of its own.

    The stream ends when the token expires, its login ends, or its agent loses their role.
    Encrypted, as its holder must not learn the session's key.
    """
    return box().encrypt(json.dumps(asdict(stream)).encode()).decode()


def open_frame_token(token: str) -> FrameStream:
    """Unseal a token. Raises BadSignature if it is forged or expired."""
    try:
        plain = json.loads(box().decrypt(token.encode(), ttl=FRAME_TOKEN_AGE_S))
        return FrameStream(**(plain | {"topics": tuple(plain["topics"])}))
    except (InvalidToken, UnicodeEncodeError, TypeError, KeyError, ValueError) as error:
        raise signing.BadSignature("not a stream token") from error
