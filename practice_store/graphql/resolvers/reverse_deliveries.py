"""Reverse deliveries: parcels on their way back."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.changes import sending_back
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    Args,
    Part,
    connection,
    must_be,
    payload,
    resolves,
)
from practice_store.graphql.resolvers.objects.fields import parts
from practice_store.graphql.resolvers.queries import find_node
from practice_store.graphql.resolvers.returns import (
    reverse_line_part,
    reverse_order,
)
from practice_store.state import Return, ReturnLine, ReverseDelivery, ReverseDeliveryLine


@resolves("Mutation", "reverseDeliveryCreateWithShipping")
def _create(_parent: object, context: Context, args: Args) -> JsonObject:
    must_be("ReverseFulfillmentOrder", args["reverseFulfillmentOrderId"])
    for entry in args["reverseDeliveryLineItems"]:
        must_be("ReverseFulfillmentOrderLineItem", entry["reverseFulfillmentOrderLineItemId"])

    def work() -> Args:
        found = find_node(context, args["reverseFulfillmentOrderId"])
        if not isinstance(found, Part) or not isinstance(found.row, Return):
            message = "Reverse fulfillment order was not found."
            raise UserError(message, ["reverseFulfillmentOrderId"], "NOT_FOUND")
        made = sending_back.create(
            context,
            found.order,
            found.row,
            args["reverseDeliveryLineItems"],
            args.get("trackingInput"),
            args.get("labelInput"),
        )
        return {"reverseDelivery": Part(found.order, made)}

    return payload(work, {"reverseDelivery": None})


@resolves("Mutation", "reverseDeliveryShippingUpdate")
def _update(_parent: object, context: Context, args: Args) -> JsonObject:
    must_be("ReverseDelivery", args["reverseDeliveryId"])

    def work() -> Args:
        found = find_node(context, args["reverseDeliveryId"])
        if not isinstance(found, Part) or not isinstance(found.row, ReverseDelivery):
            message = "Reverse delivery was not found."
            raise UserError(message, ["reverseDeliveryId"], "NOT_FOUND")
        sending_back.set_tracking(found.row, args.get("trackingInput"))
        if label := args.get("labelInput"):
            found.row.label_url = label.get("fileUrl")
        return {"reverseDelivery": found}

    return payload(work, {"reverseDelivery": None})


def _reverse_order(part: Part[ReverseDelivery]) -> Part[Return]:
    return reverse_order(part.order, sending_back.holding(part.order, part.row))


def _line(part: Part[ReverseDeliveryLine]) -> Part[ReturnLine]:
    items = [item for back in part.order.returns for item in back.lines]
    return reverse_line_part(
        part.order, next(item for item in items if item.number_id == part.row.item_number)
    )


def _deliverable(row: ReverseDelivery) -> JsonObject:
    tracking = {"number": row.tracking_number, "url": row.tracking_url, "carrierName": row.carrier}
    return {
        "__typename": "ReverseDeliveryShippingDeliverable",
        "tracking": tracking if row.tracking_number or row.tracking_url else None,
        "label": {
            "publicFileUrl": row.label_url,
            "createdAt": row.created_at,
            "updatedAt": row.created_at,
        }
        if row.label_url
        else None,
    }


RESOLVERS["ReverseDelivery"] = {
    "reverseFulfillmentOrder": lambda p, c, a: _reverse_order(p),
    "reverseDeliveryLineItems": lambda p, c, a: connection(parts(p.order, p.row.lines), a),
    "deliverable": lambda p, c, a: _deliverable(p.row),
}
RESOLVERS["ReverseDeliveryLineItem"] = {
    "reverseFulfillmentOrderLineItem": lambda p, c, a: _line(p),
    "dispositions": lambda p, c, a: parts(p.order, _line(p).row.dispositions),
}
