"""Map returns, including which of their units the shop has received."""

from __future__ import annotations

from collections import defaultdict

from orders.snapshot import Return, ReturnLine, ReverseLine
from shopify_sync.mapping.goods import exchange
from shopify_sync.mapping.values import Json, dig, each, nodes, to_count, to_text, to_time


def a_return(data: Json) -> Return:
    """Map a Return.

    Units count as received if they have a disposition other than MISSING or were processed. The
    return's status alone proves nothing.
    """
    reverse = [
        line
        for found in nodes(data.get("reverseFulfillmentOrders"))
        for line in nodes(found.get("lineItems"))
    ]
    lines = _lines(nodes(data.get("returnLineItems")), reverse)
    times = [to_time(booked.get("createdAt")) for line in reverse for booked in _booked(line)]
    disposed = sum(_units(line, but="MISSING") for line in reverse)
    processed = sum(line.processed for line in lines)
    return Return(
        gid=data["id"],
        name=to_text(data.get("name")),
        status=to_text(data.get("status")),
        total_quantity=to_count(data.get("totalQuantity")),
        received_quantity=max(disposed, processed),
        lines=tuple(line for line in lines if line.line_gid),
        reverse_lines=each(reverse, _reverse_line),
        created_at=to_time(data.get("createdAt")),
        received_at=max((at for at in times if at), default=None),
        exchanges=each(data.get("exchangeLineItems"), exchange),
    )


def _lines(items: list[Json], reverse: list[Json]) -> list[ReturnLine]:
    """Map the return's lines, with the units received for each.

    Lines of the same fulfillment line item share its dispositions, first come, first served,
    because Shopify doesn't say which return line a disposition belongs to.
    """
    left: dict[tuple[str, str], int] = defaultdict(int)
    for line in reverse:
        part = to_text(dig(line, "fulfillmentLineItem", "id"))
        for kind, units in _by_kind(line).items():
            left[part, kind] += units

    def take(part: str, kind: str, most: int) -> int:
        taken = min(left[part, kind], most)
        left[part, kind] -= taken
        return taken

    found = []
    for item in items:
        part = to_text(dig(item, "fulfillmentLineItem", "id"))
        quantity = to_count(item.get("quantity"))
        restocked = take(part, "RESTOCKED", quantity)
        missing = take(part, "MISSING", quantity - restocked)
        kept = take(part, "", quantity - restocked - missing)
        found.append(
            ReturnLine(
                gid=to_text(item.get("id")),
                part_gid=part,
                line_gid=to_text(dig(item, "fulfillmentLineItem", "lineItem", "id")),
                quantity=quantity,
                processed=to_count(item.get("processedQuantity")),
                refunded=to_count(item.get("refundedQuantity")),
                received=restocked + kept,
                restocked=restocked,
                missing=missing,
                reason=to_text(dig(item, "returnReasonDefinition", "name")),
                note=to_text(item.get("returnReasonNote")) or to_text(item.get("customerNote")),
            )
        )
    return found


def _reverse_line(data: Json) -> ReverseLine:
    return ReverseLine(
        gid=to_text(data.get("id")),
        part_gid=to_text(dig(data, "fulfillmentLineItem", "id")),
        quantity=to_count(data.get("totalQuantity")),
        booked=_units(data),
    )


def _booked(line: Json) -> list[Json]:
    return [booked for booked in line.get("dispositions") or () if booked]


def _units(line: Json, *, but: str = "") -> int:
    return sum(
        to_count(booked.get("quantity")) for booked in _booked(line) if booked.get("type") != but
    )


def _by_kind(line: Json) -> dict[str, int]:
    """Count a line's units as RESTOCKED, MISSING or "", which is received in any other way."""
    found: dict[str, int] = defaultdict(int)
    for booked in _booked(line):
        kind = booked.get("type")
        found[kind if kind in {"RESTOCKED", "MISSING"} else ""] += to_count(booked.get("quantity"))
    return found
