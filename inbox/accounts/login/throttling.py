"""Slow down the guessing of passwords, without letting it lock anyone out.

Wrong passwords are counted by name and place. From an unknown device, each wrong password beyond
the fifth makes the next attempt wait, longer every time; an address that fails for many names, and
a name that fails from many addresses, wait as well. A browser in which a person has logged in
before carries a cookie that proves it, and is counted on its own: however many strangers guess, it
isn't slowed down (OWASP's device cookies). Passkeys and reset links are never slowed down here.

A name without an account is counted like any other, so the answers are the same.

The counters of an hour are bounded. Beyond, failures from new places are counted by name alone, so
that the limit per name still holds. Names without an account then share a few thousand rows. Only
hundreds of thousands of failures could slow those names down and so tell them from accounts; to slow
all accounts down as well would be worse.
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import F, Max, Sum
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac

from core.change_origin import client_ip
from inbox.accounts.login import names
from inbox.accounts.models import FailedLogIn
from orders import audit
from orders.models import AuditKind

FREE: Final = 5
_FIRST_WAIT_S: Final = 10
_LONGEST_WAIT_S: Final = 15 * 60
# Of one address for any names within an hour, and of one name from anywhere within a day. Beyond,
# unknown devices get one attempt a minute.
PER_PLACE: Final = 100
PER_NAME: Final = 100
_CROWD_WAIT_S: Final = 60
# A table this long in one hour is an attack: from here on, places are no longer told apart.
ROWS_PER_HOUR: Final = 20_000
# And names without an account are counted by this many digits of their hash: 4096 rows at most.
_SHARED_DIGITS: Final = 3
_OTHERS: Final = "others"
KEPT: Final = timedelta(days=30)
# Failures of an account in an hour that are worth an entry in the audit log.
_AUDITED: Final = frozenset({FREE, 10 * FREE, 100 * FREE})
# Wrong codes after a right password, within an hour, until the account's owner is warned.
WARNED: Final = 3
_SALT: Final = "inbox.throttling"
_DEVICE_AGE_S: Final = 365 * 86400
_DEVICES: Final = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login attempt: the hash of the name, where from, and whether that device is known."""

    name: str
    place: str
    user: User | None
    is_known: bool

    @property
    def shared(self) -> str:
        """Return the digest under which it is counted once the table is full."""
        return self.name if self.user else self.name[:_SHARED_DIGITS]


def attempt(request: HttpRequest, name: str) -> Attempt:
    """Describe an attempt under the name that the password is checked against.

    `name` must be the form's cleaned value: as it was typed, one account's name has many spellings,
    and each would be counted from zero. All spellings of an account share one digest.
    """
    user = names.account(name)
    if user:
        return _attempt_for(user, request)
    return Attempt(_digest(f":{name.casefold()}"), _network(request), None, is_known=False)


def _attempt_for(user: User, request: HttpRequest) -> Attempt:
    device = _devices(request).get(str(user.pk))
    place = f"device {device}" if device else _network(request)
    return Attempt(_digest(f"{user.pk}:"), place, user, device is not None)


def _digest(counted: str) -> str:
    return salted_hmac(_SALT, counted, algorithm="sha256").hexdigest()


def wait_s(tried: Attempt, *, now: datetime) -> int:
    """Return for how many seconds the password must not even be looked at; 0: go ahead."""
    recent = FailedLogIn.objects.filter(hour__gte=now - timedelta(hours=2))
    own = recent.filter(name_digest=tried.name, place=tried.place)
    count, last = _sum(own.filter(last_at__gt=now - timedelta(hours=1)))
    waits = [_left(now, last, _growing(count))]
    if not tried.is_known:
        count, last = _sum(recent.filter(place=tried.place))
        waits.append(_left(now, last, _CROWD_WAIT_S if count >= PER_PLACE else 0))
        of_name = FailedLogIn.objects.filter(hour__gte=now - timedelta(days=1))
        count, last = _sum(of_name.filter(name_digest__in={tried.name, tried.shared}))
        waits.append(_left(now, last, _CROWD_WAIT_S if count >= PER_NAME else 0))
    return max(waits)


def _growing(failures: int) -> int:
    over = failures - FREE
    return min(_FIRST_WAIT_S * 2 ** min(over, 10), _LONGEST_WAIT_S) if over >= 0 else 0


def _sum(rows: Any) -> tuple[int, datetime | None]:
    found = rows.aggregate(n=Sum("count"), last=Max("last_at"))
    return found["n"] or 0, found["last"]


def _left(now: datetime, last: datetime | None, wait: int) -> int:
    if last is None or not wait:
        return 0
    return max(0, round(wait - (now - last).total_seconds()))


def failed(tried: Attempt, *, now: datetime) -> None:
    """Count a wrong password. The audit log hears of an account at a few round numbers only."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = FailedLogIn.objects.filter(hour=hour)
    key = {"name_digest": tried.name, "place": tried.place}
    # Known devices are as few as the logins that made them, and have no limit but their own.
    is_bounded = not tried.is_known and not rows.filter(**key).exists()
    if is_bounded and rows.count() >= ROWS_PER_HOUR:
        key = {"name_digest": tried.shared, "place": _OTHERS}
    row, _is_new = FailedLogIn.objects.get_or_create(
        hour=hour, **key, defaults={"user": tried.user}
    )
    FailedLogIn.objects.filter(pk=row.pk).update(count=F("count") + 1, last_at=now)
    if tried.user is not None:
        count, _last = _sum(rows.filter(user=tried.user))
        if count in _AUDITED:
            audit.record(AuditKind.LOG_IN_FAILED, actor=None, user=tried.user.pk, within_hour=count)


def failed_code(request: HttpRequest, user: User, *, now: datetime) -> int:
    """Count a wrong code of the second step; return how many there were within the hour.

    allauth slows these down itself, by account: only who has the password gets that far.
    """
    digest = _digest(f"code:{user.pk}")
    tried = Attempt(digest, _network(request), user, is_known=False)
    failed(tried, now=now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    return _sum(FailedLogIn.objects.filter(hour=hour, name_digest=digest))[0]


def succeeded(tried: Attempt) -> None:
    """Forget this place's failures for this name: its owner knows the password."""
    FailedLogIn.objects.filter(name_digest=tried.name, place=tried.place).delete()


def was_reset(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Let a person log in here at once with the password that they have just set by a link.

    The browser becomes a known device, whose count no stranger raises, and what they guessed
    before they asked for the link is forgotten.
    """
    succeeded(_attempt_for(user, request))
    remember_device(request, response, user)


def prune(*, now: datetime) -> None:
    """Delete old counters."""
    FailedLogIn.objects.filter(hour__lt=now - KEPT).delete()


def _network(request: HttpRequest) -> str:
    """Return the client's address; of IPv6 the /64, since a single machine has that many."""
    try:
        address = ipaddress.ip_address(client_ip(request) or "")
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


# --- Known devices --------------------------------------------------------------------------------


def device_cookie() -> str:
    """Return the cookie's name, with the __Host- prefix if cookies are secure."""
    return "__Host-device" if settings.SESSION_COOKIE_SECURE else "device"


def _devices(request: HttpRequest) -> dict[str, str]:
    """Return the device's random ID for each person who has logged in with this browser."""
    try:
        found = signing.loads(
            request.COOKIES.get(device_cookie(), ""), salt=_SALT, max_age=_DEVICE_AGE_S
        )
    except signing.BadSignature:
        return {}
    return found if isinstance(found, dict) else {}


def is_known_device(request: HttpRequest, user: User) -> bool:
    """Return whether this person has logged in with this browser before."""
    return str(user.pk) in _devices(request)


def remember_device(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Mark the browser as one in which this person has logged in."""
    known = _devices(request)
    known.setdefault(str(user.pk), secrets.token_hex(8))
    latest = dict(list(known.items())[-_DEVICES:])
    response.set_cookie(
        device_cookie(),
        signing.dumps(latest, salt=_SALT),
        max_age=_DEVICE_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
