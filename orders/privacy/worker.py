"""Work on privacy requests: start them, and take each as far as the time allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec
from django.db import transaction

from core.encryption import seal
from core.failpoints import failpoint
from orders.actions.uninstalls import make_way
from orders.models import (
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    RedactedIdentity,
    RedactedKind,
)
from orders.models.privacy import OPEN_STATES
from orders.privacy import ledger
from orders.privacy.deletion import step
from orders.privacy.exports import counts
from orders.privacy.registry import (
    Scope,
    resolve,
)
from orders.privacy.requests import TRY_AGAIN, end, scope_of
from orders.privacy.uninstalled_shops import may_wipe

logger = logging.getLogger(__name__)

_INTERACTIVE_S: Final = 5.0
# This long before its deadline, a deletion stops waiting for unfinished actions.
_STOP_WAITING_BEFORE_DUE: Final = timedelta(days=5)


def work_off(*, now: datetime, seconds: float) -> int:
    """Continue every request that is due, for about `seconds`; return how many ended."""
    until, ended = time.monotonic() + seconds, 0
    for pk in PrivacyRequest.objects.due(now=now).order_by("due_at").values_list("pk", flat=True):
        if time.monotonic() >= until:
            break
        try:
            ended += run(pk, now=now, until=until)
        except Exception:
            # A request that fails must not block the others.
            logger.exception("privacy request %s failed", pk)
            PrivacyRequest.objects.filter(pk=pk).update(
                next_attempt_at=now + TRY_AGAIN,
                note="This failed and will be retried. See the log for the reason.",
            )
    return ended


def work_soon(*, request_id: int, now: datetime) -> None:
    """Work on one request for a few seconds right now, for an administrator who is watching."""
    PrivacyRequest.objects.open().filter(pk=request_id).exclude(state=PrivacyState.GRACE).update(
        next_attempt_at=None
    )
    if PrivacyRequest.objects.due(now=now).filter(pk=request_id).exists():
        run(request_id, now=now, until=time.monotonic() + _INTERACTIVE_S)


def run(request_id: int, *, now: datetime, until: float = float("inf")) -> bool:
    """Take one request as far as it gets before `until` (monotonic). True if it has ended."""
    request = PrivacyRequest.objects.select_related("store").get(pk=request_id)
    if request.kind == PrivacyKind.SHOP_REDACT and not may_wipe(request, now):
        return request.state not in OPEN_STATES
    if request.state in {PrivacyState.WAITING, PrivacyState.GRACE}:
        _begin(request, now)
        request.refresh_from_db()
    if request.state == PrivacyState.READY and request.due_at <= now:
        return end(request, PrivacyState.EXPIRED, now=now, note="")
    if request.state != PrivacyState.WORKING:
        return False
    # Before anything is masked, so that no restored backup can undo a redaction unnoticed.
    ledger.append_to_file(_ledger_of(request))
    scope = scope_of(request)
    if now >= request.due_at - _STOP_WAITING_BEFORE_DUE:
        # The legal deadline is near: end unfinished actions, or hand them to a supervisor.
        make_way(scope.orders().values_list("pk", flat=True), now=now)
    while time.monotonic() < until:
        if not step(request, scope, now):
            request.refresh_from_db()
            return request.state not in OPEN_STATES
        failpoint("masked")
    return False


def _begin(request: PrivacyRequest, now: datetime) -> None:
    """Resolve whose rows are meant, while they can still be found, and fill the ledger."""
    scope = resolve(scope_of(request))
    is_export = request.kind == PrivacyKind.DATA_REQUEST
    identifiers = [] if is_export else list(_identifiers(scope))
    with transaction.atomic(durable=True):
        hashes = ledger.remember(request.store, identifiers, at=now)
        waiting = PrivacyRequest.objects.filter(pk=request.pk, state=request.state)
        waiting.update(
            state=PrivacyState.READY if is_export else PrivacyState.WORKING,
            sealed_scope=seal(msgspec.json.encode(scope).decode()),
            next_attempt_at=request.due_at if is_export else None,
            note="",
            evidence={"rows": counts(scope) if is_export else {}, "identifiers": hashes[:100]},
        )


def _identifiers(scope: Scope) -> Iterator[tuple[RedactedKind, str]]:
    gids, orders = scope.customer_gids, scope.order_legacy_ids
    if scope.is_whole_store:
        gids = tuple(scope.customers().values_list("gid", flat=True))
        orders = tuple(scope.orders().values_list("legacy_id", flat=True))
    yield from ((RedactedKind.CUSTOMER, gid) for gid in gids)
    yield from ((RedactedKind.EMAIL, email) for email in scope.emails)
    yield from ((RedactedKind.PHONE, phone) for phone in scope.phones)
    yield from ((RedactedKind.ORDER, f"gid://shopify/Order/{number}") for number in orders)


def _ledger_of(request: PrivacyRequest) -> list[RedactedIdentity]:
    """Return the ledger entries to write to the file; none once the walk has begun."""
    if request.progress:
        return []
    rows = RedactedIdentity.objects.filter(store=request.store).select_related("store")
    return list(rows.filter(redacted_at__gte=request.received_at))
