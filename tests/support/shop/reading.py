"""Query a practice shop directly, without HTTP, for tests that read hundreds of orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orders.snapshot import OrderSnapshot
from practice_store.graphql.execution import execute
from practice_store.state import (
    Fulfillment,
    FulfillmentLine,
    LineItem,
    Order,
    Refund,
    RefundLine,
    Tracking,
    Transaction,
)
from practice_store.store import Store
from shopify_sync.api import documents
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
)
from shopify_sync.reading import orders

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class DirectClient:
    """What AdminClient is to `shopify_sync.reading.complete_order`. Remembers what was asked, and its cost."""

    def __init__(self) -> None:
        self.store = Store(["demo.myshopify.com"])
        self.shop = self.store.world.shops["demo.myshopify.com"]
        self.extras = {"disputes": True}
        self.scopes: frozenset[str] = frozenset()
        self.asked: list[str] = []
        self.costs: list[int] = []
        self.kept_alive = 0

    def keep_alive(self) -> None:
        self.kept_alive += 1

    def read(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(name)
        context = self.store.context(self.shop)
        context.scopes = self.scopes
        answer = execute(context, documents.load(name), variables, name)
        for error in answer.get("errors") or ():
            code = (error.get("extensions") or {}).get("code")
            raise NeedsAdmin(error["message"]) if code == "ACCESS_DENIED" else Refused(str(error))
        self.costs.append(answer["extensions"]["cost"]["requestedQueryCost"])
        found: dict[str, Any] = answer["data"]
        return found

    def snapshot(self, order: Order) -> OrderSnapshot:
        """As ingest reads it."""
        self.asked.clear()
        self.costs.clear()
        found = orders.read_snapshot(self, order.id)  # type: ignore[arg-type]
        assert found is not None
        return found

    def place(self, *prices: str) -> Order:
        """A paid order of one line a price, straight into the books."""
        shop = self.shop
        order = Order(
            number_id=shop.new_id(),
            number=1,
            name="#1001",
            created_at=AT,
            processed_at=AT,
            updated_at=AT,
            currency="EUR",
            presentment_currency="EUR",
            lines=[
                LineItem(
                    number_id=shop.new_id(),
                    title=f"Item {n}",
                    quantity=1,
                    unit_price=Decimal(price),
                )
                for n, price in enumerate(prices)
            ],
        )
        shop.orders[order.number_id] = order
        self.pay(order, str(sum(Decimal(price) for price in prices)))
        return order

    def pay(self, order: Order, amount: str, **more: Any) -> Transaction:
        paid = Transaction(
            number_id=self.shop.new_id(),
            kind="SALE",
            status="SUCCESS",
            gateway="cards",
            amount=Decimal(amount),
            created_at=AT,
            processed_at=AT,
            **more,
        )
        order.transactions.append(paid)
        return paid

    def ship(
        self, order: Order, units: int, *, delivered: bool = True, trackings: int = 1
    ) -> Fulfillment:
        """A parcel with so many units of the first line."""
        shop, place = self.shop, len(order.fulfillments) + 1
        parcel = Fulfillment(
            number_id=shop.new_id(),
            order_number=order.number_id,
            name=f"{order.name}-F{place}",
            created_at=AT,
            updated_at=AT,
            display_status="DELIVERED" if delivered else "IN_TRANSIT",
            delivered_at=AT + timedelta(days=2) if delivered else None,
            tracking=[Tracking(number=f"BOX{place}-{n}", company="DHL") for n in range(trackings)],
            lines=[
                FulfillmentLine(
                    number_id=shop.new_id(), quantity=units, line_number=order.lines[0].number_id
                )
            ],
        )
        order.fulfillments.append(parcel)
        return parcel

    def give_back(self, order: Order, amount: str, *, lines: int = 0) -> Refund:
        """A refund of the first payment, with so many entries of the first line."""
        shop, parent = self.shop, order.transactions[0]
        back = Transaction(
            number_id=shop.new_id(),
            kind="REFUND",
            status="SUCCESS",
            gateway=parent.gateway,
            amount=Decimal(amount),
            created_at=AT,
            processed_at=AT,
            parent_number=parent.number_id,
        )
        order.transactions.append(back)
        made = Refund(
            number_id=shop.new_id(),
            order_number=order.number_id,
            created_at=AT,
            processed_at=AT,
            transactions=[back.number_id],
            lines=[
                RefundLine(
                    number_id=shop.new_id(),
                    line_number=order.lines[0].number_id,
                    quantity=1,
                    restock_type="NO_RESTOCK",
                    subtotal=Decimal(0),
                    tax=Decimal(0),
                )
                for _ in range(lines)
            ],
        )
        order.refunds.append(made)
        return made
