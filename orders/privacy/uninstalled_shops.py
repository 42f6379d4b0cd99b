"""Uninstalled shops: when the app was removed, and whether a shop's data may be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from orders import audit
from orders.actions.uninstalls import hand_over
from orders.errors import ShopUnreachable
from orders.models import AuditKind, PrivacyRequest, PrivacyState, Store
from orders.privacy.requests import TRY_AGAIN, end
from orders.shopify_port import get_gateway

# Shopify sends shop/redact 48 hours after the uninstall; we add a week for second thoughts.
UNINSTALLED_FOR: Final = timedelta(hours=48)
GRACE: Final = timedelta(days=7)


def note_uninstalled(store: Store, *, now: datetime) -> None:
    """Deactivate the store because Shopify refuses us access. Deletes nothing.

    Actions that can no longer be carried out are ended or handed to a person.
    """
    gone = Store.objects.filter(pk=store.pk, uninstalled_at=None)
    with transaction.atomic():
        if gone.update(uninstalled_at=now, is_active=False):
            audit.record(AuditKind.STORE, actor=None, store_id=store.pk, after="uninstalled")
    # The sweep repeats this, for actions being sent right now and for a crash before this line.
    hand_over(store, now=now)


def note_installed(store: Store) -> None:
    """Reactivate a store that was taken for uninstalled: a test request succeeded.

    The connection counts as new: what happened while there was none is history, and campaigns don't
    message customers about it.
    """
    back = Store.objects.filter(pk=store.pk, uninstalled_at__isnull=False)
    with transaction.atomic():
        if back.update(uninstalled_at=None, is_active=True, connected_at=timezone.now()):
            audit.record(AuditKind.STORE, actor=None, store_id=store.pk, after="installed again")


def may_wipe(request: PrivacyRequest, now: datetime) -> bool:
    """Whether a shop/redact request may be carried out now; otherwise refuse or reschedule it.

    The webhook alone isn't proof, since anyone could have set its shop header. Shopify must also
    refuse us access, and have done so for 48 hours, and then no one here may have objected for a
    week.
    """
    if request.state == PrivacyState.WORKING:
        return True
    later = PrivacyRequest.objects.filter(pk=request.pk)
    try:
        is_gone = get_gateway().is_uninstalled(request.store)
    except ShopUnreachable:
        later.update(next_attempt_at=now + TRY_AGAIN, note="Shopify couldn't be reached yet.")
        return False
    if not is_gone:
        note_installed(request.store)
        note = "Refused: the app is still installed, so nothing is deleted."
        end(request, PrivacyState.REFUSED, now=now, note=note)
        request.state = PrivacyState.REFUSED
        return False
    note_uninstalled(request.store, now=now)
    gone_at = Store.objects.get(pk=request.store_id).uninstalled_at or now
    if now < gone_at + UNINSTALLED_FOR:
        note = "Waiting until the app has been uninstalled for 48 hours."
        later.update(next_attempt_at=gone_at + UNINSTALLED_FOR, note=note)
        return False
    if request.state == PrivacyState.WAITING:
        later.filter(state=PrivacyState.WAITING).update(
            state=PrivacyState.GRACE,
            grace_until=now + GRACE,
            next_attempt_at=now + GRACE,
            note="Stop it here if the shop's data must stay.",
        )
        return False
    return request.grace_until is not None and request.grace_until <= now
