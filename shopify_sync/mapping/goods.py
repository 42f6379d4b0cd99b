"""Map line items, fulfillment orders, fulfillments, exchanges and edits."""

from __future__ import annotations

from orders.snapshot import (
    Duty,
    ExchangeItem,
    Fulfillment,
    FulfillmentEvent,
    FulfillmentOrder,
    LineItem,
    LineQuantity,
    Tracking,
)
from shopify_sync.mapping.values import (
    Json,
    attributes,
    dig,
    each,
    must_time,
    nodes,
    to_bag,
    to_count,
    to_text,
    to_time,
    to_url,
)


def line_item(data: Json, currency: str) -> LineItem:
    """Map a LineItem; prices are in the customer's currency, `currency` if one is missing."""
    return LineItem(
        gid=data["id"],
        title=to_text(data.get("title")) or to_text(data.get("name")) or "–",
        variant_title=to_text(data.get("variantTitle")),
        sku=to_text(data.get("sku")),
        quantity=to_count(data.get("quantity")),
        current_quantity=to_count(data.get("currentQuantity")),
        refundable_quantity=to_count(data.get("refundableQuantity")),
        unfulfilled_quantity=to_count(data.get("unfulfilledQuantity")),
        requires_shipping=bool(data.get("requiresShipping")),
        is_gift_card=bool(data.get("isGiftCard")),
        restockable=bool(data.get("restockable")),
        image_url=to_url(dig(data, "image", "url")),
        unit_price=to_bag(data.get("originalUnitPriceSet"), currency, currency).presentment,
        total=to_bag(data.get("discountedTotalSet"), currency, currency).presentment,
        duties=each(
            data.get("duties"),
            lambda duty: Duty(
                gid=to_text(duty.get("id")),
                amount=to_bag(duty.get("price"), currency, currency).presentment,
            ),
        ),
        attributes=attributes(data.get("customAttributes")),
    )


def line_quantity(data: Json, quantity: str = "quantity") -> LineQuantity:
    """Map an object with a `lineItem` and a count in the field named by `quantity`."""
    return LineQuantity(
        line_gid=to_text(dig(data, "lineItem", "id")), quantity=to_count(data.get(quantity))
    )


def fulfillment_order(data: Json) -> FulfillmentOrder:
    """Map a FulfillmentOrder; its lines count what is still to be sent."""
    return FulfillmentOrder(
        gid=data["id"],
        status=to_text(data.get("status")),
        request_status=to_text(data.get("requestStatus")),
        fulfill_at=to_time(data.get("fulfillAt")),
        method_type=to_text(dig(data, "deliveryMethod", "methodType")),
        hold_reasons=_texts(data.get("fulfillmentHolds"), "displayReason"),
        hold_notes=_texts(data.get("fulfillmentHolds"), "reasonNotes"),
        location=to_text(dig(data, "assignedLocation", "name")),
        lines=each(data.get("lineItems"), lambda line: line_quantity(line, "remainingQuantity")),
    )


def _texts(rows: object, name: str) -> tuple[str, ...]:
    return tuple(text for row in nodes(rows) if (text := to_text(row.get(name)).strip()))


def fulfillment(data: Json) -> Fulfillment:
    """Map a Fulfillment with its tracking, lines and the events that were requested."""
    return Fulfillment(
        gid=data["id"],
        name=to_text(data.get("name")),
        status=to_text(data.get("status")),
        display_status=data.get("displayStatus"),
        created_at=must_time(data["createdAt"]),
        updated_at=to_time(data.get("updatedAt")),
        in_transit_at=to_time(data.get("inTransitAt")),
        estimated_delivery_at=to_time(data.get("estimatedDeliveryAt")),
        delivered_at=to_time(data.get("deliveredAt")),
        requires_shipping=data.get("requiresShipping") is not False,
        tracking=each(data.get("trackingInfo"), _tracking),
        lines=each(data.get("fulfillmentLineItems"), line_quantity),
        events=each(data.get("events"), _fulfillment_event),
    )


def _tracking(data: Json) -> Tracking:
    return Tracking(
        number=to_text(data.get("number")),
        company=to_text(data.get("company")),
        url=to_url(data.get("url")),
    )


def _fulfillment_event(data: Json) -> FulfillmentEvent:
    place = ", ".join(
        part for part in (to_text(data.get("city")), to_text(data.get("country"))) if part
    )
    return FulfillmentEvent(
        gid=data["id"],
        status=to_text(data.get("status")),
        happened_at=must_time(data["happenedAt"]),
        estimated_delivery_at=to_time(data.get("estimatedDeliveryAt")),
        message=to_text(data.get("message")),
        place=place,
    )


def exchange(data: Json) -> ExchangeItem:
    """Map an ExchangeLineItem of a return."""
    titles = (to_text(data.get("title")), to_text(data.get("variantTitle")))
    return ExchangeItem(
        title=" · ".join(title for title in titles if title) or "–",
        quantity=to_count(data.get("quantity")),
        line_gids=each(data.get("lineItems"), lambda line: to_text(line.get("id"))),
    )


def added_lines(agreements: list[Json]) -> tuple[LineQuantity, ...]:
    """Return the units that edits or exchanges added to the order, from OrderEdits."""
    found: dict[str, int] = {}
    for agreement in agreements:
        if agreement.get("reason") not in {"ORDER_EDIT", "RETURN"}:
            continue
        for sale in nodes(agreement.get("sales")):
            gid, quantity = to_text(dig(sale, "lineItem", "id")), to_count(sale.get("quantity"))
            if gid and quantity > 0:
                found[gid] = found.get(gid, 0) + quantity
    return tuple(LineQuantity(line_gid=gid, quantity=count) for gid, count in found.items())
