"""A privacy request as a row: how it is recorded, and how it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from core.encryption import (
    seal,
    unseal,
)
from orders import audit
from orders.errors import ActionRefused, Refusal
from orders.models import AuditKind, PrivacyKind, PrivacyRequest, PrivacyState, Store
from orders.models.privacy import OPEN_STATES
from orders.privacy import ledger
from orders.privacy.registry import Scope

# Shopify's deadline for all three kinds of request; an export stays available as long.
DUE_WITHIN: Final = timedelta(days=30)
TRY_AGAIN: Final = timedelta(minutes=10)

# Built once, at import: see orders.previews.proposals.
_SCOPE: Final = msgspec.json.Decoder(Scope)


def ask(
    *, store: Store, kind: PrivacyKind, fingerprint: str, scope: Scope, now: datetime
) -> PrivacyRequest | None:
    """Record a request.

    None if it was recorded before, or if a deletion of the same shop is still open.
    """
    try:
        with transaction.atomic():
            return PrivacyRequest.objects.create(
                store=store,
                kind=kind,
                fingerprint=ledger.digests(fingerprint)[0],
                received_at=now,
                due_at=now + DUE_WITHIN,
                sealed_scope=seal(msgspec.json.encode(scope).decode()),
            )
    except IntegrityError:
        # A unique constraint: the same request again, or a second shop/redact while one is open.
        return None


def stop(*, request_id: int, by: User, now: datetime) -> None:
    """Cancel the deletion of a store before it begins. Raises ActionRefused."""
    waiting = {PrivacyState.WAITING, PrivacyState.GRACE}
    request = PrivacyRequest.objects.get(pk=request_id)
    can_stop = request.kind == PrivacyKind.SHOP_REDACT and request.state in waiting
    if not can_stop or not end(
        request, PrivacyState.STOPPED, now=now, note=f"Stopped by {by.get_username()}.", by=by
    ):
        text = "A deletion can be stopped only for a whole shop, and only before it starts."
        raise ActionRefused(Refusal("not_stoppable", text))


def end(
    request: PrivacyRequest,
    state: PrivacyState,
    *,
    now: datetime,
    note: str,
    by: User | None = None,
) -> bool:
    """Finish a request, erasing what it knew about the person and keeping the evidence.

    Every request ends here. Returns False if it had already ended or changed state.
    """
    with transaction.atomic():
        still = PrivacyRequest.objects.filter(pk=request.pk, state__in=OPEN_STATES)
        if state != PrivacyState.DONE:
            still = still.filter(state=request.state)
        # An export that was downloaded before it expired is done.
        if state == PrivacyState.EXPIRED and request.done_at:
            state = PrivacyState.DONE
        ended = still.update(
            state=state,
            done_at=request.done_at or now,
            note=note,
            sealed_scope="",
            next_attempt_at=None,
        )
        if ended:
            audit.record(
                AuditKind.PRIVACY,
                actor=by,
                store_id=request.store_id,
                before=request.state,
                after=state,
                what=request.kind,
                row=request.pk,
            )
    return bool(ended)


def scope_of(request: PrivacyRequest) -> Scope:
    """Decrypt the request's scope."""
    return _SCOPE.decode(unseal(request.sealed_scope))
