"""record_snapshot: the one function that writes what Shopify says into our tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest

from orders.failpoints import failpoint
from orders.models import (
    Customer,
    Order,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
    Store,
)
from orders.models.orders import OrderPart
from orders.services.history import record_events
from orders.services.settlement import settle_by_evidence
from orders.signals import order_changed
from orders.snapshot import OrderSnapshot, Refund, encode

# A second change within this time of a read waits for it, so that bursts cause one read.
DEBOUNCE: Final = timedelta(seconds=1)
# A read older than what we show is put off this often before Shopify is believed.
_STALE_READS_BELIEVED: Final = 5


def mark_dirty(*, store: Store, gid: str, legacy_id: int, now: datetime) -> int:
    """Note that an order may have changed; returns our id of it.

    Idempotent and cheap; creates the row of an order not seen before. Expects no transaction
    of its own: it may run inside one.
    """
    order, _created = Order.objects.get_or_create(
        store=store, gid=gid, defaults={"legacy_id": legacy_id}
    )
    calm = order.read_started_at is None or order.read_started_at + DEBOUNCE <= now
    Order.objects.filter(pk=order.pk).update(
        dirty_seq=F("dirty_seq") + 1,
        fetch_after=now if calm else now + DEBOUNCE,
        deleted_at=None,
    )
    return order.pk


def mark_many_dirty(*, store_id: int, legacy_ids: Collection[int], now: datetime) -> list[int]:
    """`mark_dirty` for many orders of a store at once; returns those that may be read now.

    Expects a transaction: the orders stay locked until its end, in the order of their ids, so
    that two of these never wait for each other.
    """
    gids = {f"gid://shopify/Order/{legacy_id}": legacy_id for legacy_id in sorted(legacy_ids)}
    marked = Order.objects.filter(store_id=store_id, gid__in=gids)
    new = set(gids) - set(marked.values_list("gid", flat=True))
    Order.objects.bulk_create(
        [Order(store_id=store_id, gid=gid, legacy_id=gids[gid]) for gid in sorted(new)],
        ignore_conflicts=True,
    )
    rows = marked.select_for_update(of=("self",)).order_by("pk")
    read_at = dict(rows.values_list("pk", "read_started_at"))
    calm = [pk for pk, at in read_at.items() if at is None or at + DEBOUNCE <= now]
    Order.objects.filter(pk__in=read_at).update(
        dirty_seq=F("dirty_seq") + 1,
        fetch_after=Case(When(pk__in=calm, then=Value(now)), default=Value(now + DEBOUNCE)),
        deleted_at=None,
    )
    return calm


def mark_missing(*, order: Order, seq: int, now: datetime, confirm_after: timedelta) -> bool:
    """Shopify does not know the order. Two such reads, `confirm_after` apart, bury it.

    Returns whether it is buried now.
    """
    with transaction.atomic(durable=True):
        locked = Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
        first_miss = locked.missing_since or now
        gone = now - first_miss >= confirm_after
        Order.objects.filter(pk=order.pk).update(
            missing_since=first_miss,
            deleted_at=first_miss if gone else None,
            clean_seq=Greatest(F("clean_seq"), Value(seq)) if gone else F("clean_seq"),
            fetch_after=None if gone else now + confirm_after,
            fetch_lease_until=None,
        )
        if gone:
            _announce(order.pk)
    return gone


def record_snapshot(
    *, order: Order, snapshot: OrderSnapshot, seq: int, read_started_at: datetime, now: datetime
) -> bool:
    """Project a read. False: a read that began later, or a newer state, was already stored.

    `seq` is the order's dirty_seq when the read began: marks made meanwhile stay dirty.
    Writes the tables, the timeline's events and any action the snapshot settles, in one
    transaction; browsers are told after commit. The projection equals the snapshot whatever
    was there before, so running it twice changes nothing.
    """
    with transaction.atomic(durable=True):
        locked = (
            Order.objects.select_for_update(of=("self",)).select_related("store").get(pk=order.pk)
        )
        if locked.read_started_at and read_started_at < locked.read_started_at:
            return False
        if _is_stale(locked, snapshot):
            Order.objects.filter(pk=locked.pk).update(
                fetch_failures=F("fetch_failures") + 1,
                fetch_lease_until=None,
                fetch_after=now + DEBOUNCE,
                dirty_seq=Greatest(F("dirty_seq"), F("clean_seq") + 1),
            )
            return False
        document = encode(snapshot)
        changed = document != locked.document
        _write_order(locked, snapshot, document, seq=seq, read_started_at=read_started_at)
        if changed:
            before = locked.snapshot if locked.document else None
            _write_parts(locked, before, snapshot)
            if snapshot.customer:
                _write_customer(locked.store, snapshot)
            record_events(locked, snapshot)
        settled = settle_by_evidence(locked, snapshot, now=now)
        if changed or settled:
            _announce(locked.pk)
        failpoint("projected")
    order.refresh_from_db()
    return True


def _is_stale(order: Order, snapshot: OrderSnapshot) -> bool:
    """A lagging replica answered: what it says is older than what we show."""
    if order.shop_updated_at is None or snapshot.updated_at >= order.shop_updated_at:
        return False
    return order.fetch_failures < _STALE_READS_BELIEVED


def _announce(order_id: int) -> None:
    transaction.on_commit(lambda: order_changed.send(Order, order_id=order_id), robust=True)


def _write_order(
    order: Order, snapshot: OrderSnapshot, document: str, *, seq: int, read_started_at: datetime
) -> None:
    money = snapshot.money
    columns: dict[str, Any] = {
        "clean_seq": Greatest(F("clean_seq"), Value(seq)),
        "read_started_at": read_started_at,
        "fetch_lease_until": None,
        "fetch_failures": 0,
        "missing_since": None,
        "deleted_at": None,
    }
    if document != order.document:
        columns |= {
            "version": F("version") + 1,
            "document": document,
            "legacy_id": snapshot.legacy_id,
            "name": snapshot.name,
            "placed_at": snapshot.placed_at,
            "shop_updated_at": snapshot.updated_at,
            "closed_at": snapshot.closed_at,
            "cancelled_at": snapshot.cancelled_at,
            "cancel_reason": snapshot.cancel_reason,
            "financial_status": snapshot.financial_status or "",
            "fulfillment_status": snapshot.fulfillment_status or "",
            "return_status": snapshot.return_status or "",
            "currency": snapshot.currency,
            "shop_currency": snapshot.shop_currency,
            "total": money.total.presentment.amount,
            "received": money.received.presentment.amount,
            "refunded": money.refunded.presentment.amount,
            "net_payment": money.net_payment.presentment.amount,
            "total_shop": money.total.shop.amount,
            "net_payment_shop": money.net_payment.shop.amount,
            "customer_gid": snapshot.customer.gid if snapshot.customer else "",
            "email": snapshot.email.lower(),
            "phone": snapshot.phone,
        }
    Order.objects.filter(pk=order.pk).update(**columns)


def _write_customer(store: Store, snapshot: OrderSnapshot) -> None:
    customer = snapshot.customer
    if customer is None:
        return
    Customer.objects.update_or_create(
        store=store,
        gid=customer.gid,
        defaults={
            "name": customer.name[:255],
            "email": customer.email.lower(),
            "phone": customer.phone,
            "locale": customer.locale,
            "order_count": customer.order_count,
        },
    )


def _write_parts(order: Order, before: OrderSnapshot | None, now: OrderSnapshot) -> None:
    """Only the tables whose part of the snapshot changed are touched."""
    if before is None or before.lines != now.lines:
        _replace(OrderLine, order, _lines(order, now))
    if before is None or before.fulfillments != now.fulfillments:
        _replace(OrderFulfillment, order, _fulfillments(order, now))
        OrderTracking.objects.filter(order=order).delete()
        OrderTracking.objects.bulk_create(_trackings(order, now))
    if before is None or before.transactions != now.transactions:
        _replace(OrderTransaction, order, _transactions(order, now))
    if before is None or before.refunds != now.refunds:
        _replace(OrderRefund, order, _refunds(order, now))


def _replace(model: type[OrderPart], order: Order, rows: Sequence[OrderPart]) -> None:
    """Make the order's rows of one table exactly these, keeping ids of those that stay."""
    own = [
        f.name
        for f in model._meta.concrete_fields
        if f.name not in {"id", "order", "gid", "action"}
    ]
    manager: models.Manager[Any] = model._default_manager
    manager.filter(order=order).exclude(gid__in=[row.gid for row in rows]).delete()
    manager.bulk_create(
        rows, update_conflicts=True, unique_fields=["order", "gid"], update_fields=own
    )


def _lines(order: Order, snapshot: OrderSnapshot) -> list[OrderLine]:
    return [
        OrderLine(
            order=order,
            gid=line.gid,
            title=line.title[:500],
            variant_title=line.variant_title[:500],
            sku=line.sku[:255],
            quantity=line.quantity,
            current_quantity=line.current_quantity,
            refundable_quantity=line.refundable_quantity,
            unfulfilled_quantity=line.unfulfilled_quantity,
            total=line.total.amount,
        )
        for line in snapshot.lines
    ]


def _fulfillments(order: Order, snapshot: OrderSnapshot) -> list[OrderFulfillment]:
    return [
        OrderFulfillment(
            order=order,
            gid=parcel.gid,
            name=parcel.name,
            status=parcel.status,
            display_status=parcel.display_status or "",
            shipped_at=parcel.created_at,
            estimated_delivery_at=parcel.estimated_delivery_at,
            delivered_at=parcel.delivered_at,
        )
        for parcel in snapshot.fulfillments
    ]


def _trackings(order: Order, snapshot: OrderSnapshot) -> Iterable[OrderTracking]:
    return [
        OrderTracking(
            order=order,
            fulfillment_gid=parcel.gid,
            number=tracking.number[:255],
            company=tracking.company[:255],
            url=tracking.url,
        )
        for parcel in snapshot.fulfillments
        for tracking in parcel.tracking
        if tracking.number
    ]


def _transactions(order: Order, snapshot: OrderSnapshot) -> list[OrderTransaction]:
    return [
        OrderTransaction(
            order=order,
            gid=payment.gid,
            kind=payment.kind,
            status=payment.status,
            gateway=payment.gateway[:255],
            is_manual=payment.is_manual,
            amount=payment.amount.presentment.amount,
            amount_shop=payment.amount.shop.amount,
            processed_at=payment.processed_at,
        )
        for payment in snapshot.transactions
    ]


def _refunds(order: Order, snapshot: OrderSnapshot) -> list[OrderRefund]:
    return [
        OrderRefund(
            order=order,
            gid=refund.gid,
            refunded_at=refund.created_at,
            amount=refund.total.presentment.amount,
            amount_shop=refund.total.shop.amount,
            note=refund.note,
            has_failed=has_failed(refund),
        )
        for refund in snapshot.refunds
    ]


def has_failed(refund: Refund) -> bool:
    """The shop booked it and the payment provider did not pay."""
    return any(t.status in {"FAILURE", "ERROR"} for t in refund.transactions)
