"""The nightly comparison: every order Shopify lists against every order we hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders.models import Order, OrderAction, OrderRefund, Store
from orders.money import Money
from orders.services import mark_dirty
from shopify_sync.backfill import read_since
from shopify_sync.connections import client_for
from shopify_sync.models import Comparison
from shopify_sync.reconcile import pages

logger = logging.getLogger(__name__)

# A change younger than this may be on its way by webhook.
_SETTLED: Final = timedelta(minutes=5)
_DOCUMENT: Final = "OrdersCompared"


def compare(store: Store) -> Comparison:
    """Compare now, and mark dirty what differs, so that it is read. Raises ShopifyError: the
    row then stays without an end."""
    started = timezone.now()
    row = Comparison.objects.create(store=store, since=read_since(store, started))
    tally = _Tally()
    listed: set[str] = set()
    for page in pages(client_for(store, is_background=True), _DOCUMENT, since=row.since):
        listed.update(node["id"] for node in page)
        _compare_page(store, row, page, tally)
    held = Order.objects.visible().filter(
        store=store, shop_updated_at__gte=row.since, shop_updated_at__lt=started - _SETTLED
    )
    for order in held.only("pk", "gid", "legacy_id").iterator(chunk_size=2000):
        if order.gid not in listed:
            row.vanished += 1
            mark_dirty(store=store, gid=order.gid, legacy_id=order.legacy_id, now=started)
    row.orders_at_shop = len(listed)
    row.refunds = tally.as_json()
    row.markers_twice = _markers_twice(store)
    row.finished_at = timezone.now()
    row.save()
    if not row.agrees:
        logger.error("%s and our copy differ: comparison %s", store.domain, row.pk)
    return row


class _Tally:
    """Sums of refunds by currency: at Shopify, and here."""

    def __init__(self) -> None:
        self.sums: dict[str, list[Decimal]] = {}

    def add(self, side: int, money: Money) -> None:
        if money.amount:
            self.sums.setdefault(money.currency, [Decimal(0), Decimal(0)])[side] += money.amount

    def as_json(self) -> dict[str, list[str]]:
        return {
            currency: [format(amount.normalize(), "f") for amount in both]
            for currency, both in sorted(self.sums.items())
        }


def _compare_page(
    store: Store, row: Comparison, page: Sequence[dict[str, Any]], tally: _Tally
) -> None:
    settled = timezone.now() - _SETTLED
    rows = Order.objects.filter(store=store, gid__in=[node["id"] for node in page])
    held = {order.gid: order for order in rows.defer("document")}
    for node in page:
        order = held.get(node["id"])
        updated = parse_datetime(node["updatedAt"])
        is_here = order is not None and order.shop_updated_at is not None
        if updated is not None and updated > settled:
            continue
        theirs = (node.get("totalRefundedSet") or {}).get("presentmentMoney")
        if theirs:
            tally.add(0, Money.from_wire(theirs["amount"], theirs["currencyCode"]))
        if order is not None and is_here:
            tally.add(1, Money(order.refunded, order.currency))
        if order is None or not is_here:
            row.missing += 1
        elif updated is not None and order.shop_updated_at != updated:
            row.differing += 1
        else:
            continue
        mark_dirty(
            store=store, gid=node["id"], legacy_id=int(node["legacyResourceId"]),
            now=timezone.now(),
        )  # fmt: skip


def _markers_twice(store: Store) -> int:
    """Actions whose mark stands on two refunds of money: each would be money sent twice."""
    refunds = OrderRefund.objects.filter(order__store=store, note__contains="[ax:", amount__gt=0)
    marks = Counter(
        note.rsplit("[ax:", 1)[1].split("]", 1)[0]
        for note in refunds.values_list("note", flat=True).iterator()
    )
    twice = [mark for mark, count in marks.items() if count > 1]
    return OrderAction.objects.filter(order__store=store, marker__in=twice).count()


def unread(store: Store) -> int:
    """Orders of a store that wait for a read."""
    return Order.objects.filter(store=store, dirty_seq__gt=F("clean_seq")).count()
