"""What an order's returns say: what is coming back, what is here, and what may be refunded. Pure.

Units of a return are *processed* (off the order's books, with or without a refund), *received*
(booked in at the shop, by anyone) and *refunded*, each independently. Units of an open return must
be refunded through the return and in no other way, or they count twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orders.snapshot import LineQuantity, OrderSnapshot, Return, ReturnLine

# Only an open return can be processed; a requested one has to be approved first.
OPEN: Final = "OPEN"
REQUESTED: Final = "REQUESTED"


class Receipt(StrEnum):
    """How far the goods of a return have come."""

    REQUESTED = "requested"
    AWAITED = "awaited"
    PARTLY = "partly"
    RECEIVED = "received"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Units:
    """A number of units of a return's line."""

    line: ReturnLine
    quantity: int


def receipt(found: Return) -> Receipt:
    """Return how far the return's goods have come; OVER unless it is open or requested."""
    if found.status == REQUESTED:
        return Receipt.REQUESTED
    if found.status != OPEN:
        return Receipt.OVER
    if not found.received_quantity:
        return Receipt.AWAITED
    is_whole = found.received_quantity >= found.total_quantity > 0
    return Receipt.RECEIVED if is_whole else Receipt.PARTLY


def open_returns(order: OrderSnapshot) -> tuple[Return, ...]:
    """Return the order's open returns; requested ones aren't open yet."""
    return tuple(found for found in order.returns if found.status == OPEN)


def by_gid(order: OrderSnapshot, gid: str) -> Return | None:
    """Return the open return with this ID, if any."""
    return next((found for found in open_returns(order) if found.gid == gid), None)


def refundable(found: Return) -> Counter[str]:
    """Count the units that may be refunded through the return, by line item."""
    units: Counter[str] = Counter()
    for line in found.lines:
        units[line.line_gid] += max(0, line.quantity - line.refunded)
    return +units


def here(found: Return) -> Counter[str]:
    """Count the refundable units that are back at the shop, by line item."""
    units: Counter[str] = Counter()
    for line in found.lines:
        is_here = max(line.received, line.processed)
        units[line.line_gid] += max(0, min(is_here, line.quantity) - line.refunded)
    return +units


def beside(order: OrderSnapshot) -> Counter[str]:
    """Count the units that may be refunded without a return: those not in an open one."""
    units = Counter({line.gid: line.refundable_quantity for line in order.lines})
    for found in open_returns(order):
        units.subtract(refundable(found))
    return +units


def limits(order: OrderSnapshot, through: str) -> Counter[str]:
    """Count the units that may be chosen, by line item.

    `through` is a return's gid; "" means outside of all open returns.
    """
    if not through:
        return beside(order)
    found = by_gid(order, through)
    return refundable(found) if found else Counter()


def fits(chosen: Iterable[LineQuantity], within: Counter[str]) -> bool:
    """Whether the chosen units are within the limits."""
    wanted: Counter[str] = Counter()
    for choice in chosen:
        wanted[choice.line_gid] += choice.quantity
    return all(quantity <= within[gid] for gid, quantity in wanted.items())


def suggested(order: OrderSnapshot) -> Return | None:
    """Return the return an agent most likely means: the one whose goods have come furthest.

    None if no open return has anything left to refund.
    """
    rank = {Receipt.RECEIVED: 0, Receipt.PARTLY: 1, Receipt.AWAITED: 2}
    found = [r for r in open_returns(order) if refundable(r)]
    return min(found, key=lambda r: (rank[receipt(r)], r.name), default=None)


def preselected(order: OrderSnapshot, through: str) -> Counter[str]:
    """Return the units a dialog starts with.

    For a return, those that are here, or all of it if it is still on its way, since nothing else is
    known then. Outside of returns, everything that is left.
    """
    found = by_gid(order, through) if through else None
    if found is None:
        return beside(order)
    return here(found) or refundable(found)


def meant(order: OrderSnapshot, chosen: Sequence[LineQuantity]) -> Return | None:
    """Return the open return that holds all chosen units, for a choice that doesn't name one.

    None if no single return holds them all.
    """
    holders = [r for r in open_returns(order) if chosen and fits(chosen, refundable(r))]
    whole = [r for r in holders if fits(chosen, here(r))]
    return next(iter(whole or holders), None)


def touches_open(order: OrderSnapshot, chosen: Iterable[LineQuantity]) -> bool:
    """Whether some of the chosen units can only come out of an open return."""
    within = {gid for found in open_returns(order) for gid in refundable(found)}
    chosen = tuple(chosen)
    return not fits(chosen, beside(order)) and any(c.line_gid in within for c in chosen)


def take(found: Return, chosen: Iterable[LineQuantity]) -> tuple[Units, ...]:
    """Choose units from the return's lines, starting with those that are here.

    Expects a choice that fits.
    """
    taken: list[Units] = []
    for choice in chosen:
        left = choice.quantity
        own = [line for line in found.lines if line.line_gid == choice.line_gid]
        for line in sorted(own, key=lambda line: -max(line.received, line.processed)):
            part = min(left, line.quantity - line.refunded)
            if part > 0:
                taken.append(Units(line, part))
                left -= part
    return tuple(taken)


def to_process(units: Units) -> int:
    """Count how many of the units must be processed with their refund; the rest already were."""
    line = units.line
    processed_unpaid = max(0, line.processed - line.refunded)
    return min(
        units.quantity - min(units.quantity, processed_unpaid), line.quantity - line.processed
    )


def to_book(units: Units) -> int:
    """Count how many of the units no one has booked in yet.

    Within a line, booked units are refunded first. Expects what `take` returns: no more units than
    the line has left to refund.
    """
    line = units.line
    booked_left = max(0, line.received + line.missing - line.refunded)
    return max(0, units.quantity - booked_left)


def on_shelf(order: OrderSnapshot) -> Counter[str]:
    """Count unrefunded units of finished returns that were restocked, by line item.

    Refunding them must not restock them again.
    """
    units: Counter[str] = Counter()
    for found in order.returns:
        if receipt(found) == Receipt.OVER:
            for line in found.lines:
                units[line.line_gid] += max(0, line.restocked - line.refunded)
    return +units
