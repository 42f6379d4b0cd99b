"""Authorization of the event stream: who may listen, and to which topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.http import parse_cookie
from django.utils.crypto import constant_time_compare

from inbox.accounts import roles
from inbox.accounts.login import factors, sessions
from inbox.live import audience, events
from inbox.live.events import Event, FrameStream
from inbox.visibility import NOTHING, Scope, scope_of

# Rechecks of open streams get their own threads: when the database is slow, hundreds of them must
# not hold up webhooks and new streams in the default pool.
_recheck_pool: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live-checks")


@dataclass(slots=True)
class _Login:
    """The session behind a stream; its end is announced (events.session_topic)."""

    session_key: str
    user_id: int | None = None

    def user(self) -> User | None:
        """Return whose session it is; None if a page view would not accept it."""
        return self._look_up() or self._follow()

    def _look_up(self) -> User | None:
        user = _user_of_session(self.session_key)
        if user is not None:
            self.user_id = user.pk
        return user

    def _follow(self) -> User | None:
        """Go on with the key that the session has had since a fresh proof.

        Only for a session that was valid here before: a key that was replaced opens nothing.
        """
        if self.user_id is None:
            return None
        self.session_key = sessions.current_key(self.session_key, self.user_id)
        return self._look_up() if self.session_key else None


@dataclass(slots=True)
class Listener:
    """What a stream may be sent. `topics` None means everything in the scope. `look_up` returns the
    scope, or None for someone who may not listen; it queries the database and must run in a thread.
    After `for_s` seconds the stream ends in any case."""

    topics: frozenset[str] | None
    look_up: Callable[[], Scope | None]
    for_s: float = float("inf")
    login: _Login | None = None
    scope: Scope = NOTHING

    def may_listen(self) -> bool:
        """Look up whether the stream may go on, and what it may be sent from now on."""
        found = self.look_up()
        self.scope = found or NOTHING
        return found is not None

    def is_about_sessions(self, announced: tuple[str, ...]) -> bool:
        """Return whether an event is for streams alone: sessions were ended, or rights may have."""
        return any(topic.startswith((events.SESSION, events.SESSIONS)) for topic in announced)

    def is_doubted_by(self, announced: tuple[str, ...]) -> bool:
        """Return whether to recheck at once: this session was ended, or all of someone's.

        Whose, the stream doesn't know; that is rare enough to ask for all.
        """
        own = events.session_topic(self.login.session_key) if self.login else ""
        return any(topic == own or topic.startswith(events.SESSIONS) for topic in announced)

    def hears(self, event: Event) -> list[str]:
        """Return those of an event's topics that this stream may see; empty if the event is not
        for it."""
        announced = audience.heard(event, self.scope)
        if self.topics is None:
            return announced
        if self.topics.isdisjoint(announced):
            return []
        # Of the topics announced along with it, reveal only which order it was.
        return [topic for topic in announced if topic in self.topics or topic.startswith("order:")]


async def listener(*, token: str, cookies: str) -> Listener:
    """Authenticate a stream: a frame by its token, any other by the session.

    Raises BadSignature, also for a user without a role, and db.Error.
    """
    if token:
        sealed = events.open_frame_token(token)
        login = _Login(sealed.session_key, sealed.agent_id) if sealed.session_key else None
        found = Listener(
            frozenset(sealed.topics),
            lambda: _scope_of_frame(sealed, login),
            events.FRAME_TOKEN_AGE_S,
            login,
        )
    else:
        key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")
        login = _Login(key)
        found = Listener(None, lambda: _scope_of_session(login), login=login)
    if not await asyncio.to_thread(found.may_listen):
        raise signing.BadSignature("no role")
    return found


async def still_may_listen(found: Listener) -> bool:
    """Recheck an open stream. Raises db.Error."""
    return await asyncio.get_running_loop().run_in_executor(_recheck_pool, found.may_listen)


def _scope_of_frame(sealed: FrameStream, login: _Login | None) -> Scope | None:
    """The agent's scope while the login behind the frame's stream holds; None once it doesn't."""
    if login and _scope_of_session(login) is None:
        return None
    if login is None and time.time() >= sealed.vouched_until:
        return None
    return _scope_of_agent(sealed.agent_id)


def _scope_of_agent(user_id: int) -> Scope | None:
    """Runs in a thread and closes the connection, so that an open stream doesn't hold one."""
    try:
        user = User.objects.filter(pk=user_id).first()
        return scope_of(user) if user is not None and roles.may_work(user) else None
    finally:
        connection.close()


def _scope_of_session(login: _Login) -> Scope | None:
    """Runs in a thread and closes the connection."""
    try:
        user = login.user()
        return scope_of(user) if user is not None else None
    finally:
        connection.close()


def _user_of_session(session_key: str) -> User | None:
    """Return the session's user; None if a page view would not accept the session.

    It has to exist, and its user to be active and to have a role that opens the inbox.

    auth.get_user is not used because after a change of SECRET_KEY it rotates the session key, and
    a stream has no way to send the new cookie.
    """
    if not session_key:
        return None
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = User.objects.filter(pk=session.get(SESSION_KEY)).first()
    if user is None or not roles.may_work(user) or factors.is_missing(user):
        return None
    known = str(session.get(HASH_SESSION_KEY, ""))
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    is_valid = any(constant_time_compare(known, one) for one in hashes)
    return user if is_valid else None
