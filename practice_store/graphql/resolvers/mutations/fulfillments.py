"""Mutations of fulfillments, their tracking and carriers' reports."""

from __future__ import annotations

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import UserError
from practice_store.graphql.resolvers.base import Args, Part, number, payload, resolves
from practice_store.graphql.resolvers.queries import find_node
from practice_store.sales import shipping
from practice_store.state import Fulfillment, FulfillmentOrder, Order


def _fulfillment_create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["fulfillment"]

    def work() -> Args:
        tracking = shipping.tracking_of(data.get("trackingInfo"))
        parcel = None
        for group in data["lineItemsByFulfillmentOrder"]:
            order, row = _work_order(context, group["fulfillmentOrderId"])
            chosen = group.get("fulfillmentOrderLineItems")
            quantities = {number(i["id"]): i["quantity"] for i in chosen} if chosen else None
            made = shipping.ship(context, order, row, quantities, tracking)
            parcel = Part(order, made)
        return {"fulfillment": parcel}

    return payload(work, {"fulfillment": None})


resolves("Mutation", "fulfillmentCreate", "fulfillmentCreateV2")(_fulfillment_create)


def _work_order(context: Context, value: str) -> tuple[Order, FulfillmentOrder]:
    found = find_node(context, value)
    if not isinstance(found, Part) or not isinstance(found.row, FulfillmentOrder):
        raise UserError("Fulfillment order does not exist.", ["fulfillment"])
    return found.order, found.row


def _parcel(context: Context, value: str, field: str) -> tuple[Order, Fulfillment]:
    found = find_node(context, value)
    if not isinstance(found, Part) or not isinstance(found.row, Fulfillment):
        raise UserError("Fulfillment not found.", [field])
    return found.order, found.row


@resolves("Mutation", "fulfillmentCancel")
def _fulfillment_cancel(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order, parcel = _parcel(context, args["id"], "id")
        shipping.cancel(context, order, parcel)
        return {"fulfillment": Part(order, parcel)}

    return payload(work, {"fulfillment": None})


def _tracking_update(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        order, parcel = _parcel(context, args["fulfillmentId"], "fulfillmentId")
        data = args.get("trackingInfoInput") or args.get("trackingInfoUpdateInput")
        shipping.set_tracking(context, order, parcel, shipping.tracking_of(data))
        return {"fulfillment": Part(order, parcel)}

    return payload(work, {"fulfillment": None})


resolves("Mutation", "fulfillmentTrackingInfoUpdate", "fulfillmentTrackingInfoUpdateV2")(
    _tracking_update
)


@resolves("Mutation", "fulfillmentEventCreate")
def _event_create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["fulfillmentEvent"]

    def work() -> Args:
        order, parcel = _parcel(context, data["fulfillmentId"], "fulfillmentEvent")
        names = (
            "message",
            "city",
            "province",
            "country",
            "zip",
            "address1",
            "latitude",
            "longitude",
        )
        event = shipping.add_event(
            context,
            order,
            parcel,
            status=data["status"],
            happened_at=data.get("happenedAt"),
            estimated_delivery_at=data.get("estimatedDeliveryAt"),
            **{name: data.get(name) for name in names},
        )
        return {"fulfillmentEvent": Part(order, event)}

    return payload(work, {"fulfillmentEvent": None})
