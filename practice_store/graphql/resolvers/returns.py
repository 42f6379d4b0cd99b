"""Returns, and what comes back with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.json_types import JsonObject
from practice_store.changes import (
    processing,
    refunding,
    returning,
)
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    Args,
    Part,
    Resolver,
    connection,
    find_order,
    must_be,
    number,
    payload,
    resolves,
)
from practice_store.graphql.resolvers.objects.fields import parts
from practice_store.graphql.resolvers.objects.locations import location
from practice_store.graphql.resolvers.queries import find_node
from practice_store.state import (
    ZERO,
    FulfillmentLine,
    Order,
    Return,
    ReturnLine,
    gid,
)


def _create(status: str, argument: str) -> Resolver:
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
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


def _must_return(context: Context, value: str, field: list[str]) -> tuple[Order, Return]:
    found = find_node(context, value)
    if not isinstance(found, Part) or not isinstance(found.row, Return):
        raise UserError("Return not found.", field, "NOT_FOUND")
    return found.order, found.row


def _transition(
    name: str, change: Callable[[Context, Order, Return], None], *, by_input: bool
) -> None:
    @resolves("Mutation", name)
    def resolve(_parent: object, context: Context, args: Args) -> JsonObject:
        value = args["input"]["id"] if by_input else args["id"]

        def work() -> Args:
            order, back = _must_return(context, value, ["input", "id"] if by_input else ["id"])
            change(context, order, back)
            return {"return": Part(order, back)}

        return payload(work, {"return": None})


_transition("returnApproveRequest", returning.approve, by_input=True)
_transition("returnCancel", returning.cancel, by_input=False)
_transition("returnClose", returning.close, by_input=False)
_transition("returnReopen", returning.reopen, by_input=False)


@resolves("Mutation", "returnDeclineRequest")
def _decline(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order, back = _must_return(context, data["id"], ["input", "id"])
        returning.decline(context, order, back, data["declineReason"], data.get("declineNote"))
        return {"return": Part(order, back)}

    return payload(work, {"return": None})


@resolves("Mutation", "returnProcess")
def _process(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["input"]

    def work() -> Args:
        order, back = _must_return(context, data["returnId"], ["input", "returnId"])
        processing.process(context, order, back, data)
        return {"return": Part(order, back)}

    return payload(work, {"return": None})


@resolves("Mutation", "reverseFulfillmentOrderDispose")
def _dispose(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        for entry in args["dispositionInputs"]:
            must_be("ReverseFulfillmentOrderLineItem", entry["reverseFulfillmentOrderLineItemId"])
            if entry.get("locationId"):
                must_be("Location", entry["locationId"])
        done = returning.dispose(context, args["dispositionInputs"])
        lines = {line.number_id: reverse_line_part(order, line) for order, line in done}
        return {"reverseFulfillmentOrderLineItems": list(lines.values())}

    return payload(work, {"reverseFulfillmentOrderLineItems": None})


def reverse_line_part(order: Order, line: ReturnLine) -> Part[ReturnLine]:
    """Return a return line as a line of its reverse fulfillment order."""
    part = Part(order, line)
    part.typename = "ReverseFulfillmentOrderLineItem"
    return part


def reverse_order(order: Order, back: Return) -> Part[Return]:
    """Return a return as its reverse fulfillment order."""
    part = Part(order, back)
    part.typename, part.number_id = "ReverseFulfillmentOrder", back.reverse_order_number or 0
    return part


_REASONS: Final = {
    "COLOR": "Color",
    "DEFECTIVE": "Damaged or defective",
    "NOT_AS_DESCRIBED": "Not as described",
    "OTHER": "Other",
    "SIZE_TOO_LARGE": "Size was too large",
    "SIZE_TOO_SMALL": "Size was too small",
    "STYLE": "Style",
    "UNKNOWN": "Unknown",
    "UNWANTED": "Customer changed their mind",
    "WRONG_ITEM": "Received the wrong item",
}

RESOLVERS.setdefault("Return", {}).update(
    {
        "order": lambda p, c, a: p.order,
        "totalQuantity": lambda p, c, a: sum(line.quantity for line in p.lines),
        "returnLineItems": lambda p, c, a: connection(parts(p.order, p.row.lines), a),
        "reverseFulfillmentOrders": lambda p, c, a: connection(
            [reverse_order(p.order, p.row)] if p.reverse_order_number else [], a
        ),
        "requestApprovedAt": lambda p, c, a: p.approved_at,
        "decline": lambda p, c, a: (
            {"reason": p.decline_reason, "note": p.decline_note} if p.decline_reason else None
        ),
        "refunds": lambda p, c, a: connection(
            parts(p.order, [r for r in p.order.refunds if r.return_number == p.number_id]), a
        ),
        "exchangeLineItems": lambda p, c, a: connection(parts(p.order, p.row.exchange_lines), a),
        "returnShippingFees": lambda p, c, a: (
            [
                {
                    "id": gid("ReturnShippingFee", p.number_id),
                    "amountSet": order_sums.bag(p.order, p.shipping_fee),
                }
            ]
            if p.shipping_fee
            else []
        ),
        "suggestedFinancialOutcome": lambda p, c, a: _outcome(
            c,
            processing.outcome(
                p.order, p.row, a.get("returnLineItems") or [], a.get("refundShipping")
            ),
        ),
    }
)


def _outcome(context: Context, found: refunding.Suggestion) -> JsonObject:
    """Return a suggestion as a SuggestedReturnFinancialOutcome.

    Its names and shapes differ from those of suggestedRefund.
    """
    order = found.order
    plain = RESOLVERS["SuggestedRefund"]
    return {
        "discountedSubtotal": order_sums.bag(order, found.subtotal),
        "maximumRefundable": order_sums.bag(order, found.maximum),
        "totalTax": order_sums.bag(order, found.tax),
        "totalDuties": order_sums.bag(order, ZERO),
        "totalAdditionalFees": order_sums.bag(order, ZERO),
        "totalCartDiscountAmount": order_sums.bag(order, ZERO),
        "refundDuties": [],
        "shipping": plain["shipping"](found, context, {}),
        "financialTransfer": {
            "__typename": "RefundReturnOutcome",
            "amount": order_sums.bag(order, found.amount),
            "suggestedTransactions": plain["suggestedTransactions"](found, context, {}),
            "suggestedRefundMethods": [],
        },
    }


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
    "returnReasonDefinition": lambda p, c, a: _reason(p.reason),
    "restockingFee": lambda p, c, a: (
        {
            "id": gid("RestockingFee", p.number_id),
            "percentage": float(p.restocking_fee_percent),
            "amountSet": order_sums.bag(
                p.order, processing.restocking_fee(p.order, p.row, p.quantity)
            ),
        }
        if p.restocking_fee_percent
        else None
    ),
    "withCodeDiscountedTotalPriceSet": lambda p, c, a: order_sums.bag(
        p.order, refunding.line_share(p.order, p.order.line(p.line_number), p.quantity)[0]
    ),
}


def _reason(reason: str) -> JsonObject:
    """Return a ReturnReasonDefinition; a shop may have reasons besides Shopify's own."""
    place = 1 + [*_REASONS].index(reason) if reason in _REASONS else 99
    return {
        "id": gid("ReturnReasonDefinition", place),
        "handle": reason.lower().replace("_", "-"),
        "name": _REASONS.get(reason, reason.replace("_", " ").capitalize()),
        "deleted": False,
    }


def _fulfillment_line(part: Part[ReturnLine]) -> Part[FulfillmentLine] | None:
    for line in returning.shipped_lines(part.order):
        if line.number_id == part.row.fulfillment_line_number:
            return Part(part.order, line)
    return None


RESOLVERS["ReverseFulfillmentOrder"] = {
    "id": lambda p, c, a: gid("ReverseFulfillmentOrder", p.number_id),
    "order": lambda p, c, a: p.order,
    "status": lambda p, c, a: "CLOSED" if p.row.status == "CLOSED" else "OPEN",
    "lineItems": lambda p, c, a: connection(parts(p.order, p.row.lines), a),
    "reverseDeliveries": lambda p, c, a: connection(parts(p.order, p.row.deliveries), a),
}
RESOLVERS["ReverseFulfillmentOrderLineItem"] = {
    "id": lambda p, c, a: gid("ReverseFulfillmentOrderLineItem", p.number_id),
    "totalQuantity": lambda p, c, a: p.quantity,
    "remainingQuantity": lambda p, c, a: p.quantity - p.row.disposed,
    "dispositions": lambda p, c, a: parts(p.order, p.row.dispositions),
    "fulfillmentLineItem": lambda p, c, a: _fulfillment_line(p),
}
RESOLVERS["ReverseFulfillmentOrderDisposition"] = {
    "location": lambda p, c, a: location(c, p.location_number) if p.location_number else None,
}
