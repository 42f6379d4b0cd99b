"""Orders in the database without a shop, and a gateway whose answers the test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone

from orders.models import Order, Store
from orders.money import Money
from orders.services import mark_dirty, record_snapshot
from orders.shopify_port import (
    CancelReason,
    Place,
    SuggestedLine,
    SuggestedRefund,
    SuggestedTransaction,
)
from orders.snapshot import LineQuantity, OrderSnapshot


def stored(snapshot: OrderSnapshot, store: Store | None = None) -> Order:
    """The order as a read of Shopify that just ended leaves it."""
    store = (
        store
        or Store.objects.get_or_create(
            domain="demo.myshopify.com", defaults={"name": "Demo", "currency": "EUR"}
        )[0]
    )
    now = timezone.now()
    pk = mark_dirty(store=store, gid=snapshot.gid, legacy_id=snapshot.legacy_id, now=now)
    found = Order.objects.select_related("store").get(pk=pk)
    assert record_snapshot(
        order=found, snapshot=snapshot, seq=found.dirty_seq, read_started_at=now, now=now
    )
    return Order.objects.select_related("store").get(pk=pk)


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def suggested(gid: str = "payment-1", maximum: str = "20.00", **more: Any) -> SuggestedTransaction:
    return SuggestedTransaction(
        parent_gid=gid,
        gateway=more.pop("gateway", "cards"),
        label=more.pop("label", "Visa"),
        is_manual=more.pop("is_manual", False),
        amount=eur(maximum),
        maximum=eur(maximum),
    )


@dataclass
class FakeGateway:
    """Reads nothing: the order is as it is stored. Remembers what was asked."""

    transactions: tuple[SuggestedTransaction, ...] = (suggested(),)
    suggestion: str = "10.00"
    shipping_maximum: str = "5.00"
    reasons: tuple[CancelReason, ...] = (CancelReason("CUSTOMER", "Customer changed their mind"),)
    asked: list[tuple[Any, Any]] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)

    def refresh(self, order: Order) -> None:
        self.refreshed.append(order.pk)

    def may_process_returns(self, store: Store) -> bool:
        return True

    def cancel_reasons(self, store: Store) -> tuple[CancelReason, ...]:
        return self.reasons

    def suggest_refund(
        self,
        order: Order,
        *,
        lines: Sequence[LineQuantity] | None,
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        self.asked.append((lines, shipping))
        zero = eur("0")
        amount = eur(self.suggestion)
        return SuggestedRefund(
            amount=amount,
            maximum=amount,
            subtotal=amount,
            tax=zero,
            shipping=zero,
            shipping_maximum=eur(self.shipping_maximum),
            transactions=self.transactions,
            lines=tuple(
                SuggestedLine(
                    line_gid=line.line_gid,
                    quantity=line.quantity,
                    subtotal=amount,
                    tax=zero,
                    restock="RETURN",
                    place=Place("place-1", "Shelf") if with_places else None,
                )
                for line in lines or ()
            ),
        )
