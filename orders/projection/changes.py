"""What happened to an order besides money and parcels: returns, edits, holds, disputes, notes.

Shopify says when a return was opened and when its goods came back. Of the rest it only shows the
present state, so the events follow from what a read shows that the one before didn't; what an
order was like before we first read it completely has no time, and so no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orders.models import RECEIVED, RELEASED, EventKind
from orders.snapshot import LineItem, OrderSnapshot

_ON_HOLD: Final = "ON_HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event. `reason` is a status, `detail` which return or items it is about."""

    kind: EventKind
    key: str
    at: datetime
    reason: str = ""
    detail: str = ""


def dated(order: OrderSnapshot) -> Iterator[Happening]:
    """Yield what Shopify gives a time for, however long ago it was."""
    for back in order.returns:
        if back.created_at:
            yield Happening(
                kind=EventKind.RETURN,
                key=f"return:{back.gid}",
                at=back.created_at,
                detail=back.name,
            )
        if back.received_at and back.received_quantity:
            yield Happening(
                kind=EventKind.RETURN,
                key=f"return:{back.gid}:{RECEIVED}:{back.received_quantity}",
                at=back.received_at,
                reason=RECEIVED,
                detail=f"{back.name} · {back.received_quantity}/{back.total_quantity}",
            )


def between(
    before: OrderSnapshot, after: OrderSnapshot, *, seen_at: datetime
) -> Iterator[Happening]:
    """Yield what changed from one complete read to the next, which began at `seen_at`."""
    # Not everything that is seen on an order changes its time at Shopify.
    at = after.updated_at if after.updated_at > before.updated_at else seen_at
    for kind, what, reason, detail in _changes(before, after):
        # The time tells a second hold or a reopened return from the first.
        key = ":".join(part for part in (kind.value, what, at.isoformat(), reason) if part)
        yield Happening(kind=kind, key=key[:150], at=at, reason=reason, detail=detail)


Change = tuple[EventKind, str, str, str]


def _changes(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[Change]:
    # A list that was cut shows what is there, but not what is gone.
    unread = {*before.unread, *after.unread}
    if "returns" not in unread:
        yield from _returns(before, after)
    if "disputes" not in unread and before.are_disputes_known:
        yield from _disputes(before, after)
    if "fulfillment_orders" not in unread:
        yield from _holds(before, after)
    if "lines" not in unread:
        yield from _edits(before, after)
    if before.note.strip() != after.note.strip():
        yield EventKind.NOTE, "", "", ""


def _returns(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[Change]:
    known = {back.gid: back.status for back in before.returns}
    for back in after.returns:
        if back.gid in known and known[back.gid] != back.status:
            yield EventKind.RETURN, back.gid, back.status[:100], back.name


def _disputes(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[Change]:
    known = {dispute.gid: dispute.status for dispute in before.disputes}
    for dispute in after.disputes:
        if known.get(dispute.gid) != dispute.status:
            yield EventKind.DISPUTE, dispute.gid, dispute.status[:100], ""


def _holds(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[Change]:
    was, now = _is_on_hold(before), _is_on_hold(after)
    if now and not was:
        reasons = (reason for work in after.fulfillment_orders for reason in work.hold_reasons)
        yield EventKind.HOLD, "", "", ", ".join(dict.fromkeys(reasons))
    elif was and not now and not after.cancelled_at:
        yield EventKind.HOLD, "", RELEASED, ""


def _is_on_hold(order: OrderSnapshot) -> bool:
    return any(work.status == _ON_HOLD for work in order.fulfillment_orders)


def _edits(before: OrderSnapshot, after: OrderSnapshot) -> Iterator[Change]:
    """Items that were added or removed, as far as no refund, return or cancellation did it."""
    if not after.is_edited or _books(before) != _books(after):
        return
    found = [*_moved(before.lines, after.lines)]
    if found:
        yield EventKind.EDITED, "", "", ", ".join(found)


def _books(order: OrderSnapshot) -> tuple[object, ...]:
    taken = tuple((back.gid, back.status, back.lines) for back in order.returns)
    return len(order.refunds), taken, order.cancelled_at


def _moved(before: Iterable[LineItem], after: Iterable[LineItem]) -> Iterator[str]:
    known = {line.gid: line.current_quantity for line in before}
    for line in after:
        units = line.current_quantity - known.get(line.gid, 0)
        if units:
            name = f"{line.title} ({line.variant_title})" if line.variant_title else line.title
            yield f"{'+' if units > 0 else '−'}{abs(units)} × {name}"
