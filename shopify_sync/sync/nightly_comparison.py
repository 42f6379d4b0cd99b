"""The nightly comparison of every order Shopify lists with every order we have."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from core.json_types import JsonObject
from orders.models import MARKER_BEGINS, Order, OrderAction, OrderRefund, Store
from orders.money import Money
from orders.services import mark_dirty
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    ShopifyError,
    Throttled,
)
from shopify_sync.models import Comparison
from shopify_sync.stores import read_window
from shopify_sync.stores.clients import (
    client_for,
    note_error,
)
from shopify_sync.sync.backfill import read_since
from shopify_sync.sync.reconcile import page_of

logger = logging.getLogger(__name__)

# The webhook for a more recent change may still be on its way.
_SETTLED: Final = timedelta(minutes=5)
_DOCUMENT: Final = "OrdersCompared"
# A step ends well before a task's time limit. The lease is renewed after each page, so it need
# only outlast one API call.
_STEP_S: Final = 15.0
_LEASE: Final = timedelta(seconds=60)
_POLL_S: Final = 1.0
_LONGEST_WAIT_S: Final = 300
_TRIES: Final = 12
# The next night's comparison starts soon after that.
_GIVE_UP_AFTER: Final = timedelta(hours=20)


def begin(store: Store) -> Comparison:
    """Return the store's open comparison; create one if there is none. Sends nothing."""
    now = timezone.now()
    try:
        with transaction.atomic():
            return Comparison.objects.create(
                store=store, since=read_since(store, now), next_step_at=now
            )
    except IntegrityError:
        return Comparison.objects.get(store=store, next_step_at__isnull=False)


def compare(store: Store) -> Comparison:
    """Run a whole comparison now, for as long as it takes, waiting when Shopify asks for it.

    The returned row has a `finished_at` only if every order was compared.
    """
    row = begin(store)
    while row.is_open:
        wait_s = advance(row.pk)
        # None: another worker is on it.
        time.sleep(_POLL_S if wait_s is None else wait_s)
        row.refresh_from_db()
    return row


def advance(comparison_id: int) -> float | None:
    """Compare some pages; return the seconds until the next step.

    None means that nothing is left to do or another worker is on it.
    """
    now = timezone.now()
    mine = Comparison.objects.due(now=now).filter(pk=comparison_id)
    if not mine.update(next_step_at=now + _LEASE, fence=F("fence") + 1):
        return None
    row = Comparison.objects.select_related("store").get(pk=comparison_id)
    try:
        return _step(row, until=time.monotonic() + _STEP_S)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  any failure postpones the row
        return _failed(row, error)


def _step(row: Comparison, *, until: float) -> float | None:
    client = client_for(row.store, is_background=True)
    work = _Work.of(row)
    while True:
        try:
            nodes, work.after = page_of(client, _DOCUMENT, since=row.since, after=work.after)
        except Throttled as error:
            wait_s = min(max(error.retry_after_s, 0.1), _LONGEST_WAIT_S)
            if time.monotonic() + wait_s < until:
                time.sleep(wait_s)
                continue
            # Leaving the rate limit to the agents is no failure, so keep what was done.
            return wait_s if _save(row, work, wait_s=wait_s) else None
        is_over = work.after is None
        _compare_page(row, nodes, work, is_last=is_over)
        if is_over:
            _finish(row, work, client)
            return None
        if time.monotonic() >= until:
            return 0.0 if _save(row, work, wait_s=0.0) else None
        # Keep other workers from claiming it during the next page.
        if not _renew(row):
            return None


@dataclass(kw_only=True)
class _Work:
    """What a comparison has found so far; saved between two steps."""

    after: str | None
    # Our orders that changed up to this time, by Shopify's clock, have been looked for.
    through: datetime
    # GID -> pk of our orders that weren't where Shopify's list should have them. They may have
    # changed and be on a later page.
    unseen: dict[str, int]
    tally: _Tally

    @classmethod
    def of(cls, row: Comparison) -> _Work:
        kept = row.progress
        through = parse_datetime(kept["through"]) if kept else None
        return cls(
            after=kept.get("after"),
            through=through or row.since,
            unseen=dict(kept.get("unseen", {})),
            tally=_Tally(row.refunds),
        )

    def as_json(self) -> JsonObject:
        return {"after": self.after, "through": self.through.isoformat(), "unseen": self.unseen}


def _save(row: Comparison, work: _Work, *, wait_s: float) -> bool:
    """Save what a step found; False if another worker has claimed the comparison."""
    if work.after is None:
        # Not a single page has been read yet.
        return _write(row, next_step_at=timezone.now() + timedelta(seconds=wait_s))
    return _write(
        row,
        progress=work.as_json(),
        tries=0,
        error="",
        next_step_at=timezone.now() + timedelta(seconds=wait_s),
        **_found(row, work),
    )


def _found(row: Comparison, work: _Work) -> JsonObject:
    return {
        "orders_at_shop": row.orders_at_shop,
        "missing": row.missing,
        "differing": row.differing,
        "refunds": work.tally.as_json(),
    }


def _renew(row: Comparison) -> bool:
    return _write(row, next_step_at=timezone.now() + _LEASE)


def _finish(row: Comparison, work: _Work, client: AdminClient) -> None:
    """Finish after the last page: any order of ours that was on none has vanished at Shopify."""
    now = timezone.now()
    vanished = _vanished(row, work, client)
    changes = _found(row, work) | {
        "vanished": len(vanished),
        "markers_twice": _markers_twice(row.store),
        "finished_at": now,
        "next_step_at": None,
        "progress": {},
        "error": "",
    }
    if not _write(row, **changes):
        return
    for order in vanished:
        mark_dirty(store=row.store, gid=order.gid, legacy_id=order.legacy_id, now=now)
    if not row.agrees:
        logger.error("%s differs from our copy: comparison %s", row.store.domain, row.pk)


def _vanished(row: Comparison, work: _Work, client: AdminClient) -> list[Order]:
    """Return the orders we have and Shopify doesn't list.

    Empty for an app without read_all_orders: it isn't shown orders that have turned 60 days old.
    """
    if not work.unseen or not read_window.reads_all_orders(client):
        return []
    held = Order.objects.visible().filter(store=row.store, pk__in=work.unseen.values())
    # An order read since then has moved further on in the list.
    still = held.filter(shop_updated_at__lt=row.started_at - _SETTLED)
    return list(still.defer("document"))


def _failed(row: Comparison, error: Exception) -> float | None:
    """Schedule a retry from the same place; give up after too many failures in a row.

    Then the row stays without a `finished_at`, and the balance page says so.
    """
    now = timezone.now()
    if isinstance(error, NeedsAdmin):
        note_error(row.store, error, now=now)
    is_known = isinstance(error, ShopifyError)
    logger.warning("could not compare %s: %s", row.store.domain, error, exc_info=not is_known)
    tries = row.tries + 1
    wait_s = float(min(2**tries, _LONGEST_WAIT_S))
    is_over = tries >= _TRIES or now - row.started_at > _GIVE_UP_AFTER
    again_at = None if is_over else now + timedelta(seconds=wait_s)
    # If Shopify refused, start over: it may no longer accept our cursor.
    progress = (
        {"progress": {}, "refunds": {}, "orders_at_shop": 0, "missing": 0, "differing": 0}
        if isinstance(error, Refused)
        else {}
    )
    _write(row, tries=tries, error=str(error)[:2000], next_step_at=again_at, **progress)
    return None if is_over else wait_s


def _write(row: Comparison, **changes: object) -> bool:
    """Update the row if our fence still holds; False if another worker has claimed it."""
    mine = Comparison.objects.filter(pk=row.pk, fence=row.fence, next_step_at__isnull=False)
    if not mine.update(**changes):
        return False
    for name, value in changes.items():
        setattr(row, name, value)
    return True


class _Tally:
    """Sums of refunds by currency: Shopify's and ours."""

    def __init__(self, kept: dict[str, list[str]]) -> None:
        self.sums = {
            currency: [Decimal(theirs), Decimal(ours)] for currency, (theirs, ours) in kept.items()
        }

    def add(self, side: int, money: Money) -> None:
        if money.amount:
            self.sums.setdefault(money.currency, [Decimal(0), Decimal(0)])[side] += money.amount

    def as_json(self) -> dict[str, list[str]]:
        return {
            currency: [format(amount.normalize(), "f") for amount in both]
            for currency, both in sorted(self.sums.items())
        }


def _compare_page(
    row: Comparison, page: Sequence[JsonObject], work: _Work, *, is_last: bool
) -> None:
    settled = timezone.now() - _SETTLED
    row.orders_at_shop += len(page)
    rows = Order.objects.filter(store=row.store, gid__in=[node["id"] for node in page])
    held = {order.gid: order for order in rows.defer("document")}
    _note_unlisted(row, page, work, is_last=is_last)
    for node in page:
        order = held.get(node["id"])
        updated = parse_datetime(node["updatedAt"])
        is_here = order is not None and order.shop_updated_at is not None
        if updated is not None and updated > settled:
            continue
        theirs = (node.get("totalRefundedSet") or {}).get("presentmentMoney")
        if theirs:
            work.tally.add(0, Money.from_wire(theirs["amount"], theirs["currencyCode"]))
        if order is not None and is_here:
            work.tally.add(1, Money(order.refunded, order.currency))
        if order is None or not is_here:
            row.missing += 1
        elif updated is not None and order.shop_updated_at != updated:
            row.differing += 1
        else:
            continue
        mark_dirty(
            store=row.store,
            gid=node["id"],
            legacy_id=int(node["legacyResourceId"]),
            now=timezone.now(),
        )


def _note_unlisted(
    row: Comparison, page: Sequence[JsonObject], work: _Work, *, is_last: bool
) -> None:
    """Note which of our orders belong on this page but aren't on it.

    Shopify lists orders by the time of their last change. One that has changed since we read it
    comes on a later page and is removed again there. What is left after the last page isn't
    listed at all.
    """
    for node in page:
        work.unseen.pop(node["id"], None)
    last = max(
        (at for node in page if (at := parse_datetime(node["updatedAt"])) is not None),
        default=work.through,
    )
    end = row.started_at - _SETTLED if is_last else last
    ours = Order.objects.visible().filter(store=row.store, shop_updated_at__lte=end)
    # On the first page, include changes at exactly the time where the search begins.
    first = not row.progress and work.through == row.since
    since = {"shop_updated_at__gte" if first else "shop_updated_at__gt": work.through}
    listed = [node["id"] for node in page]
    found = ours.filter(**since).exclude(gid__in=listed)
    work.unseen |= dict(found.values_list("gid", "pk").iterator(chunk_size=2000))
    work.through = max(work.through, last)


def _markers_twice(store: Store) -> int:
    """Count our actions whose marker is on several refunds of money: money was sent twice."""
    refunds = OrderRefund.objects.filter(
        order__store=store, note__contains=MARKER_BEGINS, amount__gt=0
    )
    marks = Counter(
        note.rsplit(MARKER_BEGINS, 1)[1].split("]", 1)[0]
        for note in refunds.values_list("note", flat=True).iterator()
    )
    twice = [mark for mark, count in marks.items() if count > 1]
    return OrderAction.objects.filter(order__store=store, marker__in=twice).count()


def unread(store: Store) -> int:
    """Return how many of a store's orders are dirty."""
    return Order.objects.dirty().filter(store=store).count()
