"""Who may listen to the event stream, and to what."""

from __future__ import annotations

import asyncio
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
from inbox.live import events

# For those who listen already: while the database takes its time for each of hundreds, webhooks and
# whoever comes anew must not stand in the same line.
_checks: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live-checks")


@dataclass(frozen=True, slots=True)
class Listener:
    """`topics` None: everything. `may_listen`, asked in a thread: whether they still may.
    `for_s`: after that the stream ends in any case."""

    topics: frozenset[str] | None
    may_listen: Callable[[], bool]
    for_s: float = float("inf")

    def hears(self, told: tuple[str, ...]) -> list[str]:
        """Of an event's topics, those this stream may know; none: the event is not for it."""
        if self.topics is None:
            return list(told)
        if self.topics.isdisjoint(told):
            return []
        # Of what came with it, only which order it was.
        return [topic for topic in told if topic in self.topics or topic.startswith("order:")]


async def listener(*, token: str, cookies: str) -> Listener:
    """Whose stream it is: a frame's by its token, else by the session. Raises BadSignature, also
    for somebody who has no role any more, and db.Error."""
    if token:
        agent_id, topics = events.open_frame_token(token)
        found = Listener(topics, lambda: _has_role(agent_id), events.FRAME_TOKEN_AGE_S)
    else:
        key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")
        found = Listener(None, lambda: _is_logged_in(key))
    if not await asyncio.to_thread(found.may_listen):
        raise signing.BadSignature("no role")
    return found


async def still_may_listen(found: Listener) -> bool:
    """Asked again while the stream is open. Raises db.Error."""
    return await asyncio.get_running_loop().run_in_executor(_checks, found.may_listen)


def _has_role(user_id: int) -> bool:
    """In a thread of its own: an open stream costs no connection."""
    try:
        user = User.objects.filter(pk=user_id).first()
        return user is not None and roles.may_read(user)
    finally:
        connection.close()


def _is_logged_in(session_key: str) -> bool:
    """As a page would find it: the session lives, its person is active and may look. Not
    auth.get_user: after a change of SECRET_KEY it gives the session a new key, which no answer
    of ours brings to the browser."""
    if not session_key:
        return False
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    try:
        user = User.objects.filter(pk=session.get(SESSION_KEY)).first()
        if user is None or not roles.may_read(user):
            return False
        known = str(session.get(HASH_SESSION_KEY, ""))
        hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
        return any(constant_time_compare(known, one) for one in hashes)
    finally:
        connection.close()
