"""SalesAgreements: an order as it was placed, and each change to it."""

from __future__ import annotations

from datetime import datetime

from core.json_types import JsonObject
from practice_store.changes import editing
from practice_store.graphql.resolvers.base import (
    Part,
    connection,
)
from practice_store.state import (
    Order,
    gid,
)


def agreements(order: Order) -> list[JsonObject]:
    """Return the order's SalesAgreements: the placed order, then each edit and exchange."""
    placed = {line.number_id: line.quantity for line in order.lines if not line.added}
    return [
        _agreement(order, "OrderAgreement", "ORDER", order.number_id, order.created_at, placed),
        *(
            _agreement(
                order,
                "OrderEditAgreement" if e.reason == editing.ORDER_EDIT else "ReturnAgreement",
                e.reason,
                e.number_id,
                e.happened_at,
                e.quantities,
            )
            for e in order.edits
        ),
    ]


def _agreement(
    order: Order, kind: str, reason: str, number: int, at: datetime, quantities: dict[int, int]
) -> JsonObject:
    sales = [
        {
            "__typename": "ProductSale",
            "id": gid("ProductSale", line * 10 + 1),
            "actionType": "ORDER" if units > 0 else "RETURN",
            "lineType": "PRODUCT",
            "quantity": units,
            "lineItem": Part(order, order.line(line)),
        }
        for line, units in quantities.items()
    ]
    return {
        "__typename": kind,
        "id": gid(kind, number),
        "reason": reason,
        "happenedAt": at,
        "sales": connection(sales, {"first": len(sales) or 1}),
    }
