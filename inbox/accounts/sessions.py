"""How long a log-in lasts, and who logged in with a browser before.

A session ends SESSION_COOKIE_AGE after its agent last did something, and SESSION_LONGEST_S after
the log-in whatever they do. What pages do by themselves is nobody's doing: an open page on an
empty desk does not keep its agent logged in.

The cookie "agent" outlives the session. It says who logged in last, so that pages notice when it
was somebody else, and proves it for the browser's CSRF secret. With that proof the same agent
keeps the secret when logging in again, and forms in their other tabs still work. Django changes
it at every log-in because somebody else may have planted or read it before; the proof is given
out only at a log-in of that agent, together with a secret that was new then, and a log-out or a
log-in of another agent ends it. So the secret that is kept has only ever been theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

_BEGAN: Final = "began_at"
# Not with every request: a session is a row that is written anew.
_RENEW_AFTER: Final = timedelta(minutes=5)
_NOBODY: Final = "0"
_SALT: Final = "inbox.sessions"
_KEPT_SALT: Final = "inbox.sessions.kept"
_KEPT_S: Final = 3600
# Which of the two the middleware has to write into the answer's cookie.
_LOGGED_IN: Final = "inbox.logged_in"
_LOGGED_OUT: Final = "inbox.logged_out"


def begin(request: HttpRequest, user: User, *, now: datetime) -> None:
    """Somebody has logged in, by whatever door."""
    request.session[_BEGAN] = now.isoformat()
    request.session.set_expiry(_end(now, now))
    if _is_proven(request, user):
        # Django has just put a new one there (login, rotate_token).
        request.META["CSRF_COOKIE"] = request.COOKIES[settings.CSRF_COOKIE_NAME]
    request.META[_LOGGED_IN] = user


def finish(request: HttpRequest) -> None:
    """Somebody has logged out: whoever comes next is a stranger to this browser."""
    request.META[_LOGGED_OUT] = True


def renew(session: SessionBase, *, now: datetime) -> None:
    """The agent has done something: the session lasts longer, up to its longest."""
    if SESSION_KEY not in session:
        return
    began = session.get(_BEGAN)
    if began is None:
        session[_BEGAN] = now.isoformat()
        session.set_expiry(_end(now, now))
        return
    end = _end(datetime.fromisoformat(began), now)
    if end - session.get_expiry_date() >= _RENEW_AFTER:
        session.set_expiry(end)


def _end(began: datetime, now: datetime) -> datetime:
    idle = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return min(idle, began + timedelta(seconds=settings.SESSION_LONGEST_S))


def mark(request: HttpRequest, response: HttpResponse) -> None:
    """Write into the browser who logged in or out."""
    shown = request.COOKIES.get(cookie_name(), "").partition(".")[0]
    if user := request.META.get(_LOGGED_IN):
        value = f"{user.pk}.{_proof(user, request.META.get('CSRF_COOKIE', ''))}"
    elif _LOGGED_OUT in request.META:
        value = _NOBODY
    elif request.session.accessed and request.session.get(SESSION_KEY, shown) != shown:
        # A log-in from before there was this cookie. It proves nothing.
        value = f"{request.session[SESSION_KEY]}."
    else:
        return
    response.set_cookie(
        cookie_name(),
        value,
        max_age=settings.SESSION_LONGEST_S,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
        # Not httponly: pages compare the number in front with their own agent's.
    )


def cookie_name() -> str:
    return "__Host-agent" if settings.SESSION_COOKIE_SECURE else "agent"


def last_agent(request: HttpRequest) -> User | None:
    """Who logged in last with this browser and did not log out, if it is proven."""
    pk = request.COOKIES.get(cookie_name(), "").partition(".")[0]
    if not (pk.isascii() and pk.isdigit() and len(pk) < 10):
        return None
    user = User.objects.filter(pk=int(pk), is_active=True).first()
    return user if user is not None and _is_proven(request, user) else None


def _is_proven(request: HttpRequest, user: User) -> bool:
    """The browser holds the secret that it was given at a log-in of this agent, and their
    password is still the same."""
    secret = request.COOKIES.get(settings.CSRF_COOKIE_NAME, "")
    shown = request.COOKIES.get(cookie_name(), "")
    return bool(secret) and constant_time_compare(shown, f"{user.pk}.{_proof(user, secret)}")


def _proof(user: User, secret: str) -> str:
    said = f"{user.pk}:{user.get_session_auth_hash()}:{secret}"
    return salted_hmac(_SALT, said, algorithm="sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was written in a form that came after the session's end."""

    conversation_id: int
    mode: str
    text: str
    client_id: UUID


def seal(request: HttpRequest, kept: Kept) -> str:
    """For the log-in form to carry: only the agent who wrote it gets it back. Empty where it is
    not proven who that was."""
    agent = last_agent(request)
    if agent is None:
        return ""
    told = [agent.pk, kept.conversation_id, kept.mode, kept.text, str(kept.client_id)]
    return signing.dumps(told, salt=_KEPT_SALT, compress=True)


def unseal(sealed: str, agent: Any) -> Kept | None:
    """None: too old, not ours, or somebody else's."""
    try:
        pk, conversation_id, mode, text, client_id = signing.loads(
            sealed, salt=_KEPT_SALT, max_age=_KEPT_S
        )
    except signing.BadSignature:
        return None
    if pk != agent.pk:
        return None
    return Kept(conversation_id=conversation_id, mode=mode, text=text, client_id=UUID(client_id))
