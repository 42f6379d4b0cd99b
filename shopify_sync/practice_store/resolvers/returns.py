"""Returns and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shopify_sync.practice_store import returning
from shopify_sync.practice_store.context import Context
from shopify_sync.practice_store.errors import UserError
from shopify_sync.practice_store.resolvers.base import (
    RESOLVERS,
    Args,
    connection,
    find_order,
    number,
    payload,
    resolves,
)
from shopify_sync.practice_store.resolvers.objects import Part, location, parts
from shopify_sync.practice_store.resolvers.queries import find_node
from shopify_sync.practice_store.state import Order, Return, ReturnLine, gid


def _create(status: str, argument: str) -> Callable[..., Any]:
    def resolve(_parent: Any, context: Context, args: Args) -> Any:
        data = args[argument]

        def work() -> Args:
            order = find_order(context, data["orderId"])
            if order is None:
                raise UserError("Order does not exist", [argument, "orderId"], "NOT_FOUND")
            items = [
                (
                    number(item["fulfillmentLineItemId"]),
                    item["quantity"],
                    item.get("returnReason") or "OTHER",
                    item.get("returnReasonNote") or item.get("customerNote") or "",
                )
                for item in data["returnLineItems"]
            ]
            back = returning.open_return(context, order, items, status=status)
            return {"return": Part(order, back)}

        return payload(work, {"return": None})

    return resolve


resolves("Mutation", "returnCreate")(_create("OPEN", "returnInput"))
resolves("Mutation", "returnRequest")(_create("REQUESTED", "input"))


def _must(context: Context, value: str, field: list[str]) -> tuple[Order, Return]:
    found = find_node(context, value)
    if found is None or not isinstance(found.row, Return):
        raise UserError("Return not found.", field, "NOT_FOUND")
    return found.order, found.row


def _step(name: str, change: Callable[[Context, Order, Return], None], *, by_input: bool) -> None:
    @resolves("Mutation", name)
    def resolve(_parent: Any, context: Context, args: Args) -> Any:
        value = args["input"]["id"] if by_input else args["id"]

        def work() -> Args:
            order, back = _must(context, value, ["input", "id"] if by_input else ["id"])
            change(context, order, back)
            return {"return": Part(order, back)}

        return payload(work, {"return": None})


_step("returnApproveRequest", returning.approve, by_input=True)
_step("returnCancel", returning.cancel, by_input=False)
_step("returnClose", returning.close, by_input=False)
_step("returnReopen", returning.reopen, by_input=False)


@resolves("Mutation", "returnDeclineRequest")
def _decline(_parent: Any, context: Context, args: Args) -> Any:
    data = args["input"]

    def work() -> Args:
        order, back = _must(context, data["id"], ["input", "id"])
        returning.decline(context, order, back, data["declineReason"], data.get("declineNote"))
        return {"return": Part(order, back)}

    return payload(work, {"return": None})


@resolves("Mutation", "returnProcess")
def _process(_parent: Any, context: Context, args: Args) -> Any:
    data = args["input"]

    def work() -> Args:
        order, back = _must(context, data["returnId"], ["input", "returnId"])
        quantities = {number(i["id"]): i["quantity"] for i in data.get("returnLineItems") or ()}
        returning.process(context, order, back, quantities)
        return {"return": Part(order, back)}

    return payload(work, {"return": None})


@resolves("Mutation", "reverseFulfillmentOrderDispose")
def _dispose(_parent: Any, context: Context, args: Args) -> Any:
    def work() -> Args:
        booked: dict[int, Part] = {}
        for index, item in enumerate(args["dispositionInputs"]):
            line_number = number(item["reverseFulfillmentOrderLineItemId"])
            found = _reverse_line(context, line_number)
            if found is None:
                where = ["dispositionInputs", str(index), "reverseFulfillmentOrderLineItemId"]
                raise UserError(
                    "Reverse fulfillment order line item could not be found.", where, "NOT_FOUND"
                )
            order, line = found
            returning.receive(context, order, line, item["quantity"], item["dispositionType"])
            booked[line.number_id] = _reverse_line_part(order, line)
        return {"reverseFulfillmentOrderLineItems": list(booked.values())}

    return payload(work, {"reverseFulfillmentOrderLineItems": None})


def _reverse_line(context: Context, line_number: int) -> tuple[Order, ReturnLine] | None:
    """A reverse line carries its return line's number."""
    for order in context.shop.orders.values():
        for back in order.returns:
            for line in back.lines:
                if line.number_id == line_number:
                    return order, line
    return None


def _reverse_line_part(order: Order, line: ReturnLine) -> Part:
    part = Part(order, line)
    part.typename = "ReverseFulfillmentOrderLineItem"
    return part


def _reverse_order(order: Order, back: Return) -> Part:
    part = Part(order, back)
    part.typename, part.number_id = "ReverseFulfillmentOrder", back.reverse_order_number or 0
    return part


RESOLVERS.setdefault("Return", {}).update(
    {
        "order": lambda p, c, a: p.order,
        "totalQuantity": lambda p, c, a: sum(line.quantity for line in p.lines),
        "returnLineItems": lambda p, c, a: connection(parts(p.order, p.row.lines), a),
        "reverseFulfillmentOrders": lambda p, c, a: connection(
            [_reverse_order(p.order, p.row)] if p.reverse_order_number else [], a
        ),
        "requestApprovedAt": lambda p, c, a: p.approved_at,
        "decline": lambda p, c, a: (
            {"reason": p.decline_reason, "note": p.decline_note} if p.decline_reason else None
        ),
        "refunds": lambda p, c, a: connection(
            parts(p.order, [r for r in p.order.refunds if r.return_number == p.number_id]), a
        ),
        "exchangeLineItems": lambda p, c, a: connection(parts(p.order, p.row.exchange_lines), a),
    }
)
RESOLVERS["ExchangeLineItem"] = {
    "lineItems": lambda p, c, a: [
        Part(p.order, line) for line in p.order.lines if line.number_id == p.added_line
    ],
    "processedQuantity": lambda p, c, a: p.quantity if p.added_line else 0,
    "processableQuantity": lambda p, c, a: 0 if p.added_line else p.quantity,
    "unprocessedQuantity": lambda p, c, a: 0 if p.added_line else p.quantity,
}
RESOLVERS["ReturnLineItem"] = {
    "returnReason": lambda p, c, a: p.reason,
    "returnReasonNote": lambda p, c, a: p.reason_note,
    "processedQuantity": lambda p, c, a: p.processed,
    "unprocessedQuantity": lambda p, c, a: p.quantity - p.processed,
    "processableQuantity": lambda p, c, a: p.quantity - p.processed,
    "refundedQuantity": lambda p, c, a: p.refunded,
    "refundableQuantity": lambda p, c, a: p.quantity - p.refunded,
    "fulfillmentLineItem": lambda p, c, a: _fulfillment_line(p),
}


def _fulfillment_line(part: Part) -> Part | None:
    for line in returning.shipped_lines(part.order):
        if line.number_id == part.row.fulfillment_line_number:
            return Part(part.order, line)
    return None


RESOLVERS["ReverseFulfillmentOrder"] = {
    "id": lambda p, c, a: gid("ReverseFulfillmentOrder", p.number_id),
    "order": lambda p, c, a: p.order,
    "status": lambda p, c, a: "CLOSED" if p.row.status == "CLOSED" else "OPEN",
    "lineItems": lambda p, c, a: connection(parts(p.order, p.row.lines), a),
    "reverseDeliveries": lambda p, c, a: connection([], a),
}
RESOLVERS["ReverseFulfillmentOrderLineItem"] = {
    "id": lambda p, c, a: gid("ReverseFulfillmentOrderLineItem", p.number_id),
    "totalQuantity": lambda p, c, a: p.quantity,
    "remainingQuantity": lambda p, c, a: p.quantity - sum(d.quantity for d in p.row.dispositions),
    "dispositions": lambda p, c, a: parts(p.order, p.row.dispositions),
    "fulfillmentLineItem": lambda p, c, a: _fulfillment_line(p),
}
RESOLVERS["ReverseFulfillmentOrderDisposition"] = {
    "location": lambda p, c, a: location(c) if p.type != "MISSING" else None,
}
