"""Turn snapshots into timeline events: each fact once, no matter who caused it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.database.sql import (
    insert_few,
    select,
)
from orders import rules
from orders.actions.progress import (
    canceled_by,
    refund_of,
)
from orders.models import REFUNDED_KEY, EventKind, EventSource, Order, OrderAction, OrderEvent
from orders.projection import changes
from orders.projection.changes import Happening
from orders.signals import event_recorded, events_written
from orders.snapshot import OrderSnapshot, Refund
from orders.statuses.badges import (
    is_parcel_delivered,
    live_fulfillments,
)
from orders.statuses.money_moved import parts

Row = dict[str, Any]


def record_events(
    order: Order, snapshot: OrderSnapshot, actions: Sequence[OrderAction], *, seen_at: datetime
) -> None:
    """Add the events that this snapshot shows and the timeline lacks.

    Expects the caller's transaction, the order as it was locked, its actions, newest first, and when
    the read began. Events from before the store was connected are history and are not announced.
    """
    known: set[str] = set()
    # An order that was never read has no events yet.
    if order.version:
        known.update(key for (key,) in select(OrderEvent, "key", order_id=order.pk))
    events = _events(order.pk, snapshot, actions, is_first=not order.version)
    found = _mark_history(
        chain(events, _changed(order, snapshot, seen_at)), order.store.connected_at
    )
    missing = [row for row in found if row["key"] not in known]
    now = timezone.now()
    new = [row | {"recorded_at": now} for row in missing]
    written = zip(new, insert_few(OrderEvent, new), strict=True)
    news = [event_id for row, event_id in written if row["announced_at"] is None]
    if news:
        events_written.send_robust(OrderEvent, event_ids=news)
    for event_id in news:
        announce(event_id)


def first_events(
    order_id: int, snapshot: OrderSnapshot, *, connected_at: datetime
) -> Iterator[Row]:
    """Return the events of an order that no one here has acted on, as columns by name."""
    return _mark_history(_events(order_id, snapshot, (), is_first=True), connected_at)


def _mark_history(events: Iterator[Row], connected_at: datetime) -> Iterator[Row]:
    # Shopify's times have whole seconds, so compare with whole seconds.
    since = connected_at.replace(microsecond=0)
    for event in events:
        at = event["occurred_at"]
        is_history = at < since or event["announced_at"] is not None
        yield event | {"announced_at": at if is_history else None}


def announce(event_id: int) -> None:
    """Send event_recorded for a new event, after commit."""
    transaction.on_commit(lambda: event_recorded.send(OrderEvent, event_id=event_id), robust=True)


def _events(
    order_id: int,
    snapshot: OrderSnapshot,
    actions: Sequence[OrderAction],
    *,
    is_first: bool,
) -> Iterator[Row]:
    """Yield all events the snapshot shows. `is_first`: nothing was known of the order before."""
    total = snapshot.money.total.presentment
    yield _event(
        order_id,
        EventKind.PLACED,
        "placed",
        snapshot.placed_at,
        amount=total.amount,
        currency=total.currency,
    )
    for payment in rules.payments(snapshot):
        paid = payment.amount.presentment
        yield _event(
            order_id,
            EventKind.PAID,
            f"paid:{payment.gid}",
            payment.processed_at or snapshot.placed_at,
            amount=paid.amount,
            currency=paid.currency,
            detail=payment.gateway_label,
        )
    for parcel in live_fulfillments(snapshot):
        numbers = ", ".join(t.number for t in parcel.tracking if t.number)
        yield _event(
            order_id,
            EventKind.FULFILLED,
            f"fulfilled:{parcel.gid}",
            parcel.created_at,
            detail=numbers,
        )
        if is_parcel_delivered(parcel):
            when = parcel.delivered_at or parcel.updated_at or parcel.created_at
            event = _event(order_id, EventKind.DELIVERED, f"delivered:{parcel.gid}", when)
            # Without a date, it happened since the parcel was last seen on its way. If we never saw
            # it on its way, it may be long ago, so it isn't announced.
            is_news = parcel.delivered_at or not is_first
            yield event if is_news else event | {"announced_at": when}
    if snapshot.cancelled_at:
        action = next((a for a in actions if canceled_by(a, snapshot)), None)
        yield _event(
            order_id,
            EventKind.CANCELED,
            "canceled",
            snapshot.cancelled_at,
            action=action,
            reason=snapshot.cancel_reason[:100],
        )
    yield from _refund_events(order_id, snapshot, actions)
    for change in changes.dated(snapshot):
        yield _unannounced(order_id, change)


def _changed(order: Order, snapshot: OrderSnapshot, seen_at: datetime) -> Iterator[Row]:
    """Yield what is different from the order's stored state, if that was read completely."""
    # Masking changes texts, and a back-fill leaves lists out.
    if order.document and not order.is_partial and not order.masked_at:
        for change in changes.between(order.snapshot, snapshot, seen_at=seen_at):
            yield _unannounced(order.pk, change)


def _unannounced(order_id: int, change: Happening) -> Row:
    """Return an event that no campaign waits for."""
    event = _event(
        order_id, change.kind, change.key, change.at, reason=change.reason, detail=change.detail
    )
    return event | {"announced_at": change.at}


def _refund_events(
    order_id: int, snapshot: OrderSnapshot, actions: Sequence[OrderAction]
) -> Iterator[Row]:
    made_by = {}
    for action in actions:
        if refund := refund_of(action, snapshot):
            made_by[refund.gid] = action
    for refund in snapshot.refunds:
        divided = parts(refund)
        amount = divided.moved.presentment + divided.waiting.presentment
        if amount.amount <= 0:
            # A cancellation with "refund later" books a refund of zero, and a refund that failed
            # completely returns nothing either.
            continue
        maker = made_by.get(refund.gid)
        at = _refunded_at(refund, snapshot)
        event = _event(
            order_id,
            EventKind.REFUNDED,
            f"{REFUNDED_KEY}{refund.gid}",
            at or snapshot.updated_at,
            action=maker,
            amount=amount.amount,
            currency=amount.currency,
            reason=maker.reason if maker else "",
            detail="" if maker else refund.note,
        )
        # Without a date it may be years old, so it isn't announced as news; all that is known is
        # that it happened before the order's last change.
        yield event if at else event | {"announced_at": snapshot.updated_at}


def _refunded_at(refund: Refund, snapshot: OrderSnapshot) -> datetime | None:
    """Return when it was booked, else when its first transaction was processed; None if unknown."""
    if refund.created_at:
        return refund.created_at
    gids = {payment.gid for payment in refund.transactions}
    times = [t.processed_at for t in snapshot.transactions if t.gid in gids and t.processed_at]
    return min(times, default=None)


def _event(
    order_id: int,
    kind: EventKind,
    key: str,
    occurred_at: datetime,
    *,
    action: OrderAction | None = None,
    amount: Decimal | None = None,
    currency: str = "",
    reason: str = "",
    detail: str = "",
) -> Row:
    return {
        "order_id": order_id,
        "kind": kind.value,
        "key": key,
        "occurred_at": occurred_at,
        "source": (EventSource.AGENT if action else EventSource.SHOPIFY).value,
        "actor_id": action.requested_by_id if action else None,
        "action_id": action.pk if action else None,
        "amount": amount,
        "currency": currency,
        "reason": reason,
        "detail": detail,
        "announced_at": None,
    }
