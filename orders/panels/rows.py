"""The lists on a card, a row each: items, parcels, sums, events."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from orders import statuses
from orders.models import EventKind, Order, OrderEvent
from orders.panels.parts import (
    EventRow,
    LineParcel,
    LineRow,
    MoneyRow,
    ParcelRow,
)
from orders.snapshot import Fulfillment, OrderSnapshot


def line_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[LineRow, ...]:
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
                for parcel in statuses.live_fulfillments(snapshot)
                for part in parcel.lines
                if part.line_gid == line.gid
            ),
            unshipped=line.unfulfilled_quantity if line.requires_shipping else 0,
        )
        for line in snapshot.lines
    )


def parcel_rows(snapshot: OrderSnapshot, *, now: datetime, order: Order) -> tuple[ParcelRow, ...]:
    by_gid = {line.gid: line for line in snapshot.lines}
    live = statuses.live_fulfillments(snapshot)
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
) -> statuses.Badge:
    to = snapshot.shipping_address
    return statuses.parcel_badge(parcel, now=now, zone=order.store.zone, to=to)


def _latest_news(parcel: Fulfillment) -> str:
    if not parcel.events:
        return ""
    event = max(parcel.events, key=lambda e: e.happened_at)
    return " · ".join(part for part in (event.message, event.place) if part)


def tracking_text(snapshot: OrderSnapshot) -> str:
    """For a reply: a line a live parcel, "DHL JD014600003: https://…"; empty before anything is
    sent. The number of a canceled shipment leads nowhere."""
    found = (
        (f"{each.company} {each.number}".strip(), each.url)
        for parcel in statuses.live_fulfillments(snapshot)
        for each in parcel.tracking
    )
    return "\n".join(": ".join(part for part in words if part) for words in found)


def money_rows(snapshot: OrderSnapshot) -> tuple[MoneyRow, ...]:
    money = snapshot.money
    rows = [
        MoneyRow(label=_("Subtotal"), amount=money.subtotal.presentment),
        MoneyRow(label=_("Discounts"), amount=money.discounts.presentment),
        MoneyRow(label=_("Shipping"), amount=money.shipping.presentment),
        MoneyRow(label=_("Tax"), amount=money.tax.presentment),
        MoneyRow(label=_("Tip"), amount=money.tips.presentment),
        MoneyRow(label=_("Total"), amount=money.total.presentment, is_total=True),
        MoneyRow(label=_("Paid"), amount=money.received.presentment),
        MoneyRow(label=_("Refunded"), amount=money.refunded.presentment),
        MoneyRow(label=_("Outstanding"), amount=money.outstanding.presentment),
    ]
    always = {_("Total"), _("Paid"), _("Subtotal")}
    return tuple(row for row in rows if row.amount or row.label in always)


def event_row(event: OrderEvent) -> EventRow:
    actor = ""
    if event.actor:
        actor = event.actor.get_short_name() or event.actor.get_username()
    return EventRow(
        kind=EventKind(event.kind),
        label=str(event.get_kind_display()),
        occurred_at=event.occurred_at,
        actor=actor or str(event.get_source_display()),
        amount=event.money,
        detail=event.detail,
    )
