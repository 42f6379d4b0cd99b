"""Expiring access tokens: exchange them, renew them once however many callers ask, lose none.

A worker claims a renewal through a lease on the row and stores the new pair with one UPDATE.
The replaced refresh token is kept until the next renewal has worked, because Shopify accepts it
until the new one is first used.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import urllib3
from django.conf import settings
from django.db import connection as database
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from core import http
from core.database.leases import is_free
from core.encryption import (
    Secret,
    UndecryptableSecret,
)
from core.json_types import JsonObject
from shopify_sync.api.errors import (
    NeedsAdmin,
    Unreachable,
)
from shopify_sync.models import ConnectionMethod, ShopConnection

logger = logging.getLogger(__name__)

EARLY: Final = timedelta(minutes=5)
# Longer than two token requests, each with its own timeout.
_LEASE: Final = timedelta(seconds=40)
# After a renewal that failed while the token was still valid; shorter than _WAIT_S, so callers
# that wait for the lease get their turn.
_RETRY_AFTER: Final = timedelta(seconds=10)
_WAIT_S: Final = 15.0
_POLL_S: Final = 0.05
_REFUSED: Final = {400, 401, 403}
_ANSWER_WITHIN_S: Final = 12.0
_MAX_ANSWER_BYTES: Final = 2**20
RECONNECT: Final = "Reconnect the store: open its connection and install the app in Shopify again."


def current(row: ShopConnection) -> Secret:
    """Return a token that is valid now and can be decrypted.

    A token in its last minutes is renewed; if that fails, the old one is used until it expires.
    Raises NeedsAdmin and Unreachable.
    """
    if row.method == ConnectionMethod.ADMIN_TOKEN:
        return opened(row.access_token)
    token: Secret = row.access_token
    if _is_fresh(row):
        return token
    if _is_valid(row):
        return _renewed_early(row, token)
    return renew(row, used=token)


def opened(secret: Secret) -> Secret:
    """Return the secret, decrypted.

    Raises NeedsAdmin if no key in the settings opens it, so that only this store stops: other
    stores, and whatever needs no secret, keep working.
    """
    try:
        return Secret(secret.reveal())
    except UndecryptableSecret as error:
        text = _("A stored secret can't be decrypted because its key is missing from the settings.")
        again = _("Restore the key, or enter the store's credentials again.")
        raise NeedsAdmin(f"{text} {again}") from error


def renew(row: ShopConnection, *, used: Secret) -> Secret:
    """Return a token other than `used`.

    The caller that gets the lease asks Shopify; the others wait for its result. Raises NeedsAdmin
    if Shopify refuses, Unreachable if it's worth trying again.
    """
    if row.method == ConnectionMethod.ADMIN_TOKEN:
        text = "The access token is no longer valid, or the app was uninstalled."
        raise NeedsAdmin(text, status=401)
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        row = ShopConnection.objects.select_related("store").get(pk=row.pk)
        if (token := _newer_token(row, used)) is not None:
            return token
        if _claim(row):
            return _renew(row, used)
        time.sleep(_POLL_S)
    raise Unreachable(f"{row.store.domain}: another worker is still renewing the token")


def _renewed_early(row: ShopConnection, token: Secret) -> Secret:
    """Replace a token in its last minutes, or return it unchanged.

    One caller asks Shopify. The others, and that one if the renewal fails, keep using the token
    they have.
    """
    if not _claim(row):
        return token
    try:
        return _renew(row, token)
    except (NeedsAdmin, Unreachable) as error:
        logger.warning("%s: early token renewal failed: %s", row.store.domain, error)
    mine = ShopConnection.objects.filter(pk=row.pk, renewal_fence=row.renewal_fence)
    mine.update(renewal_lease_until=timezone.now() + _RETRY_AFTER)
    return token


def exchange(row: ShopConnection, code: str) -> None:
    """Exchange an installation's authorization code for tokens and store them.

    Raises NeedsAdmin and Unreachable.
    """
    answer = _ask(row, {"code": code, "expiring": "1"})
    if answer is None:
        raise NeedsAdmin(
            "Shopify didn't accept the installation code. Start the installation again."
        )
    _store(row, answer)


def _renew(row: ShopConnection, used: Secret) -> Secret:
    try:
        row.refresh_from_db()
        if (token := _newer_token(row, used)) is not None:
            return token  # another worker finished just before we got the lease
        grants = _grants(row)
        for grant in grants:
            if (answer := _ask(row, grant)) is not None:
                return _store(row, answer)
        if not grants:
            # No status=401 here: Shopify wasn't asked, so the app may well be installed.
            raise NeedsAdmin(
                "There is no refresh token to renew the access token with. " + RECONNECT
            )
        why = "Shopify refuses to renew the access token: the app was uninstalled, or its "
        why += "client secret was changed. "
        raise NeedsAdmin(why + RECONNECT, status=401)
    finally:
        mine = ShopConnection.objects.filter(pk=row.pk, renewal_fence=row.renewal_fence)
        mine.update(renewal_lease_until=None)


def _grants(row: ShopConnection) -> list[dict[str, str]]:
    """Return the grants to try, best first. Raises NeedsAdmin if none can be decrypted."""
    if row.method == ConnectionMethod.CLIENT_CREDENTIALS:
        return [{"grant_type": "client_credentials"}]
    tokens: tuple[Secret, ...] = (row.refresh_token, row.previous_refresh_token)
    held = [token for token in tokens if token]
    usable = [token for token in held if _can_be_opened(token)]
    if held and not usable:
        opened(held[0])
    return [{"grant_type": "refresh_token", "refresh_token": token.reveal()} for token in usable]


def _is_fresh(row: ShopConnection) -> bool:
    return _is_valid(row, for_another=EARLY)


def _is_valid(row: ShopConnection, *, for_another: timedelta = timedelta(0)) -> bool:
    expires = row.access_token_expires_at
    in_time = expires is None or expires - for_another > timezone.now()
    return bool(row.access_token) and in_time and _can_be_opened(row.access_token)


def _can_be_opened(secret: Secret) -> bool:
    try:
        secret.reveal()
    except UndecryptableSecret:
        return False
    return True


def _newer_token(row: ShopConnection, used: Secret) -> Secret | None:
    token: Secret = row.access_token
    return token if token and token != used and _is_fresh(row) else None


def _claim(row: ShopConnection) -> bool:
    now = timezone.now()
    free = is_free("renewal_lease_until", now=now)
    return bool(
        ShopConnection.objects.filter(free, pk=row.pk).update(
            renewal_lease_until=now + _LEASE, renewal_fence=F("renewal_fence") + 1
        )
    )


def _store(row: ShopConnection, answer: JsonObject) -> Secret:
    now = timezone.now()
    token = Secret(str(answer["access_token"]))
    changes: JsonObject = {
        "access_token": token,
        "access_token_expires_at": _later(now, answer.get("expires_in")),
        "scopes": [s for s in str(answer.get("scope", "")).split(",") if s],
        "last_error": "",
    }
    if answer.get("refresh_token"):
        changes |= {
            "refresh_token": str(answer["refresh_token"]),
            "previous_refresh_token": row.refresh_token,
            "refresh_token_expires_at": _later(now, answer.get("refresh_token_expires_in")),
        }
    mine = ShopConnection.objects.filter(pk=row.pk, renewal_fence=row.renewal_fence)
    if not mine.update(**changes):
        logger.warning("%s: dropped a late token renewal", row.store.domain)
    return token


def _later(now: datetime, seconds: str | float | None) -> datetime | None:
    return now + timedelta(seconds=int(seconds)) if seconds else None


def _ask(row: ShopConnection, grant: dict[str, str]) -> JsonObject | None:
    """Request a token; None if Shopify refuses this grant.

    Raises Unreachable, and NeedsAdmin if the client secret cannot be decrypted.
    """
    if database.in_atomic_block and not getattr(settings, "TESTING_IN_TRANSACTION", False):
        raise RuntimeError("a token would be requested inside a database transaction")
    domain = row.store.domain
    body = {"client_id": row.client_id, "client_secret": opened(row.api_secret).reveal(), **grant}
    try:
        answer = http.call(
            _pool(),
            "POST",
            (settings.SHOPIFY_ADMIN_ORIGIN or f"https://{domain}") + "/admin/oauth/access_token",
            body=json.dumps(body).encode(),
            headers={
                "Host": domain,
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            within_s=_ANSWER_WITHIN_S,
            at_most=_MAX_ANSWER_BYTES,
        )
    except http.NoAnswer as error:
        raise Unreachable(f"{domain}: no response to the token request") from error
    if answer.status in _REFUSED:
        return None
    try:
        found = json.loads(answer.data) if answer.status == 200 else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found.get("access_token"):
        raise Unreachable(f"{domain}: HTTP {answer.status} to the token request")
    return found


@cache
def _pool() -> urllib3.PoolManager:
    return http.pool(connect_s=3.0, read_s=10.0)
