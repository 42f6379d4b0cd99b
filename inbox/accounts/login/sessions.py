"""How long a login lasts, and which agent last logged in with a browser.

A session ends SESSION_COOKIE_AGE after its agent last did something, and SESSION_LONGEST_S after
the login at the latest. Background requests don't count: a page left open on an empty desk
doesn't keep its agent logged in.

The cookie "agent" outlives the session. It names the agent who logged in last, so that pages
notice when that was another one, and proves that the browser's CSRF secret is theirs. With that
proof, the same agent keeps the secret when logging in again, and forms in their other tabs still
work.

Keeping it is safe. Django rotates the secret at every login because an attacker may have planted
or read it before. The proof is issued only when that agent logs in, for a secret that was new
then, and it ends with a log-out or another agent's login. So a secret that is kept has only ever
been theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from orders import audit
from orders.models import AuditKind

# Sent with `user_id` when sessions of theirs were ended from elsewhere.
ended: Final = Signal()
_BEGAN: Final = "began_at"
# Not on every request, because each renewal writes the session's row.
_RENEW_AFTER: Final = timedelta(minutes=5)
_NO_AGENT: Final = "0"
# In a listed session's data: hashes of the keys it had before, at most so many.
_EARLIER: Final = "earlier_keys"
_KEYS: Final = 50
_EARLIER_SALT: Final = "inbox.sessions.earlier"
_SALT: Final = "inbox.sessions"
_KEPT_SALT: Final = "inbox.sessions.kept"
_KEPT_S: Final = 3600
# Keys in request.META that tell `mark` what to write into the response's cookie.
_LOGGED_IN: Final = "inbox.logged_in"
_LOGGED_OUT: Final = "inbox.logged_out"


def begin(request: HttpRequest, user: User, *, now: datetime) -> None:
    """Begin the session of a user who has just logged in, through the inbox or the admin."""
    request.session[_BEGAN] = now.isoformat()
    request.session.set_expiry(_end(now, now))
    if _is_proven(request, user):
        # Undo the rotation that Django's login() has just done.
        request.META["CSRF_COOKIE"] = request.COOKIES[settings.CSRF_COOKIE_NAME]
    request.META[_LOGGED_IN] = user


def finish(request: HttpRequest) -> None:
    """Forget the agent after a log-out: the next one to log in gets a new CSRF secret."""
    request.META[_LOGGED_OUT] = True


def renew(request: HttpRequest, *, now: datetime) -> None:
    """Extend the session because its agent did something, up to SESSION_LONGEST_S."""
    session = request.session
    if SESSION_KEY not in session:
        return
    began = session.get(_BEGAN)
    if began is None:
        session[_BEGAN] = now.isoformat()
        session.set_expiry(_end(now, now))
        _list(request, now)
        return
    end = _end(datetime.fromisoformat(began), now)
    if end - session.get_expiry_date() >= _RENEW_AFTER:
        session.set_expiry(end)
        _list(request, now)


def _list(request: HttpRequest, now: datetime) -> None:
    """Note that the session is in use, for the page where its owner sees and ends sessions."""
    listed = UserSession.objects.filter(session_key=request.session.session_key)
    if request.user.is_authenticated and not listed.update(last_seen_at=now):
        UserSession.objects.create_from_request(request)


def end_all(user: User, *, but: str | None = None) -> None:
    """End a person's sessions everywhere, except the one with the key `but`."""
    end(UserSession.objects.filter(user=user).exclude(session_key=but))


def end(listed: Iterable[UserSession]) -> None:
    """End these sessions now, and tell their open pages."""
    owners = set()
    for session in listed:
        session.end()
        owners.add(session.user_id)
    for owner_id in owners:
        ended.send(sender=UserSession, user_id=owner_id)


@transaction.atomic
def log_out(user: User, *, by: User | None, but: str | None = None) -> None:
    """End a person's sessions because someone else wants it; the audit log says who."""
    end_all(user, but=but)
    audit.record(AuditKind.PERMISSIONS, actor=by, user=user.pk, change="sessions ended")


@transaction.atomic
def log_everyone_out() -> int:
    """End every session, also those from before they were listed. Returns how many there were."""
    count = 0
    for session in Session.objects.iterator():
        # One by one: each tells its open pages.
        session.delete()
        count += 1
    UserSession.objects.all().delete()
    audit.record(AuditKind.PERMISSIONS, actor=None, change="all sessions ended", count=count)
    return count


@transaction.atomic
def replace_key(request: HttpRequest) -> None:
    """Give the session a new key, because its person has just proven again who they are.

    A key that someone had read by then isn't worth that proof. Pages of this browser use the new
    cookie; what was opened under the old key and can't see cookies, event streams and frames, finds
    the new one by `current_key`.
    """
    before = request.session.session_key
    # Together with its announcement, so that a stream that looks at once sees the new session.
    request.session.cycle_key()
    for listed in UserSession.objects.filter(session_key=before or ""):
        listed.data[_EARLIER] = [*listed.data.get(_EARLIER, ()), _digest(before or "")][-_KEYS:]
        listed.session_key = request.session.session_key
        listed.save(update_fields=["data", "session_key"])


def current_key(session_key: str, user_id: int) -> str:
    """Return the key that this person's session has now, if it was given a new one.

    "" if this key was never replaced, or the session is over.
    """
    earlier = _digest(session_key)
    for listed in UserSession.objects.filter(user_id=user_id):
        if earlier in listed.data.get(_EARLIER, ()):
            return str(listed.session_key)
    return ""


def _digest(session_key: str) -> str:
    return salted_hmac(_EARLIER_SALT, session_key, algorithm="sha256").hexdigest()


def _end(began: datetime, now: datetime) -> datetime:
    idle = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return min(idle, began + timedelta(seconds=settings.SESSION_LONGEST_S))


def prune(*, now: datetime) -> None:
    """Forget addresses and browsers of sessions that are long over."""
    over = now - timedelta(seconds=settings.SESSION_LONGEST_S) - timedelta(days=1)
    UserSession.objects.filter(last_seen_at__lt=over).delete()


def mark(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie that says which agent logged in, or that they logged out."""
    shown = request.COOKIES.get(cookie_name(), "").partition(".")[0]
    if user := request.META.get(_LOGGED_IN):
        value = f"{user.pk}.{_proof(user, request.META.get('CSRF_COOKIE', ''))}"
    elif _LOGGED_OUT in request.META:
        value = _NO_AGENT
    elif request.session.accessed and request.session.get(SESSION_KEY, shown) != shown:
        # The session began before this cookie existed, so there is no proof.
        value = f"{request.session[SESSION_KEY]}."
    else:
        return
    response.set_cookie(
        cookie_name(),
        value,
        max_age=settings.SESSION_LONGEST_S,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
        # Not httponly: scripts compare the ID before the dot with their page's agent.
    )


def cookie_name() -> str:
    """Return the cookie's name, with the __Host- prefix if cookies are secure."""
    return "__Host-agent" if settings.SESSION_COOKIE_SECURE else "agent"


def last_agent(request: HttpRequest) -> User | None:
    """Return the agent who last logged in here and didn't log out, if the cookie proves it."""
    pk = request.COOKIES.get(cookie_name(), "").partition(".")[0]
    if not (pk.isascii() and pk.isdigit() and len(pk) < 10):
        return None
    user = User.objects.filter(pk=int(pk), is_active=True).first()
    return user if user is not None and _is_proven(request, user) else None


def _is_proven(request: HttpRequest, user: User) -> bool:
    """Return whether the browser's CSRF secret was issued at a login of this agent.

    A change of their password invalidates the proof.
    """
    secret = request.COOKIES.get(settings.CSRF_COOKIE_NAME, "")
    shown = request.COOKIES.get(cookie_name(), "")
    return bool(secret) and constant_time_compare(shown, f"{user.pk}.{_proof(user, secret)}")


def _proof(user: User, secret: str) -> str:
    said = f"{user.pk}:{user.get_session_auth_hash()}:{secret}"
    return salted_hmac(_SALT, said, algorithm="sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was written in a form that was submitted after the session ended."""

    conversation_id: int
    mode: str
    text: str
    client_id: UUID


def seal(request: HttpRequest, kept: Kept) -> str:
    """Seal the text for the login form to carry; only the agent who wrote it gets it back.

    "" if it isn't proven who that was.
    """
    agent = last_agent(request)
    if agent is None:
        return ""
    content = [agent.pk, kept.conversation_id, kept.mode, kept.text, str(kept.client_id)]
    return signing.dumps(content, salt=_KEPT_SALT, compress=True)


def is_sealed(sealed: str) -> bool:
    """Return whether this is text that was sealed here, for any agent, and isn't too old."""
    try:
        signing.loads(sealed, salt=_KEPT_SALT, max_age=_KEPT_S)
    except signing.BadSignature:
        return False
    return True


def unseal(sealed: str, agent: User) -> Kept | None:
    """Return the sealed text; None if it is too old, not ours, or another agent's."""
    try:
        pk, conversation_id, mode, text, client_id = signing.loads(
            sealed, salt=_KEPT_SALT, max_age=_KEPT_S
        )
    except signing.BadSignature:
        return None
    if pk != agent.pk:
        return None
    return Kept(conversation_id=conversation_id, mode=mode, text=text, client_id=UUID(client_id))
