"""How refunded items go back to stock, in Shopify's terms.

Shipped units come back (RETURN), unshipped ones never left (CANCEL), each to the location that
Shopify suggests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from orders.errors import ActionRefused, Refusal
from orders.shopify_port import (
    Place,
    SuggestedLine,
)
from orders.snapshot import LineItem, LineQuantity, OrderSnapshot

SHIPPED: Final = "RETURN"
UNSHIPPED: Final = "CANCEL"
NOT_RESTOCKED: Final = "NO_RESTOCK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restock:
    """Units of a line that go back to stock in the same way and to the same location.

    `kind` is Shopify's restock type; the location is empty for units that are not restocked.
    """

    line_gid: str
    quantity: int
    kind: str
    place_gid: str = ""
    place: str = ""


def restocks(
    order: OrderSnapshot, chosen: Sequence[LineQuantity], suggested: Sequence[SuggestedLine]
) -> tuple[Restock, ...]:
    """Split the chosen units by how they go back to stock.

    Raises ActionRefused if Shopify suggests no location for units to restock. It would refuse the
    refund, so the agent should learn that before confirming.
    """
    by_gid = {line.gid: line for line in order.lines}
    return tuple(
        part
        for choice in chosen
        for part in _split_line(
            by_gid[choice.line_gid],
            choice.quantity,
            [s for s in suggested if s.line_gid == choice.line_gid and s.quantity > 0],
        )
    )


def sentences(parts: Sequence[Restock]) -> list[str]:
    """Describe what happens to the stock; one sentence per kind and location."""
    texts = {
        SHIPPED: lambda n: ngettext(
            "%(count)d item will be restocked at %(place)s",
            "%(count)d items will be restocked at %(place)s",
            n,
        ),
        UNSHIPPED: lambda n: ngettext(
            "%(count)d unshipped item will be restocked at %(place)s",
            "%(count)d unshipped items will be restocked at %(place)s",
            n,
        ),
        NOT_RESTOCKED: lambda n: ngettext(
            "%(count)d item won’t be restocked", "%(count)d items won’t be restocked", n
        ),
    }
    counts: dict[tuple[str, str], int] = {}
    for part in parts:
        counts[part.kind, part.place] = counts.get((part.kind, part.place), 0) + part.quantity
    return [
        texts[kind](count) % {"count": count, "place": place}
        for (kind, place), count in counts.items()
    ]


def _split_line(line: LineItem, quantity: int, suggested: list[SuggestedLine]) -> list[Restock]:
    kinds = {s.restock for s in suggested}
    if not line.restockable or kinds == {NOT_RESTOCKED}:
        return [Restock(line_gid=line.gid, quantity=quantity, kind=NOT_RESTOCKED)]
    if _matches_order(line, quantity, suggested):
        return [_restock(line, s.quantity, s.restock, s.place) for s in suggested]
    # Shopify suggests nothing, or something that doesn't match the order. Split the units here:
    # those that were not shipped cannot come back.
    unshipped = min(quantity, line.unfulfilled_quantity)
    split = ((UNSHIPPED, unshipped), (SHIPPED, quantity - unshipped))
    return [_restock(line, units, kind, _place(suggested, kind)) for kind, units in split if units]


def _matches_order(line: LineItem, quantity: int, suggested: list[SuggestedLine]) -> bool:
    """Whether Shopify's split covers exactly these units and matches how many were shipped."""
    counts = dict.fromkeys((SHIPPED, UNSHIPPED, NOT_RESTOCKED), 0)
    for part in suggested:
        if part.restock not in counts:
            return False
        counts[part.restock] += part.quantity
    return (
        sum(counts.values()) == quantity
        and counts[UNSHIPPED] <= line.unfulfilled_quantity
        and counts[SHIPPED] <= line.refundable_quantity - line.unfulfilled_quantity
    )


def _place(suggested: list[SuggestedLine], kind: str) -> Place | None:
    """The location suggested for this kind, else any suggested for the line."""
    placed = sorted((s for s in suggested if s.place), key=lambda s: s.restock != kind)
    return placed[0].place if placed else None


def _restock(line: LineItem, quantity: int, kind: str, place: Place | None) -> Restock:
    if kind == NOT_RESTOCKED:
        return Restock(line_gid=line.gid, quantity=quantity, kind=kind)
    if place is None:
        raise ActionRefused(no_place(line.title))
    return Restock(
        line_gid=line.gid, quantity=quantity, kind=kind, place_gid=place.gid, place=place.name
    )


def no_place(title: str) -> Refusal:
    """Refuse a restock to an unknown location, usually for lack of the scope read_locations."""
    return Refusal(
        "restock_place",
        _("Shopify doesn’t say where “%(title)s” would be restocked.") % {"title": title},
        _(
            "Refund without restocking, or ask an administrator to grant the app the "
            "read_locations scope."
        ),
    )
