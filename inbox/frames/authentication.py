"""Authentication of the order panel inside another help desk's frame.

Cookies have no effect there. A one-time code is exchanged for a ten-minute pass that the page
keeps in memory and sends as `Authorization: Frame <pass>`. The pass is sealed: it says which
agent, with which session, acts for which customer, and the frame can neither read nor change it.

There are two ways to get in. *Signed address*: the help desk's server signs which agent opens
which customer. *Login*: in a window of our own origin, the logged-in agent gets a code that only
the frame that asked for it can use, because it alone knows the preimage of the challenge.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Final
from urllib.parse import parse_qsl

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from core.change_origin import current_origin
from core.encryption import UndecryptableSecret
from inbox.accounts import roles
from inbox.accounts.login import sessions
from inbox.contacts import proven_addresses
from inbox.frames import tokens
from inbox.frames.tokens import (
    Customer,
    FrameRefused,
    Pass,
)
from inbox.models import FrameCode, FrameKind, HelpDeskFrame, IdentityKind
from orders import audit
from orders.models import AuditKind

logger = logging.getLogger(__name__)

CODE_S: Final = 120
# How far the help desk's clock may be ahead of ours.
SKEW_S: Final = 30
# A signed address vouches for an agent for one working day; then the help desk has to sign again.
VOUCHED_S: Final = 8 * 3600
REFUSALS_A_TURN: Final = 20
TURN_S: Final = 300
_SIGNED: Final = frozenset(
    {"frame", "agent", "assignee", "email", "phone", "verified", "about", "ts", "nonce", "sig"}
)
_NUMBERS: Final = re.compile(r"#?\d{3,20}")
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


def admit(header: str) -> tuple[Pass, HelpDeskFrame, User]:
    """Authenticate an Authorization header. Raises FrameRefused."""
    scheme, _, text = header.partition(" ")
    if scheme != "Frame" or not text:
        raise FrameRefused("ended")
    return checked(tokens.open_pass(text))


def open_window(text: str) -> tuple[Pass, HelpDeskFrame, User]:
    """Open a confirmation window's pass. It only identifies the customer and the agent it was made
    for: the caller has to compare the session's user. Raises FrameRefused."""
    return checked(tokens.open_window(text))


def swap_signed(frame: HelpDeskFrame, query: str) -> Pass:
    """Exchange a signed address, given as its URL fragment, for a pass; works once.

    Opens its own transaction and audits the login. Raises FrameRefused.
    """
    _throttle(frame)
    if frame.kind != FrameKind.GENERIC or not frame.is_active:
        raise _refused(frame, "off")
    said = _verified(frame, query)
    agent = _agent_by_email(said["agent"])
    if agent is None:
        raise _refused(frame, "not_an_agent")
    assignee = said.get("assignee")
    verified = said["verified"].split(",") if "verified" in said else None
    may_act = assignee is None or _has_email(agent, assignee)
    customer = _customer(frame, said, may_act=may_act, verified=verified)
    held = Pass(
        frame_id=frame.pk,
        agent_id=agent.pk,
        session_key="",
        opened_at=int(time.time()),
        customer=customer,
    )
    with transaction.atomic(durable=True):
        _delete_expired()
        try:
            with transaction.atomic():
                _use_nonce(frame, said["nonce"])
        except IntegrityError:
            is_used = True
        else:
            is_used = False
            audit.record(AuditKind.LOG_IN, actor=agent, frame=frame.pk)
    if is_used:
        raise _refused(frame, "used")
    return held


def issue_code(frame: HelpDeskFrame, *, agent: User, session_key: str, challenge: str) -> str:
    """Issue a one-time code that only the frame knowing the preimage of `challenge`, a SHA-256 in
    hex, can use. Raises FrameRefused."""
    if not frame.allowed_origins() or frame.kind != FrameKind.CHATWOOT:
        raise FrameRefused("off")
    if not roles.is_assignable(agent):
        raise FrameRefused("not_an_agent")
    if not _HEX.match(challenge):
        raise FrameRefused("bad_code")
    code = secrets.token_urlsafe(16)
    with transaction.atomic():
        _delete_expired()
        FrameCode.objects.create(
            frame=frame,
            digest=_digest(code),
            agent=agent,
            session_key=session_key,
            challenge=challenge,
            expires_at=_now() + timedelta(seconds=CODE_S),
        )
    return code


def swap_code(frame: HelpDeskFrame, *, code: str, verifier: str) -> Pass:
    """Exchange a code from `issue_code` for a pass without a customer yet; works once.

    `verifier` is the preimage of the challenge. Raises FrameRefused.
    """
    _throttle(frame)
    now = _now()
    found = FrameCode.objects.filter(frame=frame, digest=_digest(code)).exclude(agent=None)
    row = found.select_related("agent").first()
    if row is None or row.agent is None:
        raise _refused(frame, "bad_code")
    if not hmac.compare_digest(row.challenge, _digest(verifier)):
        raise _refused(frame, "bad_code", row.agent)
    if row.expires_at <= now:
        raise _refused(frame, "late", row.agent)
    if not _take(found, now):
        raise _refused(frame, "used", row.agent)
    held = Pass(
        frame_id=frame.pk,
        agent_id=row.agent.pk,
        session_key=row.session_key,
        opened_at=int(now.timestamp()),
        customer=Customer(),
    )
    checked(held)
    audit.record(AuditKind.LOG_IN, actor=row.agent, frame=frame.pk)
    return held


def resume(frame: HelpDeskFrame, seat: str) -> tuple[Pass, User]:
    """Return a pass without a customer for an agent who logged in to this frame before.

    Raises FrameRefused once that login has ended, or eight hours after it.
    """
    held = tokens.open_seat(seat)
    if held.frame_id != frame.pk or not held.session_key:
        raise FrameRefused("ended")
    _held, _frame, agent = checked(held)
    return held, agent


def look_at(held: Pass, frame: HelpDeskFrame, agent: User, said: Mapping[str, str]) -> Pass:
    """Return the pass for another customer, as named by the page around the frame.

    Raises FrameRefused for a help desk that signs its customers, where the page has no say.
    """
    if frame.kind != FrameKind.CHATWOOT:
        raise FrameRefused("off")
    may_act = _has_email(agent, said.get("assignee", ""))
    # The page can't verify addresses itself; only the frame's setting, made by an admin, can say
    # that they are proven.
    return replace(held, customer=_customer(frame, said, may_act=may_act, verified=None))


def signature(secret: str, said: Mapping[str, str]) -> str:
    """Sign an address: HMAC-SHA256 in hex over its "name=value" lines except sig, sorted by name."""
    lines = "\n".join(f"{name}={said[name]}" for name in sorted(said) if name != "sig")
    return hmac.new(secret.encode(), lines.encode(), hashlib.sha256).hexdigest()


def new_secret(frame: HelpDeskFrame) -> str:
    """Create and save a new signing secret; addresses signed with the old one are refused."""
    secret = "axf_" + secrets.token_urlsafe(32)
    frame.secret = secret
    frame.save(update_fields=["secret"])
    return secret


def _verified(frame: HelpDeskFrame, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20
        )
    except ValueError as error:
        raise _refused(frame, "signature") from error
    said = dict(pairs)
    is_plain = len(said) == len(pairs) and set(said) <= _SIGNED
    # A line break in a value could smuggle a second field into the signed lines.
    is_plain = is_plain and not any(re.search(r"[\x00-\x1f]", value) for value in said.values())
    if not is_plain or not frame.secret:
        raise _refused(frame, "signature")
    try:
        expected = signature(frame.secret.reveal(), said)
    except UndecryptableSecret as error:
        logger.exception("the secret of help desk %s cannot be decrypted", frame.pk)
        raise _refused(frame, "signature") from error
    if not hmac.compare_digest(expected.encode(), said.get("sig", "").encode()):
        raise _refused(frame, "signature")
    if said.get("frame") != str(frame.pk) or not 16 <= len(said.get("nonce", "")) <= 200:
        raise _refused(frame, "signature")
    ts = said.get("ts", "")
    age = time.time() - int(ts) if re.fullmatch(r"[0-9]{1,12}", ts) else None
    if age is None or not -SKEW_S <= age <= CODE_S:
        raise _refused(frame, "late")
    return {"agent": ""} | said


def _take(codes: QuerySet[FrameCode], now: datetime) -> bool:
    """Mark a code as used by compare-and-set, so that only one of two concurrent requests wins."""
    return bool(codes.filter(used_at=None, expires_at__gt=now).update(used_at=now))


def _use_nonce(frame: HelpDeskFrame, nonce: str) -> None:
    """Store a nonce. Raises IntegrityError if it was used before."""
    now = _now()
    FrameCode.objects.create(
        frame=frame,
        digest=_digest(f"{frame.pk}:{nonce}"),
        used_at=now,
        expires_at=now + timedelta(seconds=CODE_S + 2 * SKEW_S),
    )


def _delete_expired() -> None:
    FrameCode.objects.filter(expires_at__lt=_now()).delete()


def checked(held: Pass) -> tuple[Pass, HelpDeskFrame, User]:
    """Check against the database, on each request, that a pass still holds. Raises FrameRefused."""
    frame = HelpDeskFrame.objects.filter(pk=held.frame_id, is_active=True).first()
    agent = User.objects.filter(pk=held.agent_id, is_active=True).first()
    if frame is None:
        raise FrameRefused("off")
    if agent is None or not roles.is_assignable(agent):
        raise FrameRefused("not_an_agent")
    if held.session_key and not _is_logged_in(held.session_key, agent):
        raise FrameRefused("ended")
    if not held.session_key and time.time() - held.opened_at > VOUCHED_S:
        raise FrameRefused("ended")
    return held, frame, agent


def _is_logged_in(session_key: str, agent: User) -> bool:
    if _is_session_of(session_key, agent):
        return True
    # A fresh proof gives the session a new key.
    now = sessions.current_key(session_key, agent.pk)
    return bool(now) and _is_session_of(now, agent)


def _is_session_of(session_key: str, agent: User) -> bool:
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    known = str(session.get(HASH_SESSION_KEY, ""))
    is_theirs = session.get(SESSION_KEY) == str(agent.pk)
    return is_theirs and hmac.compare_digest(known, agent.get_session_auth_hash())


def _agent_by_email(email: str) -> User | None:
    """Return the agent with this email address; None if there is none or it is ambiguous."""
    if not email.strip():
        return None
    people = list(roles.assignable().filter(email__iexact=email.strip())[:2])
    return people[0] if len(people) == 1 else None


def _has_email(agent: User, email: str) -> bool:
    return bool(agent.email) and agent.email.casefold() == email.strip().casefold()


def _customer(
    frame: HelpDeskFrame, said: Mapping[str, str], *, may_act: bool, verified: list[str] | None
) -> Customer:
    given = proven_addresses.weigh(
        email=said.get("email", "")[:255],
        phone=said.get("phone", "")[:40],
        verified=verified,
        always=frame.proves_addresses,
    )
    return Customer(
        email=given.proven_value(IdentityKind.EMAIL),
        phone=given.proven_value(IdentityKind.PHONE),
        claimed_email=given.claimed_value(IdentityKind.EMAIL),
        claimed_phone=given.claimed_value(IdentityKind.PHONE),
        unclear=", ".join(address.value for address in given.not_understood),
        about=" ".join(_NUMBERS.findall(said.get("about", "")[:5000])[:10]),
        may_act=may_act,
    )


def _refused(frame: HelpDeskFrame, code: str, agent: User | None = None) -> FrameRefused:
    key = _throttle_key(frame)
    cache.add(key, 0, TURN_S)
    try:
        cache.incr(key)
    except ValueError:
        cache.set(key, 1, TURN_S)
    audit.record(AuditKind.LOG_IN_FAILED, actor=agent, frame=frame.pk, why=code)
    return FrameRefused(code)


def _throttle(frame: HelpDeskFrame) -> None:
    """Raise FrameRefused after too many refusals, so that codes can't be guessed by brute force
    and the audit log can't be flooded."""
    if cache.get(_throttle_key(frame), 0) >= REFUSALS_A_TURN:
        raise FrameRefused("too_many")


def _throttle_key(frame: HelpDeskFrame) -> str:
    where = _digest(str(current_origin().ip))[:32]
    return f"frame-refused:{frame.pk}:{where}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
