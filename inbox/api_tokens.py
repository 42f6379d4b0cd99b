"""API tokens: making, finding and revoking them.

A token ends with its expiry, when it is revoked, and with its owner: deactivating the account or
taking its last role away revokes its tokens for good.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q

from inbox.accounts import roles
from inbox.models import ApiToken, TokenScope
from orders import audit
from orders.models import AuditKind, Store

DEFAULT_DAYS: Final = 90
LONGEST_DAYS: Final = 365
_PREFIX: Final = "axt_"
# Writing it on every request would lock the row under a busy program.
_USE_NOTED_EVERY: Final = timedelta(minutes=1)


class NameTaken(Exception):
    """The owner has a token of this name that is not revoked."""


def create(
    *,
    owner: User,
    name: str,
    scope: TokenScope,
    days: int,
    stores: Iterable[Store] = (),
    by: User,
    now: datetime,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its text, which can't be read again.

    `days` until it expires, 1 to LONGEST_DAYS; no `stores` means all. Raises NameTaken, and
    ValueError for a number of days out of range.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"days must be 1 to {LONGEST_DAYS}, not {days}")
    text = _PREFIX + secrets.token_urlsafe(32)
    found = list(stores)
    try:
        with transaction.atomic():
            made = ApiToken.objects.create(
                owner=owner,
                name=name,
                scope=scope,
                digest=digest(text),
                hint=text[: len(_PREFIX) + 4],
                created_at=now,
                expires_at=now + timedelta(days=days),
            )
            made.stores.set(found)
            audit.record(
                AuditKind.PERMISSIONS,
                actor=by,
                api_token=made.pk,
                change="created",
                owner=owner.pk,
                scope=str(scope),
                stores=[store.pk for store in found],
                expires=made.expires_at.isoformat(),
            )
    except IntegrityError as error:
        raise NameTaken from error
    return made, text


def owned_by(text: str, *, now: datetime) -> ApiToken | None:
    """Return the token of this text with its owner, if it still works; None otherwise.

    The lookup goes by a hash, so its time says nothing about how much of a guess was right.
    """
    found = ApiToken.objects.live(now=now).filter(digest=digest(text)).select_related("owner")
    token = found.first()
    return token if token is not None and roles.may_work(token.owner) else None


def note_use(token: ApiToken, *, ip: str | None, now: datetime) -> None:
    """Remember when and from where a token was used, at most once a minute."""
    if token.last_used_at and now - token.last_used_at < _USE_NOTED_EVERY:
        return
    is_due = Q(last_used_at=None) | Q(last_used_at__lte=now - _USE_NOTED_EVERY)
    ApiToken.objects.filter(is_due, pk=token.pk).update(last_used_at=now, last_used_ip=ip)


def revoke(tokens: Iterable[ApiToken], *, by: User | None, now: datetime, why: str) -> int:
    """Revoke these tokens for good and return how many still were in use. `why` is for the log."""
    count = 0
    with transaction.atomic():
        for token in tokens:
            if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
                continue
            count += 1
            audit.record(
                AuditKind.PERMISSIONS,
                actor=by,
                api_token=token.pk,
                change="revoked",
                owner=token.owner_id,
                why=why,
            )
    return count


def revoke_orphans(user: User, *, now: datetime) -> None:
    """Revoke the tokens of an account that was deactivated or has no role left."""
    # A fresh copy, because roles are cached on the object.
    fresh = User.objects.filter(pk=user.pk).first()
    if fresh is None or not roles.may_work(fresh):
        held = ApiToken.objects.filter(owner_id=user.pk, revoked_at=None)
        revoke(held, by=None, now=now, why="its owner has no role anymore")


def digest(text: str) -> str:
    """Return what is stored of a token. A plain hash will do: 256 random bits can't be guessed."""
    return hashlib.sha256(text.encode()).hexdigest()
