"""How the panel inside another help desk's frame knows its agent (reliability 5.2).

No cookie has power there. A code, used once, is swapped for a pass of ten minutes that the page
keeps in memory and sends as `Authorization: Frame <pass>`. The pass is sealed: it says which
agent, by which log-in, for which customer, and the frame can neither read nor change it.

Codes come by two ways. *Signed address*: the help desk's server signs whose customer is opened
by which agent. *Log-in*: in a window of our own origin the agent, logged in there, gets a code
that only the frame that asked for it can use (it alone knows what the challenge is the hash of).
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

from core.encryption import UndecryptableSecret
from core.request_id import current_origin
from inbox.accounts import roles
from inbox.contacts import senders
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
# The help desk's clock may be ahead of ours by so much.
SKEW_S: Final = 30
# Longer than a working day nobody is vouched for; then the help desk signs anew.
VOUCHED_S: Final = 8 * 3600
REFUSALS_A_TURN: Final = 20
TURN_S: Final = 300
_SIGNED: Final = frozenset(
    {"frame", "agent", "assignee", "email", "phone", "verified", "about", "ts", "nonce", "sig"}
)
_NUMBERS: Final = re.compile(r"#?\d{3,20}")
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


def admit(header: str) -> tuple[Pass, HelpDeskFrame, User]:
    """Who sends this Authorization header. Raises FrameRefused."""
    scheme, _, text = header.partition(" ")
    if scheme != "Frame" or not text:
        raise FrameRefused("ended")
    return checked(tokens.open_pass(text))


def open_window(text: str) -> tuple[Pass, HelpDeskFrame, User]:
    """The customer of a confirming window; the log-in there is the ordinary one."""
    return checked(tokens.open_window(text))


def swap_signed(frame: HelpDeskFrame, query: str) -> Pass:
    """The pass for the part after the # of an address the help desk's server has signed; once. Raises FrameRefused."""
    _bound(frame)
    if frame.kind != FrameKind.GENERIC or not frame.is_active:
        raise _refused(frame, "off")
    said = _verified(frame, query)
    agent = _agent_by_email(said["agent"])
    if agent is None:
        raise _refused(frame, "not_an_agent")
    assignee = said.get("assignee")
    verified = said["verified"].split(",") if "verified" in said else None
    may_act = assignee is None or _is(agent, assignee)
    customer = _customer(frame, said, may_act=may_act, verified=verified)
    held = Pass(
        frame_id=frame.pk,
        agent_id=agent.pk,
        session_key="",
        opened_at=int(time.time()),
        customer=customer,
    )
    with transaction.atomic(durable=True):
        _forget_old()
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
    """A code for the frame that knows what `challenge` is the SHA-256 of. Raises FrameRefused."""
    if not frame.allowed_origins() or frame.kind != FrameKind.CHATWOOT:
        raise FrameRefused("off")
    if not roles.is_assignable(agent):
        raise FrameRefused("not_an_agent")
    if not _HEX.match(challenge):
        raise FrameRefused("bad_code")
    code = secrets.token_urlsafe(16)
    with transaction.atomic():
        _forget_old()
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
    """The pass for a code of `issue_code`; once, and of no customer yet. Raises FrameRefused."""
    _bound(frame)
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


def look_at(held: Pass, frame: HelpDeskFrame, agent: User, said: Mapping[str, str]) -> Pass:
    """The same agent, another customer, as the page around the frame says. Raises FrameRefused
    where the customer was signed: there the page has no say."""
    if frame.kind != FrameKind.CHATWOOT:
        raise FrameRefused("off")
    may_act = _is(agent, said.get("assignee", ""))
    # What that page says of itself is no proof; the frame's setting is an administrator's word.
    return replace(held, customer=_customer(frame, said, may_act=may_act, verified=None))


def signature(secret: str, said: Mapping[str, str]) -> str:
    """Of a signed address: HMAC-SHA256 over its "name=value" lines, sorted by name."""
    lines = "\n".join(f"{name}={said[name]}" for name in sorted(said) if name != "sig")
    return hmac.new(secret.encode(), lines.encode(), hashlib.sha256).hexdigest()


def new_secret(frame: HelpDeskFrame) -> str:
    """Saves the frame; addresses signed with the old one are refused from now on."""
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
    # A line break could make two fields out of one.
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
    """Compared and set in one statement: of two who show the same code, one has it."""
    return bool(codes.filter(used_at=None, expires_at__gt=now).update(used_at=now))


def _use_nonce(frame: HelpDeskFrame, nonce: str) -> None:
    """Raises IntegrityError: it was used before."""
    now = _now()
    FrameCode.objects.create(
        frame=frame,
        digest=_digest(f"{frame.pk}:{nonce}"),
        used_at=now,
        expires_at=now + timedelta(seconds=CODE_S + 2 * SKEW_S),
    )


def _forget_old() -> None:
    FrameCode.objects.filter(expires_at__lt=_now()).delete()


def checked(held: Pass) -> tuple[Pass, HelpDeskFrame, User]:
    """What the pass says is still so: asked of the database each time."""
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
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    known = str(session.get(HASH_SESSION_KEY, ""))
    is_theirs = session.get(SESSION_KEY) == str(agent.pk)
    return is_theirs and hmac.compare_digest(known, agent.get_session_auth_hash())


def _agent_by_email(email: str) -> User | None:
    """None also where two share the address: nobody is guessed."""
    if not email.strip():
        return None
    people = list(roles.assignable().filter(email__iexact=email.strip())[:2])
    return people[0] if len(people) == 1 else None


def _is(agent: User, email: str) -> bool:
    return bool(agent.email) and agent.email.casefold() == email.strip().casefold()


def _customer(
    frame: HelpDeskFrame, said: Mapping[str, str], *, may_act: bool, verified: list[str] | None
) -> Customer:
    given = senders.weigh(
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
    key = _turn_key(frame)
    cache.add(key, 0, TURN_S)
    try:
        cache.incr(key)
    except ValueError:
        cache.set(key, 1, TURN_S)
    audit.record(AuditKind.LOG_IN_FAILED, actor=agent, frame=frame.pk, why=code)
    return FrameRefused(code)


def _bound(frame: HelpDeskFrame) -> None:
    """So many refusals, then a pause: nobody tries codes, or fills the audit log."""
    if cache.get(_turn_key(frame), 0) >= REFUSALS_A_TURN:
        raise FrameRefused("too_many")


def _turn_key(frame: HelpDeskFrame) -> str:
    where = _digest(str(current_origin().ip))[:32]
    return f"frame-refused:{frame.pk}:{where}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
