"""Fields of parcels and of the work to ship them."""

from __future__ import annotations

from decimal import Decimal

from practice_store.derived import order_sums
from practice_store.graphql.resolvers.base import Part, connection, in_any_order
from practice_store.graphql.resolvers.objects.fields import (
    add_fields,
    add_sums,
    cut,
    page_of,
    parts,
)
from practice_store.graphql.resolvers.objects.line_items import line_item_of
from practice_store.graphql.resolvers.objects.locations import location
from practice_store.state import FulfillmentLine, gid

add_fields(
    "Fulfillment",
    {
        "order": lambda p, c, a: p.order,
        "trackingInfo": lambda p, c, a: cut(
            in_any_order(c, p.row.tracking), a.get("first") or None
        ),
        "fulfillmentLineItems": page_of(lambda p: p.row.lines),
        "events": page_of(lambda p: sorted(p.row.events, key=lambda e: e.happened_at)),
        "totalQuantity": lambda p, c, a: sum(line.quantity for line in p.row.lines),
        "requiresShipping": lambda p, c, a: True,
        "service": lambda p, c, a: {
            "id": "gid://shopify/FulfillmentService/manual",
            "trackingSupport": False,
            "location": location(c),
            "handle": "manual",
            "serviceName": "Manual",
            "type": "MANUAL",
        },
        "fulfillmentOrders": lambda p, c, a: connection(
            parts(p.order, p.order.fulfillment_orders), a
        ),
        "location": lambda p, c, a: location(c, p.location_number),
        "originAddress": lambda p, c, a: None,
    },
)
add_sums(
    "FulfillmentLineItem",
    {
        "originalTotal": lambda p: p.order.line(p.line_number).unit_price * p.quantity,
        "discountedTotal": lambda p: _fulfilled_total(p),
    },
)
add_fields("FulfillmentLineItem", {"lineItem": lambda p, c, a: line_item_of(p)})


def _fulfilled_total(part: Part[FulfillmentLine]) -> Decimal:
    row = part.row
    line = part.order.line(row.line_number)
    return order_sums.share(part.order, order_sums.line_total(line), row.quantity, line.quantity)


add_fields(
    "FulfillmentOrder",
    {
        "order": lambda p, c, a: p.order,
        "lineItems": page_of(lambda p: p.row.lines),
        "deliveryMethod": lambda p, c, a: {
            "id": gid("DeliveryMethod", p.number_id),
            "methodType": p.method_type,
            "presentedName": "Standard",
        },
        "fulfillmentHolds": lambda p, c, a: (
            [
                {
                    "id": gid("FulfillmentHold", p.number_id),
                    "reason": "OTHER",
                    "displayReason": p.hold_reason,
                    "reasonNotes": p.hold_note,
                }
            ]
            if p.hold_reason
            else []
        ),
        "supportedActions": lambda p, c, a: [
            {"action": name}
            for name in ("CREATE_FULFILLMENT", "MOVE", "HOLD", "SPLIT")
            if p.status == "OPEN"
        ],
        "fulfillAt": lambda p, c, a: p.row.fulfill_at or p.created_at,
        "fulfillBy": lambda p, c, a: None,
        "assignedLocation": lambda p, c, a: {
            "name": p.row.location,
            "location": location(c, p.location_number),
        },
        "merchantRequests": lambda p, c, a: connection([], a),
        "fulfillments": lambda p, c, a: connection(parts(p.order, p.order.fulfillments), a),
    },
)
add_fields("FulfillmentOrderLineItem", {"lineItem": lambda p, c, a: line_item_of(p)})
