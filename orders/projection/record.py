"""record_snapshot: the one function that writes what Shopify says into our tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest

from core.database import sql
from core.failpoints import failpoint
from orders.actions.settlement import settle_by_evidence
from orders.models import (
    ActionState,
    Order,
    OrderAction,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
    Store,
)
from orders.models.orders import OrderPart
from orders.privacy import ledger
from orders.privacy.masking import masked
from orders.projection import columns as rows
from orders.projection.customers import mention
from orders.projection.events import record_events
from orders.signals import order_changed
from orders.snapshot import OrderSnapshot, encode
from orders.versions.keep import keep_state

# A second change within this time of a read waits for it, so that bursts cause one read.
DEBOUNCE: Final = timedelta(seconds=1)
# A read older than what is stored comes from a lagging replica. If every read has been older for
# this long, what is stored must be wrong, and Shopify is believed.
STALE_BELIEVED_AFTER: Final = timedelta(minutes=10)
_BANKS_ANSWER_WITHIN: Final = timedelta(days=60)
_BANK_ASKED_EVERY: Final = timedelta(hours=6)
_BANKS_AT_ONCE: Final = 100
_STALE_RETRY_AT_MOST: Final = timedelta(seconds=30)


def mark_dirty(*, store: Store, gid: str, legacy_id: int, now: datetime) -> int:
    """Note that an order may have changed; return our ID of it.

    Safe to repeat, and cheap; creates the row if the order is new. Opens no transaction of its own,
    so it may run inside one.
    """
    order, _created = Order.objects.get_or_create(
        store=store, gid=gid, defaults={"legacy_id": legacy_id}
    )
    calm = _is_calm(order.read_started_at, now)
    Order.objects.filter(pk=order.pk).update(
        dirty_seq=F("dirty_seq") + 1,
        fetch_after=now if calm else now + DEBOUNCE,
        deleted_at=None,
    )
    return order.pk


def _is_calm(read_started_at: datetime | None, now: datetime) -> bool:
    """Whether the last read was long enough ago. One in the future came from a wrong clock."""
    return read_started_at is None or not now - DEBOUNCE < read_started_at <= now


@dataclass(frozen=True, slots=True)
class Marked:
    """Our IDs of the marked orders by Shopify's numbers, and those that may be read at once."""

    ids: dict[int, int]
    due: list[int]


def mark_many_dirty(*, store_id: int, legacy_ids: Collection[int], now: datetime) -> Marked:
    """Do what `mark_dirty` does, for many orders of a store.

    Expects a transaction. The orders stay locked until its end, in the order of their IDs, so that
    two of these calls can't deadlock.
    """
    gids = {f"gid://shopify/Order/{legacy_id}": legacy_id for legacy_id in sorted(legacy_ids)}
    marked = Order.objects.filter(store_id=store_id, gid__in=gids)
    new = set(gids) - set(marked.values_list("gid", flat=True))
    Order.objects.bulk_create(
        [Order(store_id=store_id, gid=gid, legacy_id=gids[gid]) for gid in sorted(new)],
        ignore_conflicts=True,
    )
    rows = marked.select_for_update(of=("self",)).order_by("pk")
    found = list(rows.values_list("pk", "legacy_id", "read_started_at"))
    calm = [pk for pk, _, at in found if _is_calm(at, now)]
    Order.objects.filter(pk__in=[pk for pk, _, _ in found]).update(
        dirty_seq=F("dirty_seq") + 1,
        fetch_after=Case(When(pk__in=calm, then=Value(now)), default=Value(now + DEBOUNCE)),
        deleted_at=None,
    )
    return Marked({legacy_id: pk for pk, legacy_id, _ in found}, calm)


def mark_partial_dirty(orders: models.QuerySet[Order]) -> list[int]:
    """Have orders from a back-fill read completely; return the IDs of those now due for it."""
    ids = list(
        orders.filter(is_partial=True, clean_seq=F("dirty_seq")).values_list("pk", flat=True)
    )
    with transaction.atomic():
        return _mark_clean_dirty(Order.objects.filter(pk__in=ids))


def _mark_clean_dirty(orders: models.QuerySet[Order]) -> list[int]:
    """Mark dirty those of the orders that aren't dirty yet; return their IDs.

    Expects a transaction. Locks in the global lock order: store by store, each by ID.
    """
    waiting = orders.filter(clean_seq=F("dirty_seq")).order_by("store_id", "pk")
    due = list(waiting.select_for_update(of=("self",)).values_list("pk", flat=True))
    Order.objects.filter(pk__in=due).update(dirty_seq=F("dirty_seq") + 1, fetch_after=None)
    return due


def mark_awaiting_banks(store: Store, *, now: datetime) -> list[int]:
    """Have orders read again whose refund awaits its bank; return the IDs of those now due.

    The webhook with the bank's answer may have been lost.
    """
    waiting = OrderAction.objects.filter(
        # A read time in the future came from a clock that ran ahead.
        Q(order__read_started_at__lt=now - _BANK_ASKED_EVERY) | Q(order__read_started_at__gt=now),
        order__store=store,
        order__clean_seq=F("order__dirty_seq"),
        state=ActionState.AWAITING_BANK,
        settled_at__gt=now - _BANKS_ANSWER_WITHIN,
    )
    ids = list(waiting.values_list("order_id", flat=True)[:_BANKS_AT_ONCE])
    with transaction.atomic():
        return _mark_clean_dirty(Order.objects.filter(pk__in=ids))


def mark_missing(*, order: Order, seq: int, now: datetime, confirm_after: timedelta) -> bool:
    """Record a read in which Shopify didn't know the order; return whether it is now deleted.

    It takes two such reads, `confirm_after` apart. An order with an active action is not deleted:
    the action must be settled first.
    """
    with transaction.atomic(durable=True):
        locked = Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
        first_miss = locked.missing_since or now
        is_held = OrderAction.objects.active().filter(order=locked).exists()
        gone = now - first_miss >= confirm_after and not is_held
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
    """Project a read of an order.

    False if a read that began later, or a newer state, was already stored; the caller must then not
    act on this one. `seq` is the order's dirty_seq when the read began, so marks made since then
    stay dirty.

    Writes the tables, the timeline's events and any action the snapshot settles, in one
    transaction; browsers are notified after commit. The result equals the snapshot no matter what
    was stored before, so running it twice changes nothing. Updates `order` in place.
    """
    with transaction.atomic(durable=True):
        locked = sql.lock(Order, order.pk)
        # Already loaded; spares a query.
        locked.store = order.store
        # A stored time in the future came from a clock that ran ahead, and doesn't count.
        if locked.read_started_at and read_started_at < locked.read_started_at <= now:
            return False
        if _is_older(locked, snapshot):
            since = locked.stale_since or now
            if now - since < STALE_BELIEVED_AFTER:
                _schedule_reread(locked, since, now)
                return False
        is_masked = _stays_masked(locked, snapshot)
        if is_masked:
            snapshot = masked(snapshot)
        document = encode(snapshot)
        columns = _freshness(locked, seq=seq, read_started_at=read_started_at)
        changed = document != locked.document
        if changed:
            columns |= {
                "state_since": keep_state(locked, snapshot, is_masked=is_masked, now=now),
                "version": locked.version + 1,
                "masked_at": (locked.masked_at or now) if is_masked else None,
            } | rows.order_columns(snapshot, document)
        sql.update(Order, locked.pk, columns)
        # Most orders have no actions; this cheap check spares loading full rows for them.
        has_actions = sql.select(OrderAction, "id", order_id=locked.pk)
        actions = list(locked.actions.all()) if has_actions else []
        if changed:
            before = locked.snapshot if locked.document else None
            _write_parts(locked, before, snapshot)
            if snapshot.customer and not is_masked:
                moved = before is None or before.money.net_payment != snapshot.money.net_payment
                mention(
                    locked.store, snapshot.customer, read_started_at=read_started_at, spent=moved
                )
            record_events(locked, snapshot, actions, seen_at=read_started_at)
        settled = settle_by_evidence(locked, snapshot, actions, now=now)
        if changed or settled:
            _announce(locked.pk)
        failpoint("projected")
    if settled:
        order.refresh_from_db()
    else:
        _update_in_place(order, locked, columns)
    return True


def _is_older(order: Order, snapshot: OrderSnapshot) -> bool:
    """Whether the read came from a lagging replica.

    Shopify's update times have whole seconds. Within the same second, a missing cancellation or
    refund gives it away, since neither ever disappears.
    """
    if not order.document or order.shop_updated_at is None:
        return False
    if snapshot.updated_at > order.shop_updated_at:
        return False
    if snapshot.updated_at < order.shop_updated_at:
        return True
    before = order.snapshot
    lost_cancel = before.cancelled_at is not None and snapshot.cancelled_at is None
    return lost_cancel or len(snapshot.refunds) < len(before.refunds)


def _schedule_reread(order: Order, since: datetime, now: datetime) -> None:
    """Keep the order dirty after a read older than what is stored. Expects its lock."""
    # Back off the longer reads have been stale.
    wait = min(max(DEBOUNCE, (now - since) / 4), _STALE_RETRY_AT_MOST)
    Order.objects.filter(pk=order.pk).update(
        stale_since=since,
        fetch_lease_until=None,
        fetch_after=now + wait,
        dirty_seq=Greatest(F("dirty_seq"), F("clean_seq") + 1),
    )


def _stays_masked(order: Order, snapshot: OrderSnapshot) -> bool:
    """Whether the snapshot must be masked before it is stored.

    Shopify may still know a person who was redacted here. Data masked only because of its age comes
    back once something happens to the order.
    """
    if order.masked_at and snapshot.updated_at == order.shop_updated_at:
        return True
    return ledger.covers(order.store_id, snapshot)


def _announce(order_id: int) -> None:
    """Send order_changed. Expects the transaction that changed the order."""
    order_changed.send_robust(Order, order_id=order_id)


def _freshness(order: Order, *, seq: int, read_started_at: datetime) -> dict[str, object]:
    """Return the columns that every stored read sets.

    Expects the order's lock, so that no one else changes the counters.
    """
    return {
        "clean_seq": max(order.clean_seq, seq),
        "read_started_at": read_started_at,
        "fetch_lease_until": None,
        "fetch_failures": 0,
        "stale_since": None,
        "missing_since": None,
        "deleted_at": None,
        "is_partial": False,
    }


def _update_in_place(order: Order, locked: Order, columns: dict[str, object]) -> None:
    """Do what refresh_from_db would, without a query: the locked row plus what was written."""
    for field in Order._meta.concrete_fields:
        name = field.attname
        setattr(order, name, columns[name] if name in columns else getattr(locked, name))
    order.__dict__.pop("snapshot", None)


def _write_parts(order: Order, before: OrderSnapshot | None, now: OrderSnapshot) -> None:
    """Write only those tables whose part of the snapshot changed."""
    if before is None or before.lines != now.lines:
        _replace(OrderLine, order, rows.lines(order.pk, now))
    if before is None or before.fulfillments != now.fulfillments:
        _replace(OrderFulfillment, order, rows.fulfillments(order.pk, now))
        if order.version:
            sql.delete(OrderTracking, order_id=order.pk)
        sql.insert_few(OrderTracking, rows.trackings(order.pk, now))
    if before is None or before.transactions != now.transactions:
        _replace(OrderTransaction, order, rows.transactions(order.pk, now))
    if before is None or before.refunds != now.refunds:
        _replace(OrderRefund, order, rows.refunds(order.pk, now))


def _replace(model: type[OrderPart], order: Order, parts: Sequence[rows.Row]) -> None:
    """Make the order's rows in one table equal to these, keeping the IDs of those that stay."""
    # An order that was never read has no rows yet.
    held = sql.select(model, "gid", order_id=order.pk) if order.version else []
    if gone := [gid for (gid,) in held if gid not in {row["gid"] for row in parts}]:
        sql.delete(model, order_id=order.pk, gid=gone)
    sql.upsert(model, parts, unique=("order_id", "gid"))
