"""The returns on a card: what is coming back, why, and where it is."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.models import Order
from orders.panels.types import (
    ReturnItem,
    ReturnRow,
)
from orders.snapshot import OrderSnapshot, Return
from orders.statuses import (
    badges,
    return_units,
)
from orders.statuses.badges import (
    Badge,
    Pip,
    Tone,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise

# Badge by how far a return's goods have come.
_RECEIPTS: Final[dict[return_units.Receipt, tuple[_StrPromise, Tone, Pip]]] = {
    return_units.Receipt.REQUESTED: (gettext_lazy("Return requested"), Tone.ATTENTION, Pip.EMPTY),
    return_units.Receipt.AWAITED: (gettext_lazy("On its way back"), Tone.INFO, Pip.EMPTY),
    return_units.Receipt.PARTLY: (gettext_lazy("Partially received"), Tone.INFO, Pip.HALF),
    return_units.Receipt.RECEIVED: (gettext_lazy("Received"), Tone.SUCCESS, Pip.FULL),
}


def return_rows(snapshot: OrderSnapshot, *, order: Order) -> tuple[ReturnRow, ...]:
    """Return rows for the order's returns; the timeline covers canceled and declined ones."""
    titles = {line.gid: line.title for line in snapshot.lines}
    return tuple(
        ReturnRow(
            gid=found.gid,
            name=found.name,
            badge=receipt_badge(found, zone=order.store.zone),
            receipt=return_units.receipt(found),
            received=found.received_quantity,
            total=found.total_quantity,
            received_at=found.received_at,
            items=tuple(
                ReturnItem(
                    line_gid=line.line_gid,
                    title=titles.get(line.line_gid, "–"),
                    quantity=line.quantity,
                    received=line.received,
                    restocked=line.restocked,
                    missing=line.missing,
                    refunded=line.refunded,
                    reason=line.reason,
                    note=line.note,
                )
                for line in found.lines
            ),
        )
        for found in snapshot.returns
        if found.status not in {"CANCELED", "DECLINED"}
    )


def receipt_badge(found: Return, *, zone: tzinfo) -> Badge:
    """Return one return's badge: where its goods are, and since when they have all been here."""
    axis, state = _("Return"), return_units.receipt(found)
    if state == return_units.Receipt.OVER:
        known = {"CLOSED": _("Closed"), "CANCELED": _("Canceled"), "DECLINED": _("Declined")}
        label = known.get(found.status) or badges.unknown_label(found.status)
        return Badge(label, Tone.DEFAULT, Pip.NONE, axis, found.status)
    receipt_label, tone, pip = _RECEIPTS[state]
    text = str(receipt_label)
    if state == return_units.Receipt.RECEIVED and found.received_at:
        day = badges.long_date(found.received_at.astimezone(zone).date())
        text = _("Received on %(date)s") % {"date": day}
    return Badge(text, tone, pip, axis, found.status)
