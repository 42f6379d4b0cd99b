"""Keep an order's state before a newer one replaces it."""

from __future__ import annotations

from datetime import datetime

from core.database.sql import insert_few
from orders.models import Order, OrderVersion
from orders.models.versions import packed
from orders.snapshot import OrderSnapshot
from orders.versions.diff import differ


def keep_state(
    order: Order, snapshot: OrderSnapshot, *, is_masked: bool, now: datetime
) -> datetime:
    """Keep the order's stored state if `snapshot` visibly changes it.

    Expects the order as stored, its lock, and the caller's transaction. Returns since when the
    state that is shown afterwards has been shown.

    A state is written only when it ends. So a back-fill, most of whose orders never change again,
    writes none, and nothing is stored twice.
    """
    if not order.document or order.masked_at or is_masked:
        # Masking changes every text a person wrote, but nothing about the order itself.
        return now
    since = order.state_since or order.read_started_at or now
    if not differ(order.snapshot, snapshot, zone=order.store.zone):
        return since
    # Workers' clocks may differ slightly, but a state must not end before it began.
    until = max(now, since)
    state = {
        "order_id": order.pk,
        "number": order.version,
        "since": since,
        "until": until,
        "document": packed(order.document),
    }
    insert_few(OrderVersion, [state])
    return until
