"""What an order's returns say: what is on its way back, what is here, and what of it may be
refunded. Pure.

A unit of a return is *processed* (off the order's books, with or without its money), *received*
(booked in at the shop, by whomever) and *refunded*, each by itself. An open return's units are
refunded through the return and no other way, or they count twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orders.snapshot import LineQuantity, OrderSnapshot, Return, ReturnLine

# What can still be processed; a request has to be approved first.
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
    """So many units of a return's line."""

    line: ReturnLine
    quantity: int


def receipt(found: Return) -> Receipt:
    if found.status == REQUESTED:
        return Receipt.REQUESTED
    if found.status != OPEN:
        return Receipt.OVER
    if not found.received_quantity:
        return Receipt.AWAITED
    is_whole = found.received_quantity >= found.total_quantity > 0
    return Receipt.RECEIVED if is_whole else Receipt.PARTLY


def open_returns(order: OrderSnapshot) -> tuple[Return, ...]:
    return tuple(found for found in order.returns if found.status == OPEN)


def by_gid(order: OrderSnapshot, gid: str) -> Return | None:
    """The open return with that id."""
    return next((found for found in open_returns(order) if found.gid == gid), None)


def refundable(found: Return) -> Counter[str]:
    """Units that may be refunded through the return, by line item."""
    units: Counter[str] = Counter()
    for line in found.lines:
        units[line.line_gid] += max(0, line.quantity - line.refunded)
    return +units


def here(found: Return) -> Counter[str]:
    """Of those, the units that the shop has."""
    units: Counter[str] = Counter()
    for line in found.lines:
        is_here = max(line.received, line.processed)
        units[line.line_gid] += max(0, min(is_here, line.quantity) - line.refunded)
    return +units


def beside(order: OrderSnapshot) -> Counter[str]:
    """Units that may be refunded without a return: those that are in no open one."""
    units = Counter({line.gid: line.refundable_quantity for line in order.lines})
    for found in open_returns(order):
        units.subtract(refundable(found))
    return +units


def limits(order: OrderSnapshot, through: str) -> Counter[str]:
    """Units of each line item that may be chosen; `through` "": beside all open returns."""
    if not through:
        return beside(order)
    found = by_gid(order, through)
    return refundable(found) if found else Counter()


def fits(chosen: Iterable[LineQuantity], within: Counter[str]) -> bool:
    wanted: Counter[str] = Counter()
    for choice in chosen:
        wanted[choice.line_gid] += choice.quantity
    return all(quantity <= within[gid] for gid, quantity in wanted.items())


def suggested(order: OrderSnapshot) -> Return | None:
    """The return an agent most likely means: of the one with the most of it here. None: no open
    return has anything left to refund."""
    rank = {Receipt.RECEIVED: 0, Receipt.PARTLY: 1, Receipt.AWAITED: 2}
    found = [r for r in open_returns(order) if refundable(r)]
    return min(found, key=lambda r: (rank[receipt(r)], r.name), default=None)


def preselected(order: OrderSnapshot, through: str) -> Counter[str]:
    """Units a dialog begins with: what of the return is here; of one that is on its way all of
    it, for then nothing else is said; beside the returns, all that is left (F40)."""
    found = by_gid(order, through) if through else None
    if found is None:
        return beside(order)
    return here(found) or refundable(found)


def meant(order: OrderSnapshot, chosen: Sequence[LineQuantity]) -> Return | None:
    """The open return that chosen units belong to, where nobody said which: the one that holds
    all of them. None: none has any of them, or no single one has all."""
    holders = [r for r in open_returns(order) if chosen and fits(chosen, refundable(r))]
    whole = [r for r in holders if fits(chosen, here(r))]
    return next(iter(whole or holders), None)


def touches_open(order: OrderSnapshot, chosen: Iterable[LineQuantity]) -> bool:
    """Some of the chosen units cannot be had without taking them from an open return."""
    within = {gid for found in open_returns(order) for gid in refundable(found)}
    chosen = tuple(chosen)
    return not fits(chosen, beside(order)) and any(c.line_gid in within for c in chosen)


def take(found: Return, chosen: Iterable[LineQuantity]) -> tuple[Units, ...]:
    """Which units of which of the return's lines are meant: those that are here first. Expects a
    choice that fits."""
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
    """How many of them have to be processed with their refund; the others were before."""
    line = units.line
    processed_unpaid = max(0, line.processed - line.refunded)
    return min(
        units.quantity - min(units.quantity, processed_unpaid), line.quantity - line.processed
    )


def to_book(units: Units) -> int:
    """How many of them nobody has booked in: of a line, the booked ones are refunded first."""
    line = units.line
    booked_left = max(0, line.received + line.missing - line.refunded)
    unbooked = line.quantity - line.received - line.missing
    return min(max(0, units.quantity - booked_left), max(0, unbooked))


def on_shelf(order: OrderSnapshot) -> Counter[str]:
    """Units of ended returns that were put back in stock, and not refunded: a refund of them has
    nothing to put back."""
    units: Counter[str] = Counter()
    for found in order.returns:
        if receipt(found) == Receipt.OVER:
            for line in found.lines:
                units[line.line_gid] += max(0, line.restocked - line.refunded)
    return +units
