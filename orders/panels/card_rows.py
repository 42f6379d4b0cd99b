"""The lists on a card, one row each: items, parcels, events."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from orders.actions import status_texts
from orders.models import EventKind, Order, OrderEvent
from orders.panels import details, line_changes
from orders.panels.event_texts import text_of
from orders.panels.types import (
    EventRow,
    LineParcel,
    LineRow,
    ParcelRow,
)
from orders.snapshot import Fulfillment, OrderSnapshot
from orders.statuses import badges

# What they are about is their status; of the others, the card says the reason elsewhere.
_WITH_REASON: Final = frozenset({EventKind.RETURN, EventKind.DISPUTE})


def line_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[LineRow, ...]:
    """Return a row per line item, with the parcels that contain it and how it changed."""
    return tuple(
        LineRow(
            item=line,
            parcels=tuple(
                LineParcel(
                    badge=_parcel_badge(parcel, snapshot, now=now, order=order),
                    quantity=part.quantity,
                    of_quantity=line.quantity,
                    tracking=parcel.tracking,
                )
                for parcel in badges.live_fulfillments(snapshot)
                for part in parcel.lines
                if part.line_gid == line.gid
            ),
            unshipped=line.unfulfilled_quantity if line.requires_shipping else 0,
            attributes=details.attributes(line.attributes),
            altered=line_changes.describe(snapshot, line, is_partial=order.is_partial),
        )
        for line in snapshot.lines
    )


def parcel_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[ParcelRow, ...]:
    """Return a row per shipment record, numbered as on the order, canceled ones included."""
    by_gid = {line.gid: line for line in snapshot.lines}
    live = badges.live_fulfillments(snapshot)
    return tuple(
        ParcelRow(
            number=number,
            shipped_at=parcel.created_at,
            badge=_parcel_badge(parcel, snapshot, now=now, order=order),
            tracking=parcel.tracking,
            items=tuple(
                (by_gid[part.line_gid], part.quantity)
                for part in parcel.lines
                if part.line_gid in by_gid
            ),
            latest=_latest_news(parcel),
            is_live=parcel in live,
        )
        for number, parcel in enumerate(snapshot.fulfillments, start=1)
    )


def _parcel_badge(
    parcel: Fulfillment, snapshot: OrderSnapshot, *, now: datetime, order: Order
) -> badges.Badge:
    to = snapshot.shipping_address
    return badges.parcel_badge(parcel, now=now, zone=order.store.zone, to=to)


def _latest_news(parcel: Fulfillment) -> str:
    if not parcel.events:
        return ""
    event = max(parcel.events, key=lambda e: e.happened_at)
    return " · ".join(part for part in (event.message, event.place) if part)


def tracking_text(snapshot: OrderSnapshot) -> str:
    """Return tracking links for a reply, one line per number: "DHL JD014600003: https://…".

    Empty before anything is sent. Leaves out canceled shipments, whose numbers lead nowhere.
    """
    found = (
        (f"{each.company} {each.number}".strip(), each.url)
        for parcel in badges.live_fulfillments(snapshot)
        for each in parcel.tracking
    )
    return "\n".join(": ".join(part for part in line if part) for line in found)


def event_row(event: OrderEvent) -> EventRow:
    """Return a timeline row. A failed action is described like its notice, and a kind of a newer
    release is shown as it is stored."""
    actor = ""
    if event.actor:
        actor = event.actor.get_short_name() or event.actor.get_username()
    text = text_of(event)
    reason = text.reason if event.kind in _WITH_REASON else ""
    return EventRow(
        kind=event.kind,
        label=text.label,
        occurred_at=event.occurred_at,
        actor=actor or str(event.get_source_display()),
        amount=event.money,
        detail=" · ".join(part for part in (reason, text.detail) if part),
        where=status_texts.where(event.action) if event.action else "",
    )
