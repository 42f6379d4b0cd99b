"""An order as it was at some moment, side by side with what it is now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from django.utils.translation import gettext as _

from orders.models import Order
from orders.snapshot import Address, OrderSnapshot
from orders.statuses import badges
from orders.statuses.badges import is_archived
from orders.versions.diff import (
    SUMS,
    Change,
    differences,
    fulfillment_text,
    item_name,
    parcel_text,
    return_word,
    tracking_numbers,
)

_NOTHING: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing an agent sees of an order, then and now."""

    label: str
    then: str
    now: str
    is_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The order then and now. Without `rows`, the order was never read.

    `is_known`: `then` is what was shown at the moment; otherwise it is the earliest state that is
    known, shown only `since` later. `changes` says in sentences how both differ.
    """

    since: datetime | None
    is_known: bool
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]


def compare(order: Order, at: datetime) -> Comparison:
    """Compare the order as it was shown at a moment, or its earliest known state, with now.

    Two queries at most.
    """
    if not order.document:
        return Comparison(since=None, is_known=False, rows=(), changes=())
    now, zone = order.snapshot, order.store.zone
    own = order.state_since or order.read_started_at
    if version := order.versions.at(at).first():
        then, since, is_known = version.snapshot, version.since, True
    elif own is not None and own <= at:
        then, since, is_known = now, own, True
    elif earliest := order.versions.order_by("number").first():
        then, since, is_known = earliest.snapshot, earliest.since, False
    else:
        then, since, is_known = now, own or order.placed_at or at, False
    return Comparison(
        since=since,
        is_known=is_known,
        rows=tuple(_rows(then, now, at if is_known else since, zone)),
        changes=differences(then, now, zone=zone),
    )


@dataclass(frozen=True, slots=True)
class _Fact:
    label: str
    text: str


def _rows(then: OrderSnapshot, now: OrderSnapshot, at: datetime, zone: tzinfo) -> Iterator[Row]:
    # What only time has changed, such as a parcel that is overdue by now, isn't marked.
    was, same = (dict(_facts(then, moment, zone)) for moment in (at, now.updated_at))
    found = dict(_facts(now, now.updated_at, zone))
    for key in [*found, *(key for key in was if key not in found)]:
        known = [facts[key] for facts in (found, was) if key in facts]
        yield Row(
            label=known[0].label,
            then=_text(was, key),
            now=_text(found, key),
            is_changed=_text(same, key) != _text(found, key),
        )


def _text(facts: dict[str, _Fact], key: str) -> str:
    return facts[key].text if key in facts else _NOTHING


def _facts(order: OrderSnapshot, at: datetime, zone: tzinfo) -> Iterator[tuple[str, _Fact]]:
    """Yield what an agent sees of an order at a moment, each by a key of its own."""
    yield "status", _Fact(_("Status"), _status(order))
    yield "payment", _Fact(_("Payment"), badges.payment_badge(order).label)
    yield "fulfillment", _Fact(_("Fulfillment"), fulfillment_text(order, at, zone))
    for line in order.lines:
        yield line.gid, _Fact(item_name(line), f"× {line.current_quantity}")
    for number, parcel in enumerate(order.fulfillments, start=1):
        text = parcel_text(parcel, at, zone, order.shipping_address)
        yield parcel.gid, _Fact(_("Parcel %d") % number, text)
    yield "tracking", _Fact(_("Tracking"), ", ".join(tracking_numbers(order)) or _NOTHING)
    for back in order.returns:
        yield back.gid, _Fact(_("Return %s") % back.name, return_word(back.status))
    for name, label in SUMS.items():
        amount = getattr(order.money, name)
        if amount is not None:
            yield name, _Fact(str(label), amount.presentment.format())
    yield "address", _Fact(_("Ship to"), _address(order.shipping_address))
    yield "note", _Fact(_("Note on the order"), order.note.strip() or _NOTHING)
    yield "tags", _Fact(_("Tags"), ", ".join(order.tags) or _NOTHING)


def _status(order: OrderSnapshot) -> str:
    if order.cancelled_at:
        return _("Canceled")
    return _("Archived") if is_archived(order) else _("Open")


def _address(address: Address | None) -> str:
    if address is None:
        return _NOTHING
    parts = (
        address.name,
        address.company,
        address.address1,
        address.address2,
        f"{address.zip} {address.city}".strip(),
        address.country,
    )
    return ", ".join(part for part in parts if part) or _NOTHING
