"""Checkouts: webhooks say that one changed, reads say what it contains."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Greatest

from orders.checkout_snapshot import CheckoutSnapshot
from orders.models import Checkout, Store
from orders.privacy import ledger


def note_checkout(*, store: Store, gid: str, now: datetime, is_gone: bool = False) -> int:
    """Note that something happened to a checkout; return our ID of it.

    Idempotent, and may run in any order: a deletion that arrives first still counts.
    """
    checkout, _created = Checkout.objects.get_or_create(
        store=store, gid=gid, defaults={"started_at": now, "active_at": now}
    )
    rows = Checkout.objects.filter(pk=checkout.pk)
    if is_gone:
        rows.filter(deleted_at=None).update(deleted_at=now)
    else:
        rows.update(active_at=Greatest("active_at", Value(now)))
    return checkout.pk


def record_checkout(
    *, checkout: Checkout, snapshot: CheckoutSnapshot | None, now: datetime
) -> CheckoutSnapshot | None:
    """Project a read and return it; None if Shopify has no such checkout.

    Also None if it belongs to someone who was redacted here after it was started. Opens its own
    transaction.
    """
    with transaction.atomic(durable=True):
        rows = Checkout.objects.filter(pk=checkout.pk)
        if snapshot is None:
            rows.update(read_at=now, next_read_at=None)
            return None
        if ledger.covers_person(
            checkout.store_id,
            gid=snapshot.customer_gid,
            emails=[snapshot.email],
            phones=[snapshot.phone],
            since=snapshot.started_at,
        ):
            rows.update(read_at=now, next_read_at=None, deleted_at=now)
            return None
        rows.update(
            started_at=snapshot.started_at,
            active_at=Greatest("active_at", Value(snapshot.updated_at)),
            completed_at=snapshot.completed_at,
            read_at=now,
            next_read_at=None,
            customer_gid=snapshot.customer_gid,
            name=snapshot.name[:255],
            email=snapshot.email[:255],
            phone=snapshot.phone[:40],
        )
    return snapshot
